"""`trace`: one run forward and backward with everything kept."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from thalweg.files import write_text
from thalweg.graph.node import Node, user_frame
from thalweg.report import describe, dot, html, latex, text
from thalweg.report.arguments import inputs_of
from thalweg.report.groups import groups_found
from thalweg.report.labels import label_nodes
from thalweg.report.nonfinite import NonFinite, first_nonfinite
from thalweg.report.numbers import value_text
from thalweg.report.passes import (
    Backward,
    Constants,
    cotangents,
    edges,
    gather,
    notes_of,
    plain,
)
from thalweg.report.record import GroupFound, Record, TraceNode
from thalweg.report.trouble import gate_errors
from thalweg.tracing import check_function, run
from thalweg.tree import unflatten

__all__ = ["Trace", "trace"]


class Trace:
    """A run of a function, forward and backward, with every number on the way.

    `print` shows it as a table. ``trace["q"]`` is the node of the variable ``q`` (the last one,
    where a loop made several; `all` gives them all), ``trace[0]`` the first node.
    """

    def __init__(self, record: Record, output: Any) -> None:
        #: The plain data that reports are made from.
        self.record = record
        #: What the function returned, as NumPy values.
        self.output = output
        self._by_name: dict[str, list[TraceNode]] = {}
        for node in record.nodes:
            for key in dict.fromkeys((node.name, node.expression)):
                if key is not None:
                    self._by_name.setdefault(key, []).append(node)
        self._by_label = {node.label: node for node in record.nodes}

    @property
    def nodes(self) -> Sequence[TraceNode]:
        """Every node in the order in which it was made, inputs first."""
        return self.record.nodes

    @property
    def inputs(self) -> Sequence[TraceNode]:
        """The floating leaves of the arguments."""
        return self.record.inputs

    @property
    def outputs(self) -> Sequence[TraceNode | None]:
        """The nodes of the output's leaves (None for one that depends on nothing)."""
        return self.record.outputs

    @property
    def gradients(self) -> dict[str, Any]:
        """The gradient of each input, by its name (None: the backward pass was not run)."""
        return {node.label: node.upstream for node in self.record.inputs}

    @property
    def groups(self) -> Sequence[GroupFound]:
        """Groups of nodes that could be one gate, with what that would save."""
        return self.record.groups

    @property
    def notes(self) -> Sequence[str]:
        """What a reader of the numbers should know."""
        return self.record.notes

    def all(self, name: str) -> list[TraceNode]:
        """All nodes of a variable (or expression), in order.

        Raises
        ------
        KeyError
            If there is none; the message lists what there is.
        """
        found = self._by_name.get(name)
        if found is None:
            known = ", ".join(repr(node.label) for node in self.nodes[:12])
            more = f" and {len(self.nodes) - 12} more" if len(self.nodes) > 12 else ""
            raise KeyError(f"no node {name!r}; there are {known}{more}")
        return list(found)

    def __getitem__(self, key: str | int) -> TraceNode:
        if not isinstance(key, str):
            return self.nodes[operator.index(key)]
        if key in self._by_name:
            return self._by_name[key][-1]
        if key in self._by_label:
            return self._by_label[key]
        return self.all(key)[-1]

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[TraceNode]:
        return iter(self.nodes)

    def __contains__(self, key: object) -> bool:
        return key in self._by_name or key in self._by_label

    def __repr__(self) -> str:
        values = ", ".join(value_text(v) for v in self.record.output_values)
        run_ = "" if self.record.backward else ", backward not run"
        return f"<Trace of {self.record.function}: {len(self)} nodes, output {values}{run_}>"

    def __str__(self) -> str:
        return text.render(self.record)

    def to_text(self, width: int | None = None, limit: int | None = text.LIMIT) -> str:
        """The table that `print` shows: `width` columns, at most `limit` nodes (None: all)."""
        return text.render(self.record, width, limit=limit)

    def first_nonfinite(self) -> NonFinite | None:
        """Where the first NaN or Inf of the output or of a gradient was made; None: all is finite.

        It names the producer, not those that hand it on: gate, line, operands, index, and what to
        do (docs/debugging.md).
        """
        return first_nonfinite(self.record)

    def check(self) -> dict[str, float]:
        """Hold every node's local Jacobians against differences of its own value.

        Returns
        -------
        dict of str to float
            For each node by its label the relative error along a random direction: 0 where none
            can be measured. At kinks, and for operations with several results, there is none.
            The explorer made afterwards shows them; `thalweg.check_grads` checks the whole function
            in every mode.

        Examples
        --------
        >>> import thalweg as tw
        >>> tw.trace(lambda x, y: x * y, 2.0, 3.0).check()
        {'x * y': 0.0}
        """
        errors = gate_errors(self.record)
        self.record = self.record._replace(errors=errors)
        return {self.nodes[index].label: error for index, error in errors.items()}

    def to_dict(self, limit: int = describe.LIMIT) -> dict[str, Any]:
        """Plain data for JSON (docs/trace.md has the form): nan and inf as strings.

        Arrays of more than `limit` entries are summarised.
        """
        return describe.describe(self.record, limit)

    def to_latex(self) -> str:
        """The chain rule written out node by node: a LaTeX document that needs amsmath only."""
        return latex.document(self.record)

    def to_dot(self) -> str:
        """The graph for Graphviz: values green, gradients red."""
        return dot.digraph(self.record)

    def to_html(self, path: str | Path, limit: int | None = None) -> Path:
        """Write the explorer (docs/explorer.md): one page that shows all of it, without a network.

        Parameters
        ----------
        path : str or Path
            The file; it is written whole or not at all.
        limit : int, optional
            Arrays of more entries are summarised. By default as many as a page of 5 MB has room
            for, at most 1024.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        DataError
            If it cannot be written.
        """
        write_text(path, html.page(self.record, limit))
        return Path(path)

    def show(self) -> Path:
        """Open the explorer in the browser; gives the file that it was written to."""
        return html.show(html.page(self.record))

    def _repr_html_(self) -> str:
        """The explorer, in a notebook."""
        return html.frame(html.page(self.record))


def trace(f: Callable[..., Any], /, *args: Any, upstream: Any = None, **kwargs: Any) -> Trace:
    """Run `f` forward and backward and keep everything.

    Parameters
    ----------
    f : callable
        A NumPy function.
    *args, **kwargs
        Its arguments. Their floating leaves (in trees too) are the inputs, named after the
        parameters: ``params['W']``. Everything else is passed as it is; but where nothing is
        floating, Python ints are taken as floats, so that ``trace(f, -2, 5, -4)`` works.
    upstream : tree, optional
        The gradient that arrives at the output, in the output's form; 1 for an output that is
        one real number. Without it, other outputs are traced without a backward pass.

    Returns
    -------
    Trace

    Raises
    ------
    DtypeError
        If there is nothing to differentiate.
    ShapeError, TreeError
        If `upstream` does not have the form of the output.

    Examples
    --------
    >>> import thalweg as tw
    >>> def f(x, y, z):
    ...     q = x + y
    ...     return q * z
    >>> t = tw.trace(f, -2, 5, -4)
    >>> float(t["q"].value), float(t["q"].upstream)
    (3.0, -4.0)
    >>> {name: float(g) for name, g in t.gradients.items()}
    {'x': -4.0, 'y': -4.0, 'z': 3.0}
    """
    check_function(f, "trace(f, x)")
    frame = user_frame()
    caller = (frame.f_code, frame.f_lasti)
    names, call, leaves = inputs_of(f, args, kwargs)
    run_ = run(call, leaves, {}, range(len(leaves)), names=names, copy=True)
    nodes = gather(run_)
    backward = Backward(run_, cotangents(run_, upstream))
    records = {node: TraceNode(i, node) for i, node in enumerate(nodes)}
    for node in run_.inputs:
        records[node].is_input = True
    constants = Constants(nodes)
    for node, kept in records.items():
        kept.inputs = tuple(edges(node, records, backward, constants))
        kept.upstream = backward.upstream_of(node)
    everything = list(records.values())
    label_nodes(everything, caller)
    place = f.__code__ if inspect.isfunction(f) else None
    record = Record(
        function=getattr(f, "__name__", type(f).__name__),
        file=place.co_filename if place else None,
        line=place.co_firstlineno if place else None,
        nodes=everything,
        inputs=[records[node] for node in run_.inputs],
        outputs=[records.get(x) if type(x) is Node else None for x in run_.outputs],
        output_values=[plain(x) for x in run_.outputs],
        backward=backward.ran,
        notes=notes_of(run_, backward, records),
        groups=groups_found(backward.order, records),
        guards=run_.guards,
        cotangents=backward.cotangents,
    )
    return Trace(record, unflatten(run_.out_structure, map(plain, run_.outputs)))
