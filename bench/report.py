"""The report: Markdown for readers; the JSON is the same data as it was measured."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.run import OURS

__all__ = ["header", "machine", "section"]

_PACKAGES = (
    "thalweg numpy scipy llvmlite torch jax jaxlib autograd pytensor numba casadi asdex "
    "scikit-learn micrograd ddx-ad"
).split()


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"model name\s*:\s*(.+)", text)
    wide = "AVX-512" if "avx512f" in text else "AVX2" if "avx2" in text else ""
    name = found[1] if found else platform.machine()
    return f"{name}, {wide}" if wide else name


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """Where this runs, and with what."""
    return {
        "processor": _processor(),
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def header(facts: dict[str, Any], rounds: int, backend: str) -> str:
    """The lines above the tables."""
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return "\n".join(
        [
            f"{facts['processor']}, {facts['processors']} processors; {facts['system']}; "
            f"Python {facts['python']}; {versions}.",
            "",
            f"Medians (quartiles) of {rounds} rounds, every contender once a round; "
            f"`tw.compile(backend={backend!r})`. "
            "*times ours*: theirs over ours, round by round; above 1 Thalweg is faster. "
            "*first*: from the Python function to the first result, compilation included, "
            "nothing cached. *deviation*: ‖result − reference‖ / ‖reference‖, the worst array.",
        ]
    )


def _number(value: float) -> str:
    """Three figures, or all before the point."""
    if value >= 100:
        return f"{value:.0f}"
    digits = 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}"


def _figure(figure: Sequence[float] | None, scale: float = 1.0) -> str:
    if figure is None:
        return ""
    median, low, high = (_number(value * scale) for value in figure)
    return f"{median} ({low}–{high})"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{_number(seconds * 1e3)} ms"


def _rows(result: dict[str, Any]) -> Iterable[str]:
    entries = result["contenders"]
    facts = _fact_names(entries)
    for name, entry in entries.items():
        label = f"**{name}**" if name == OURS else name
        deviation = entry.get("deviation")
        shown = "" if deviation is None else f"{deviation:.0e}"
        if entry["state"] in ("left out", "failed"):
            cells = [f"{entry['state']}: {entry['why']}", "", "", ""]
        elif entry["state"] == "wrong":
            cells = [f"wrong, not timed (tolerance {result['tolerance']:.0e})", "", "", shown]
        else:
            cells = [
                _figure(entry.get("figure"), result["scale"]),
                _figure(entry.get("ratio")) if name != OURS else "",
                _duration(entry.get("first")),
                shown,
            ]
        cells += [str(entry.get("facts", {}).get(fact, "")) for fact in facts]
        yield f"| {' | '.join([label, *cells])} |"


def _fact_names(entries: dict[str, Any]) -> list[str]:
    found: dict[str, None] = {}
    for entry in entries.values():
        found.update(dict.fromkeys(entry.get("facts", {})))
    return list(found)


def section(result: dict[str, Any]) -> str:
    """One workload's title and table."""
    threads = result["threads"]
    head = ["", result["unit"], "times ours", "first", "deviation"]
    head += _fact_names(result["contenders"])
    lines = [
        f"### {result['workload']}, {threads} thread{'s' * (threads > 1)}: {result['title']}",
        "",
        *([f"Bar: {result['bar']}", ""] if result["bar"] else []),
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *_rows(result),
    ]
    return "\n".join(lines)
