"""Makes `src/thalweg/execute/native/coefficients.py`: polynomials and split constants.

    python -m tools.coefficients

Each polynomial is the near-minimax one (Chebyshev interpolation, mpmath) of the quotient that its
function needs, so that the leading terms of the series stay exact and the error is relative.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpmath import mp, mpf

TARGET = (
    Path(__file__).resolve().parents[1] / "src" / "thalweg" / "execute" / "native/coefficients.py"
)
HEADER = '''"""Polynomials (lowest power first), split constants; made by tools/coefficients.py."""

from __future__ import annotations

'''

mp.dps = 60


def rounded(value: Any, kind: str) -> float:
    """The nearest number of the kind."""
    number = float(value)
    return struct.unpack("f", struct.pack("f", number))[0] if kind == "f32" else number


def parts(value: Any, kind: str, count: int) -> tuple[float, ...]:
    """`value` as an unevaluated sum of `count` numbers of the kind."""
    found = []
    for _ in range(count):
        found.append(rounded(value, kind))
        value = value - mpf(found[-1])
    return tuple(found)


def fit(f: Callable[[Any], Any], low: Any, high: Any, count: int, kind: str) -> tuple[float, ...]:
    """`count` coefficients of f on [low, high]."""
    found = mp.chebyfit(f, [mpf(low), mpf(high)], count, asc=True)
    return tuple(rounded(c, kind) for c in found)


def fixed(value: Any, guard: Callable[[Any], Any], at: Any = 0) -> Callable[[Any], Any]:
    """`guard`, with its limit `value` in the point `at` where it is 0/0."""
    return lambda x: mpf(value) if x == at else guard(x)


#: ln 2, rounded down to float32.
LN2_F32 = 0xB17217 * 2.0**-24


def exponentials() -> dict[str, dict[str, tuple[float, ...]]]:
    """e^r = 1 + r + r² EXP(r), 2^r = 1 + r EXP2(r) about 0, by half the spacing of powers of 2.

    tanh x = x + x³ TANH(x²) up to 0.6.
    """
    half = mp.log(2) / 2 * mpf("1.0001")
    e = fixed(0.5, lambda r: (mp.expm1(r) - r) / r**2)
    tanh = fixed(-mpf(1) / 3, lambda z: (mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z)
    two = fixed(mp.log(2), lambda r: mp.expm1(r * mp.log(2)) / r)
    return {
        "EXP": {k: fit(e, -half, half, n, k) for k, n in (("f32", 5), ("f64", 10))},
        "EXP2": {k: fit(two, -0.5001, 0.5001, n, k) for k, n in (("f32", 7), ("f64", 12))},
        # The second part is positive: k ln 2 is ±inf for k = ±inf, not NaN.
        "LN2": {
            "f32": (LN2_F32, rounded(mp.log(2) - LN2_F32, "f32")),
            "f64": parts(mp.log(2), "f64", 2),
        },
        "TANH": {k: fit(tanh, 0, 0.361, n, k) for k, n in (("f32", 5), ("f64", 11))},
        "LOG2E": {k: parts(1 / mp.log(2), k, 2) for k in ("f32", "f64")},
    }


def logarithms() -> dict[str, dict[str, tuple[float, ...]]]:
    """log(1 + f) = f − f²/2 + f³ LOG(f) in float32;

    in float64 s = f/(2 + f), log(1 + f) = 2s + s³ LOG(s²); f from −¼ to ½.
    LOG_UNIT is the same for f from 0 to 1.
    """
    direct = fixed(mpf(1) / 3, lambda f: (mp.log1p(f) - f + f**2 / 2) / f**3)
    odd = fixed(mpf(2) / 3, lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z)
    return {
        "LOG": {
            "f32": fit(direct, -0.25, 0.5, 10, "f32"),
            "f64": fit(odd, 0, 0.04, 8, "f64"),
        },
        "LOG_UNIT": {
            "f32": fit(direct, 0, 1, 10, "f32"),
            "f64": fit(odd, 0, mpf(1) / 9, 11, "f64"),
        },
        "LOG10E": {k: parts(1 / mp.log(10), k, 2) for k in ("f32", "f64")},
        "LOG10_2": {k: parts(mp.log10(2), k, 2) for k in ("f32", "f64")},
    }


def powers() -> dict[str, Any]:
    """log m = 2s + s THIRD s² + s⁵ LOG_LONG(s²) with s = (m − 1)/(m + 1), f64; log₂ m = s LOG_SHORT
    and 2^r = 1 + r EXP2_SHORT(r) to 40 digits; m^−⅓ = CBRT(m − 1), times CBRT_STEPS for m/2, m, 2m.
    """
    long = fixed(
        mpf(2) / 5, lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2 - 2 * z / 3) / z**2
    )
    short = fixed(2 / mp.log(2), lambda z: 2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) / mp.log(2))
    two = fixed(mp.log(2), lambda r: mp.expm1(r * mp.log(2)) / r)
    root = lambda f: (1 + f) ** (-mpf(1) / 3)  # noqa: E731
    steps = [mpf(2) ** (-mpf(j) / 3) for j in (-1, 0, 1)]
    return {
        "LOG_LONG": {"f64": fit(long, 0, 0.04, 9, "f64")},
        "LOG_SHORT": {"f64": fit(short, 0, 0.04, 7, "f64")},
        "EXP2_SHORT": {"f64": fit(two, -0.5001, 0.5001, 7, "f64")},
        "THIRD": {"f64": parts(mpf(2) / 3, "f64", 2)},
        "CBRT": {k: fit(root, -0.25, 0.5, n, k) for k, n in (("f32", 5), ("f64", 8))},
        "CBRT_STEPS": {k: tuple(rounded(s, k) for s in steps) for k in ("f32", "f64")},
    }


def errors() -> dict[str, Any]:
    """erf x = x + x ERF_NEAR(x²) up to 1; erf x = 1 − e^−x² ERF_FAR(1/(x + 3) − 0.18) from there to
    where it rounds to 1 (4 in float32, 6 in float64);

    erfc x = e^−x² (1 + v ERFC(v − 1))/(1 + 2x), v = 2x/(x + 3¾), from 0 to where it vanishes.
    """
    near = fixed(2 / mp.sqrt(mp.pi) - 1, lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1)
    scaled = lambda x: mp.exp(x * x) * mp.erfc(x)  # noqa: E731
    place = lambda t: mpf(15) / 4 * (1 + t) / (1 - t)  # noqa: E731
    tail = fixed(
        (2 - 2 / mp.sqrt(mp.pi)) * mpf(15) / 8,
        lambda t: (scaled(place(t)) * (1 + 2 * place(t)) - 1) / (1 + t),
        at=-1,
    )
    shift = mpf(0.18)
    far = {
        k: fit(
            lambda u: scaled(1 / (u + shift) - 3),
            1 / (mpf(top) + 3) - shift,
            mpf(1) / 4 - shift,
            n,
            k,
        )
        for k, n, top in (("f32", 7, 4), ("f64", 15, 6))
    }
    return {
        "ERF_NEAR": {k: fit(near, 0, 1, n, k) for k, n in (("f32", 7), ("f64", 12))},
        "ERF_FAR": far,
        "ROOT_HALF": {k: parts(mp.sqrt(0.5), k, 2) for k in ("f32", "f64")},
        "ERFC": {
            k: fit(tail, -1, (mpf(top) - mpf(15) / 4) / (mpf(top) + mpf(15) / 4), n, k)
            for k, n, top in (("f32", 12, 11), ("f64", 24, 28))
        },
    }


def angles() -> dict[str, Any]:
    """sin r = r + r³ SIN(r²), cos r = 1 − r²/2 + r⁴ COS(r²) up to π/4;

    arctan r = r + r³ ARCTAN(r²) up to 7/16; arcsin s = s + s³ ARCSIN(s²) up to ½.
    """
    sin = fixed(-mpf(1) / 6, lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z)
    cos = fixed(mpf(1) / 24, lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2)
    arctan = fixed(-mpf(1) / 3, lambda z: (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z)
    arcsin = fixed(mpf(1) / 6, lambda z: (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z)
    quarter = (mp.pi / 4) ** 2 * mpf("1.0001")
    steps = [mp.atan(0.5), mp.pi / 4, mp.atan(1.5), mp.pi / 2]
    with mp.workprec(1400):
        digits = int(mp.floor(2 / mp.pi * mpf(2) ** 1216))
    return {
        "SIN": {k: fit(sin, 0, quarter, n, k) for k, n in (("f32", 4), ("f64", 7))},
        "COS": {k: fit(cos, 0, quarter, n, k) for k, n in (("f32", 4), ("f64", 7))},
        "HALF_PI": {k: parts(mp.pi / 2, k, 3) for k in ("f32", "f64")},
        "ARCTAN": {k: fit(arctan, 0, mpf(49) / 256, n, k) for k, n in (("f32", 5), ("f64", 11))},
        "ARCTAN_ANGLES": {k: tuple(parts(a, k, 2) for a in steps) for k in ("f32", "f64")},
        "ARCSIN": {k: fit(arcsin, 0, 0.25, n, k) for k, n in (("f32", 6), ("f64", 13))},
        # The binary digits of 2/π, the lowest 64 first.
        "TWO_OVER_PI": [digits >> 64 * i & (1 << 64) - 1 for i in range(19)],
    }


def shown(name: str, value: Any) -> str:
    """A table as Python text."""
    if isinstance(value, list):
        return "\n".join([f"{name} = (", *[f"    0x{number:016X}," for number in value], ")", ""])
    inner = "tuple[float, float]" if isinstance(value["f64"][0], tuple) else "float"
    lines = [f"{name}: dict[str, tuple[{inner}, ...]] = {{"]
    for kind, numbers in value.items():
        lines.append(f'    "{kind}": (')
        lines += [f"        {number!r}," for number in numbers]
        lines.append("    ),")
    return "\n".join([*lines, "}", ""])


def text() -> str:
    """The whole file."""
    tables = {**exponentials(), **logarithms(), **powers(), **angles(), **errors()}
    return HEADER + "".join(shown(name, value) for name, value in tables.items())


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
