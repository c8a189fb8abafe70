"""Several runs of one graph on a page: steps of a training, two dtypes, two sets of weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from thalweg.errors import TracingError
from thalweg.files import write_text
from thalweg.report import html
from thalweg.report.record import Record
from thalweg.report.text import cut, one_line
from thalweg.report.trace import Trace

__all__ = ["TraceSeries"]


class TraceSeries:
    """Traces of the same graph with other numbers, in an order: the explorer has a slider for them.

    Parameters
    ----------
    traces : sequence of Trace
        At least one; the same gates with the same operands in each. dtypes may differ.
    labels : sequence of str, optional
        What each is called: ``"step 100"``. By default their numbers.

    Raises
    ------
    TracingError
        If they are not traces of one graph; the message says where they part.

    Examples
    --------
    >>> import thalweg as tw
    >>> series = tw.TraceSeries([tw.trace(lambda x: x * x, float(k)) for k in range(3)])
    >>> series
    <3 traces of <lambda>: 0, 1, 2>
    """

    def __init__(self, traces: Sequence[Trace], labels: Sequence[str] | None = None) -> None:
        self.traces = tuple(traces)
        if not self.traces:
            raise TracingError("TraceSeries: there is no trace in it")
        names = map(str, range(len(self.traces))) if labels is None else map(one_line, labels)
        self.labels = tuple(names)
        if len(self.labels) != len(self.traces):
            raise TracingError(
                f"TraceSeries: {len(self.traces)} traces and {len(self.labels)} labels"
            )
        for label, trace in zip(self.labels[1:], self.traces[1:], strict=True):
            _same_graph(self.traces[0], trace, self.labels[0], label)

    def __repr__(self) -> str:
        name = cut(one_line(self.traces[0].record.function), 40)
        shown = cut(", ".join(self.labels), 60)
        return f"<{len(self.traces)} traces of {name}: {shown}>"

    def to_html(
        self, path: str | Path, limit: int | None = None, *, side_by_side: bool = False
    ) -> Path:
        """Write the explorer with a slider that runs through the traces.

        Parameters
        ----------
        path : str or Path
            The file; it is written whole or not at all.
        limit : int, optional
            Arrays of more entries are summarised (default: what fits into 5 MB).
        side_by_side : bool
            Instead of the slider two traces beside each other: what is chosen in one is chosen in
            the other.

        Raises
        ------
        DataError
            If it cannot be written.
        TracingError
            If other than two traces are to stand side by side.
        """
        if side_by_side and len(self.traces) != 2:
            raise TracingError(
                f"TraceSeries: side by side there is room for two traces, not {len(self.traces)}.\n"
                "  Take two of them, or leave out side_by_side: a slider goes through them."
            )
        write_text(path, html.compare(self._runs(), limit) if side_by_side else self._page(limit))
        return Path(path)

    def show(self) -> Path:
        """Open it in the browser; gives the file that it was written to."""
        return html.show(self._page(None))

    def _repr_html_(self) -> str:
        """The explorer, in a notebook."""
        return html.frame(self._page(None))

    def _page(self, limit: int | None) -> str:
        return html.page(self.traces[0].record, limit, self._runs())

    def _runs(self) -> list[tuple[str, Record]]:
        return [(x, trace.record) for x, trace in zip(self.labels, self.traces, strict=True)]


def _same_graph(first: Trace, other: Trace, name: str, label: str) -> None:
    for a, b in zip(first, other, strict=False):
        operands = [
            [edge.node.index if edge.node else None for edge in node.inputs] for node in (a, b)
        ]
        if a.gate != b.gate or operands[0] != operands[1] or a.shape != b.shape:
            raise TracingError(
                f"TraceSeries: {label!r} is not of the same graph as {name!r}: node {a.index} is "
                f"{a.gate} {list(a.shape)} ({a.label}) there, and {b.gate} {list(b.shape)} "
                f"({b.label}) here.\n  Trace one function on arguments of the same shapes."
            )
    if len(first) != len(other):
        raise TracingError(
            f"TraceSeries: {label!r} has {len(other)} nodes, and {name!r} has {len(first)}.\n"
            "  Trace one function on arguments of the same shapes."
        )
