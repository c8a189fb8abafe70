"""What is said where Python or another library would take a traced value out of the graph."""

from __future__ import annotations

import itertools
import linecache
import os
import re
import sys
import sysconfig
from types import FrameType

import numpy as np

from thalweg.errors import TracingError
from thalweg.graph.node import Node, describe_origin, user_frame

__all__ = ["cut_error"]

#: Modules of ours that work in numbers, beside those that call SciPy.
_SOLVERS = ("thalweg.optim.minimise", "thalweg.training.loop")
_OWN = os.path.dirname(__file__) + os.sep
_STANDARD = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = re.compile(r"[\\/](?:site|dist)-packages[\\/]")
#: What `thalweg.scipy.special` has for a function of `math`, under its own name.
_SPECIAL = {"gamma": "gamma", "lgamma": "gammaln", "erf": "erf", "erfc": "erfc"}
_OTHER_NAMES = {"fsum": "sum", "pow": "power"}


def cut_error(wanted: str, node: Node) -> TracingError:
    """The error for `wanted` (``float(x)``), asked of an active node by the code now running."""
    inner = user_frame(2)
    frame, library = _leave_libraries(inner)
    library = library or _own_solver(frame)
    source = _source(frame)
    place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    lines = [
        f"{wanted} would take a traced value out of the graph, and its gradient with it.",
        f"  at {place}{f', inside {library}' if library else ''}",
    ]
    if source:
        lines.append(f"      {source}")
    lines.append(f"  x is {_described(node)}")
    lines.append(f"  {_advice(wanted, source, library, node)}")
    lines.append("If it should count as a constant, say so: thalweg.detach(x).")
    return TracingError("\n".join(lines))


def _described(node: Node) -> str:
    if node.primitive.name == "input":
        return f"an input of shape {node.shape}"
    return (
        f"the result of gate '{node.primitive.labels.gate}', shape {node.shape}, made at "
        f"{describe_origin(node.origin)}"
    )


def _leave_libraries(frame: FrameType) -> tuple[FrameType, str]:
    """The innermost frame of the user's own, and the library's function that it called ("": none).

    Where there are only libraries (an installed script), the innermost frame stays.
    """
    inner, called = frame, ""
    outer: FrameType | None = frame
    while outer is not None:
        filename = outer.f_code.co_filename
        if not filename.startswith((_STANDARD, _OWN)) and not _INSTALLED.search(filename):
            return outer, called
        module = outer.f_globals.get("__name__", "")
        name = outer.f_code.co_qualname
        called = _public(module) if "<" in name else f"{_public(module)}.{name}"
        outer = outer.f_back
    return inner, ""


def _own_solver(user: FrameType) -> str:
    """Which of ours asked, called from the frame of the user's ("": none)."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame is not user:
        module = frame.f_globals.get("__name__", "")
        if module in _SOLVERS:
            return module.rpartition(".")[0]
        frame = frame.f_back
    return ""


def _public(module: str) -> str:
    """The module without its private parts: ``scipy.special._logsumexp`` → ``scipy.special``."""
    return ".".join(itertools.takewhile(lambda part: part[:1] != "_", module.split(".")))


def _source(frame: FrameType) -> str:
    """The expression that is running, or its line, where the source is at hand."""
    text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    return text if len(text) <= 200 else text[:199] + "…"


def _advice(wanted: str, source: str, library: str, node: Node) -> str:
    """What to write instead, by what was asked for and by the text of the line."""
    if library:
        return _library_advice(library)
    used = re.search(r"\bmath\.(\w+)", source)
    if used and wanted == "float(x)":
        return f"Instead of math.{used[1]}: {_of_numpy(used[1])}"
    if re.match(r"[\w.]+\[.*\]\s*(?:[-+*/@%]|//|\*\*)?=[^=]", source):
        return (
            "A NumPy array cannot hold traced values. Make it like one of them: "
            "np.zeros(shape, like=x); then buffer[i] = x works. Or collect a list: np.stack(list)"
        )
    if wanted == "np.asarray(x)":
        return _conversion_advice(source, node)
    if wanted in ("int(x)", "using x as an index", "an index"):
        return (
            "A whole number made from x has no derivative: say so by int(thalweg.detach(x)), or "
            "pass the number as an argument that is not differentiated"
        )
    if wanted in ("x.tolist()", "round(x)"):
        return {
            "x.tolist()": "Loop over x itself: for item in x, or list(x)",
            "round(x)": "np.round(x) stays in the graph (its derivative is 0)",
        }[wanted]
    return (
        "Use x itself: operators, NumPy's functions, print and comparisons take it as it is. An "
        "array that it is written into: np.zeros(shape, like=x)"
    )


def _library_advice(library: str) -> str:
    if library.startswith(("scipy.special", "scipy.linalg")):
        module = ".".join(library.split(".")[:2])
        return (
            f"SciPy's own functions cannot be traced: thalweg.{module} has those with a "
            "derivative; for others see thalweg.primitive"
        )
    if library.startswith("scipy.sparse"):
        return (
            "Sparse matrices cannot hold traced values: M.toarray() @ x, or make the product a "
            "gate of its own with thalweg.primitive"
        )
    if library.startswith(("scipy.optimize", "scipy.integrate", "thalweg.")):
        return (
            "A solver works in numbers, what it depends on must be an argument, and the derivative "
            "of what it finds is that of thalweg.implicit(solver, residual); an integrator that "
            "is a loop of steps in NumPy needs nothing"
        )
    if library.startswith("pandas"):
        return "pandas objects cannot hold traced values: take their arrays, series.to_numpy() * x"
    return (
        f"{library.split('.')[0]} works on NumPy arrays only: give the function a derivative "
        "with thalweg.primitive, or write it with NumPy"
    )


#: What stands in the line, and what to write instead.
_WRITTEN = {
    r"\b(?:np|numpy)\.full\(": "It takes traced numbers with like: np.full(shape, x, like=x)",
    r"\b(?:np|numpy)\.[cr]_\[": (
        "Instead of np.r_ and np.c_: np.concatenate([x, y]), np.stack([x, y], axis=1)"
    ),
    r"\b(?:np|numpy)\.(?:float|complex)(?:16|32|64|128)\(": (
        "Use x itself, or x.astype(np.float64)"
    ),
    r"\.(?:normal|uniform)\(": (
        "Draw standard numbers and transform them: loc + scale * rng.normal(size=n)"
    ),
}


def _conversion_advice(source: str, node: Node) -> str:
    for pattern, advice in _WRITTEN.items():
        if re.search(pattern, source):
            return advice
    if re.search(r"\b(?:np|numpy)\.vectorize\b", source):
        return "np.vectorize is a Python loop over floats: write the function with NumPy's"
    if re.search(r"\b(?:array|asarray)\(\s*[\[(]", source):
        return "Put numbers together with np.stack([x, y]), or np.array([x, y], like=x)"
    if re.search(r"\b(?:array|asarray|asanyarray|ascontiguousarray)\(", source):
        return (
            "x is an array already: leave the conversion out. If x is a list of numbers, pass an "
            "array to the function; for a list made here, np.stack(items) or "
            "np.array(items, like=x)"
        )
    if node.shape == ():
        return (
            "A list of traced numbers is not an array: np.stack([x, y]). If the argument itself "
            "was a list, pass np.array([1.0, 2.0]) instead"
        )
    return (
        "Write it with NumPy's functions, or give it a derivative with thalweg.primitive; an array "
        "that x is written into: np.zeros(shape, like=x)"
    )


def _of_numpy(name: str) -> str:
    """How NumPy, or `thalweg.scipy.special`, calls a function of `math`."""
    if name in _SPECIAL:
        return f"thalweg.scipy.special.{_SPECIAL[name]}"
    name = _OTHER_NAMES.get(name, name)
    return f"np.{name}" if hasattr(np, name) else "write it with NumPy's functions"
