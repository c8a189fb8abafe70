"""`trace`: one run forward and backward with everything kept."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from thalweg.api import match_output
from thalweg.array import Array
from thalweg.errors import DtypeError
from thalweg.graph.kinds import IDENTITY, Kind
from thalweg.graph.node import Node, describe_origin, user_frame
from thalweg.jacobian.structure import LocalJacobian
from thalweg.ops.structural import ITEM
from thalweg.optimise.stabilise import stable_forms
from thalweg.report import describe, dot, latex, text
from thalweg.report.labels import label_nodes
from thalweg.report.numbers import value_text
from thalweg.report.record import GroupFound, Record, TraceEdge, TraceNode
from thalweg.trace import Run, path_text, run
from thalweg.transforms.linear import zeros_like
from thalweg.transforms.reverse import live_nodes, reverse
from thalweg.tree import flatten_with_paths, unflatten

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
    frame = user_frame()
    caller = (frame.f_code, frame.f_lasti)
    names, call, leaves = inputs_of(f, args, kwargs)
    run_ = run(call, leaves, {}, range(len(leaves)), names=names, copy=True)
    cotangents = _cotangents(run_, upstream)
    nodes = _gather(run_)
    backward = _Backward(run_, cotangents)
    records = {
        node: TraceNode(i, node, node.primitive.labels.gate, node.value)
        for i, node in enumerate(nodes)
    }
    constants = _Constants(nodes)
    for node, kept in records.items():
        kept.inputs = tuple(_edges(node, records, backward, constants))
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
        output_values=[_plain(x) for x in run_.outputs],
        backward=backward.ran,
        notes=_notes(run_, backward, records),
    )
    return Trace(record, unflatten(run_.out_structure, map(_plain, run_.outputs)))


def _plain(value: Any) -> Any:
    return value.value if type(value) is Node else value


# ---- before the run -----------------------------------------------------------------------


def inputs_of(
    f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[list[str], Callable[..., Any], list[Any]]:
    """Names and values of the inputs, and `f` as a function of them alone."""
    titles = [*_parameter_names(f, len(args)), *kwargs]
    given = [*args, *kwargs.values()]
    paths: list[str] = []
    leaves: list[Any] = []
    structures = []
    for title, argument in zip(titles, given, strict=True):
        found, structure = flatten_with_paths(argument)
        structures.append(structure)
        paths += [path_text(title, path) for path, _ in found]
        leaves += [leaf for _, leaf in found]
    chosen = [i for i, leaf in enumerate(leaves) if _is_floating(leaf)]
    if not chosen:
        chosen = [i for i, leaf in enumerate(leaves) if type(leaf) is int]
        for i in chosen:
            leaves[i] = float(leaves[i])
    if not chosen:
        raise DtypeError(
            "trace: no argument has a floating number in it, so there is nothing to "
            "differentiate.\n  Pass floats (2.0 instead of np.int64(2), x.astype(float))."
        )

    def call(*handles: Any) -> Any:
        filled = list(leaves)
        for i, handle in zip(chosen, handles, strict=True):
            filled[i] = handle
        rest = iter(filled)
        trees = [unflatten(s, [next(rest) for _ in range(s.n_leaves)]) for s in structures]
        return f(*trees[: len(args)], **dict(zip(kwargs, trees[len(args) :], strict=True)))

    values = [leaves[i]._node.value if type(leaves[i]) is Array else leaves[i] for i in chosen]
    return [paths[i] for i in chosen], call, values


def _is_floating(leaf: Any) -> bool:
    if isinstance(leaf, (float, complex)):
        return True
    return isinstance(leaf, (np.ndarray, np.generic, Array)) and leaf.dtype.kind in "fc"


def _parameter_names(f: Callable[..., Any], count: int) -> list[str]:
    """The names of the positional parameters: ``x``, ``y``, ``args[0]`` …"""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # built in, without a signature
        return ["x"] if count == 1 else [f"x{i}" for i in range(count)]
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "x")
    return [plain[i] if i < len(plain) else f"{rest}[{i - len(plain)}]" for i in range(count)]


# ---- after the run ------------------------------------------------------------------------


def _cotangents(run_: Run, upstream: Any) -> list[Any] | None:
    """What arrives at the outputs; None: no backward pass."""
    if upstream is not None:
        return match_output(upstream, run_, "upstream")
    if len(run_.outputs) != 1:
        return None
    value = np.asarray(_plain(run_.outputs[0]))
    if value.shape != () or value.dtype.kind != "f":
        return None
    return [value.dtype.type(1)]


def _gather(run_: Run) -> list[Node]:
    """The inputs, and every node between them and the outputs, also what carries no derivative."""
    first = min(node.sequence for node in run_.inputs)
    seen = set(run_.inputs)
    stack = [x for x in run_.outputs if type(x) is Node]
    while stack:
        node = stack.pop()
        if node in seen or node.sequence < first:
            continue
        seen.add(node)
        stack += [x for x in node.operands if type(x) is Node]
    return sorted(seen, key=operator.attrgetter("sequence"))


class _Backward:
    """The backward pass with each gate's plain chain rule, and what it met on every edge."""

    def __init__(self, run_: Run, cotangents: list[Any] | None) -> None:
        self.run = run_
        self.cotangents = cotangents
        self.ran = cotangents is not None
        self.edges: dict[tuple[Node, int], tuple[Kind, Any]] = {}
        self.upstream: dict[Node, Any] = {}
        nodes = [x for x in run_.outputs if type(x) is Node]
        self.order, self.live = live_nodes(nodes, run_.inputs, {}, run_.nested)
        if self.ran:
            self._pull({}, self.upstream, self._visit)

    def _visit(self, node: Node, i: int, kind: Kind, downstream: Any) -> None:
        self.edges[node, i] = kind, downstream

    def _pull(self, replacements: Any, upstream: Any, visit: Any) -> list[Any]:
        pairs = zip(self.run.outputs, self.cotangents or (), strict=True)
        given = [(x, c) for x, c in pairs if type(x) is Node]
        return reverse(
            [x for x, _ in given],
            [c for _, c in given],
            self.run.inputs,
            as_graph=False,
            replacements=replacements,
            order=self.order,
            live=self.live,
            visit=visit,
            upstream=upstream,
        )

    def stable_gradients(self) -> list[Any]:
        """The gradients as `thalweg.grad` takes them: unstable spellings in a stable form."""
        return self._pull(stable_forms(self.order, self.live), None, None)

    def upstream_of(self, node: Node) -> Any:
        if not self.ran or not node.active:
            return None
        c = self.upstream.get(node)
        if type(node.value) is tuple:
            parts = c or [None] * len(node.value)
            return tuple(
                zeros_like(end)[()] if part is None else part
                for part, end in zip(parts, node.value, strict=True)
            )
        return zeros_like(node.value)[()] if c is None else c

    def edge(self, node: Node, i: int, x: Node) -> tuple[LocalJacobian | None, Any]:
        """The local Jacobian of an edge, and what went down along it."""
        if not (node.active and x.active):
            return None, None
        if node.primitive is ITEM:
            part = node.params["index"]
            local = LocalJacobian(IDENTITY, x.value, node.value, part)
            return local, local.pull(self.upstream_of(node)) if self.ran else None
        found = self.edges.get((node, i))
        if found is None:
            values = [_plain(operand) for operand in node.operands]
            with np.errstate(all="ignore"):
                kind = node.primitive.local(i, node.value, *values, **node.params)
            found = kind, None
        kind, downstream = found
        if downstream is None and self.ran:
            downstream = (
                tuple(zeros_like(end)[()] for end in x.value)
                if type(x.value) is tuple
                else zeros_like(x.value)[()]
            )
        return LocalJacobian(kind, x.value, node.value), downstream


def _edges(
    node: Node, records: dict[Node, TraceNode], backward: _Backward, constants: _Constants
) -> Iterator[TraceEdge]:
    for i, operand in enumerate(node.operands):
        source = records.get(operand) if type(operand) is Node else None
        if source is None or node.primitive.name == "input":
            yield TraceEdge(None, constants.copy(_plain(operand)))
        else:
            local, downstream = backward.edge(node, i, operand)
            if local is not None:
                local = constants.kept_by(local)
            yield TraceEdge(source, operand.value, local, downstream)


class _Constants:
    """The caller's own arrays that take part as constants.

    They are copied, so that the trace stays as it is when they are written to.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        operands = (x for node in nodes for x in node.operands)
        self._owners = {id(_owner(x)) for x in operands if isinstance(x, np.ndarray)}
        self._copies: dict[int, tuple[Any, Any]] = {}  # the original too: its id stays its own

    def copy(self, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        if id(value) not in self._copies:
            self._copies[id(value)] = value, np.array(value)
        return self._copies[id(value)][1]

    def kept_by(self, local: LocalJacobian) -> LocalJacobian:
        """The local Jacobian without memory of the caller's."""
        return local.replace(self._safe) if self._owners else local

    def _safe(self, value: Any) -> Any:
        return self.copy(value) if id(_owner(value)) in self._owners else value


def _owner(array: np.ndarray[Any, Any]) -> Any:
    """The array whose memory this is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _notes(run_: Run, backward: _Backward, records: dict[Node, TraceNode]) -> list[str]:
    """What a reader of the numbers should know."""
    notes = []
    found = [records[node].upstream for node in run_.inputs]
    if backward.ran and not all(np.all(np.isfinite(g)) for g in found):
        stable = backward.stable_gradients()
        for node, plain, better in zip(run_.inputs, found, stable, strict=True):
            if better is None or np.array_equal(plain, better, equal_nan=True):
                continue
            notes.append(
                f"the plain chain rule gives {value_text(plain)} for {records[node].label}; "
                f"thalweg.grad takes the derivative through a stable form: {value_text(better)}"
            )
    answers: dict[str, list[str]] = {}
    for guard in run_.guards:
        answers.setdefault(describe_origin(guard.origin), []).append(value_text(guard.answer))
    for where, given in answers.items():
        shown = ", ".join(given[:4]) + (f", … ({len(given)} times)" if len(given) > 4 else "")
        notes.append(f"Python asked for a value at {where} ({shown}): this is one branch")
    return notes
