"""Measures the errors of native code's elementary functions against mpmath: docs/accuracy.md.

python -m tools.accuracy
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mpmath import mp, mpf

from thalweg.execute.native import jit
from thalweg.execute.native.emit import BITS, Emit, Module, storage
from thalweg.execute.native.math import FUNCTIONS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "accuracy.md"
DTYPES = {"f32": np.float32, "f64": np.float64}
BAR = {"f32": 3.0, "f64": 2.0}
BINARY = frozenset(
    "arctan2 power hypot logaddexp fmod remainder floor_divide maximum minimum fmax fmin heaviside "
    "copysign xlogy xlog1py".split()
)


# ---- running a function on arrays ---------------------------------------------------------


@functools.cache
def _library(kind: str, lanes: int, plain: bool) -> tuple[jit.Library, dict[str, str]]:
    """All functions, each as ``void(in…, out, n)`` over whole vectors, and the kinds they give."""
    target = jit.target()
    module = Module(() if plain else target.features.split(","))
    kinds = {}
    for name in FUNCTIONS:
        count = 1 + (name in BINARY)
        e = Emit(module, lanes)
        vector = e.type(kind)
        size = BITS[kind] // 8
        operands = [
            e.line(f"load {vector}, ptr %place{i}, align {size}", kind) for i in range(count)
        ]
        result = e.function(name, *operands)
        kinds[name] = result.kind
        if result.kind == "i1":
            result = e.convert(result, "i8")
        item = storage(result.kind)
        places = "\n".join(
            f"  %place{i} = getelementptr {storage(kind)}, ptr %in{i}, i64 %i" for i in range(count)
        )
        body = "\n".join(e.lines)
        module.define(
            f"apply_{name}",
            f"""define void @apply_{name}({", ".join(f"ptr %in{i}" for i in range(count))},
  ptr %out, i64 %n) {jit.attributes(target)} {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{places}
  %to = getelementptr {item}, ptr %out, i64 %i
{body}
  store {e.type(result.kind)} {result.text}, ptr %to, align {BITS[result.kind] // 8}
  %next = add i64 %i, {lanes}
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}}""",
        )
    return jit.load(module.text()), kinds


def apply(name: str, *operands: Any, lanes: int = 0, plain: bool = False) -> Any:
    """A function of arrays of one dtype; `plain` code does without AVX-512's own instructions."""
    kind = "f32" if operands[0].dtype == np.float32 else "f64"
    lanes = lanes or 8 * jit.target().vector_bytes // BITS[kind]
    count = operands[0].size
    rest = -count % lanes
    padded = [np.concatenate([x, np.ones(rest, x.dtype)]) for x in operands]
    library, kinds = _library(kind, lanes, plain)
    out = np.empty(count + rest, np.bool_ if kinds[name] == "i1" else DTYPES[kind])
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(padded) + 1), ctypes.c_int64)(
        library.address(f"apply_{name}")
    )
    run(*[x.ctypes.data for x in padded], out.ctypes.data, out.size)
    return out[:count]


# ---- the exact values ---------------------------------------------------------------------


class Case(NamedTuple):
    """A function in exact arithmetic, and where it is measured.

    A range is (low, high); of functions of two numbers one for each.
    """

    exact: Callable[..., Any]
    ranges: dict[str, Sequence[Any]]


def _softplus(x: Any) -> Any:
    return mp.log1p(mp.exp(x))


def _both(*ranges: Any) -> dict[str, Sequence[Any]]:
    return {"f32": ranges, "f64": ranges}


_NEAR = (-1, 1)
_SMALL = (-1e-3, 1e-3)
_EXP = {"f32": [(-87, 88.7), _NEAR, _SMALL], "f64": [(-708, 709.7), _NEAR, _SMALL]}
_SATURATING = _both((-40, 40), (-8, 8), _NEAR, _SMALL)
_ANGLES = _both((-10, 10), _NEAR, _SMALL, (-1e5, 1e5), (-1e9, 1e9))
_UNIT = _both((-1, 1), (0.99, 1), _SMALL)
_HYPERBOLIC = {"f32": [(-89, 89), (-3, 3), _NEAR], "f64": [(-710, 710), (-3, 3), _NEAR]}
_POSITIVE = _both((0.4, 2.5), (0.99, 1.01), (1e-30, 1e30))
_LINE = _both((-10, 10), _NEAR, _SMALL, (-1e6, 1e6))

CASES: dict[str, Case] = {
    "exp": Case(mp.exp, _EXP),
    "exp2": Case(
        lambda x: mpf(2) ** x,
        {"f32": [(-126, 127.9), _NEAR], "f64": [(-1022, 1023.9), _NEAR]},
    ),
    "expm1": Case(mp.expm1, {k: [(-45, 80), (-2, 2), *r] for k, r in _EXP.items()}),
    "sigmoid": Case(lambda x: 1 / (1 + mp.exp(-x)), _SATURATING),
    "softplus": Case(_softplus, _SATURATING),
    "log_sigmoid": Case(lambda x: -_softplus(-x), _SATURATING),
    "tanh": Case(mp.tanh, _SATURATING),
    "sinh": Case(mp.sinh, _HYPERBOLIC),
    "cosh": Case(mp.cosh, _HYPERBOLIC),
    "log": Case(mp.log, _POSITIVE),
    "log2": Case(lambda x: mp.log(x) / mp.log(2), _POSITIVE),
    "log10": Case(lambda x: mp.log(x) / mp.log(10), _POSITIVE),
    "log1p": Case(mp.log1p, _both((-0.99, 4), _NEAR, _SMALL, (0, 1e20))),
    "sin": Case(mp.sin, _ANGLES),
    "cos": Case(mp.cos, _ANGLES),
    "tan": Case(mp.tan, _ANGLES),
    "arcsin": Case(mp.asin, _UNIT),
    "arccos": Case(mp.acos, _UNIT),
    "arctan": Case(mp.atan, _LINE),
    "arctan2": Case(lambda y, x: mp.atan2(y, x), _both(((-1, 1), (-1, 1)), ((1, 9), (-1, 1)))),
    "arcsinh": Case(mp.asinh, _LINE),
    "arccosh": Case(mp.acosh, _both((1, 1.1), (1, 10), (1, 1e8))),
    "arctanh": Case(mp.atanh, _both((-0.999, 0.999), (-0.3, 0.3), _SMALL)),
    "erf": Case(mp.erf, _both((-4, 4), (0.9, 1.1), _NEAR, _SMALL)),
    "erfc": Case(mp.erfc, {"f32": [(-3, 9), _NEAR], "f64": [(-3, 26), _NEAR, (0, 5)]}),
    "ndtr": Case(
        lambda x: mp.erfc(-x / mp.sqrt(2)) / 2,
        {"f32": [(-12, 5), _NEAR], "f64": [(-36, 8), _NEAR, (-10, 0)]},
    ),
    "cbrt": Case(mp.cbrt, _both((0, 1), (1, 8), (0, 1e20))),
    "power": Case(
        lambda x, y: mp.power(x, y),
        {
            "f32": [((0.1, 10), (-35, 35)), ((0.999, 1.001), (-8e4, 8e4))],
            "f64": [((0.1, 10), (-300, 300)), ((0.999, 1.001), (-7e5, 7e5))],
        },
    ),
    "hypot": Case(lambda x, y: mp.sqrt(x * x + y * y), _both((_NEAR, _NEAR), (_SMALL, _NEAR))),
    "logaddexp": Case(lambda x, y: mp.log(mp.exp(x) + mp.exp(y)), _both(((0.5, 20), (0.5, 20)))),
    "xlogy": Case(lambda x, y: x * mp.log(y), _both(((-9, 9), (0.1, 9)))),
    "xlog1py": Case(lambda x, y: x * mp.log1p(y), _both(((-9, 9), (-0.9, 9)))),
}


def worst_error(name: str, *operands: Any, lanes: int = 0, plain: bool = False) -> float:
    """The largest |result − exact value|, in units of the last place of the exact value."""
    got = apply(name, *operands, lanes=lanes, plain=plain)
    form = np.finfo(got.dtype)
    worst = 0.0
    with mp.workprec(320):
        for value, *point in zip(got.tolist(), *[x.tolist() for x in operands], strict=True):
            wanted = CASES[name].exact(*map(mpf, point))
            exponent = max(mp.frexp(wanted)[1] - 1, int(form.minexp)) if wanted else form.minexp
            unit = mpf(2) ** (int(exponent) - form.nmant)
            worst = max(worst, float(abs(mpf(value) - wanted) / unit))
    return worst


def _bounds(where: Any) -> Any:
    return where if isinstance(where[0], tuple) else (where,)


def measure(name: str, kind: str, count: int) -> float:
    """The largest error found, in ulp, on `count` numbers of each range of the case."""
    rng = np.random.default_rng(len(name))
    return max(
        worst_error(
            name,
            *[rng.uniform(low, high, count).astype(DTYPES[kind]) for low, high in _bounds(where)],
        )
        for where in CASES[name].ranges[kind]
    )


def page(count: int = 4000) -> str:
    """The table as Markdown."""
    lines = [
        "# Accuracy of the elementary functions in native code",
        "",
        "*Made by `python -m tools.accuracy`: the largest error found against mpmath, in units of",
        "the last place (ulp), on random numbers of each range. The bars are 3 ulp in float32 and",
        "2 ulp in float64; a correctly rounded function would have 0.5.*",
        "",
        "Special values (signed zeros, infinities, NaN, subnormal numbers, overflow) are NumPy's.",
        "`logaddexp` loses digits where its result is near 0, as NumPy's does. `square`, `sqrt`,",
        "`reciprocal`, rounding, `sign`, `fmod`, `remainder`, `floor_divide`, maxima and minima",
        "give NumPy's numbers bit for bit.",
        "",
        "| function | float32 | float64 | ranges (float64) |",
        "|---|---|---|---|",
    ]
    for name, case in CASES.items():
        found = [f"{measure(name, kind, count):.2f}" for kind in ("f32", "f64")]
        where = ", ".join(
            " × ".join(f"[{low:g}, {high:g}]" for low, high in _bounds(where))
            for where in case.ranges["f64"]
        )
        lines.append(f"| `{name}` | {found[0]} | {found[1]} | {where} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
