"""Sequences of samples: differences, gradients, integrals, interpolation, convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from thalweg.errors import NoRuleError
from thalweg.graph.kinds import IDENTITY, Custom, Kind
from thalweg.graph.node import Node
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._checks import settled
from thalweg.ops._families import static
from thalweg.ops._reasons import SCAN
from thalweg.ops.index import as_array, getitem
from thalweg.ops.reduce import NOT_GIVEN
from thalweg.ops.shape import astype

__all__: list[str] = []


def _along(axis: int, index: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, index)


# ---- differences ------------------------------------------------------------------------------


def _end(value: Any, x: Any, axis: int) -> Any:
    """What is put before or after x: an array, or a number for the whole end."""
    value = as_array(value)
    if value.ndim:
        return value
    return np.broadcast_to(value, tuple(1 if i == axis else n for i, n in enumerate(x.shape)))


@implements(np.diff)
def diff(
    a: Any, n: int = 1, axis: int = -1, prepend: Any = NOT_GIVEN, append: Any = NOT_GIVEN
) -> Any:
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    a = as_array(a)
    if a.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = normalize_axis_index(axis, a.ndim)
    parts = [] if prepend is NOT_GIVEN else [_end(prepend, a, axis)]
    parts.append(a)
    if append is not NOT_GIVEN:
        parts.append(_end(append, a, axis))
    if len(parts) > 1:
        a = np.concatenate(parts, axis=axis)
    subtract = np.not_equal if a.dtype == bool else np.subtract
    for _ in range(n):
        a = subtract(a[_along(axis, slice(1, None))], a[_along(axis, slice(None, -1))])
    return a


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    ary = np.ravel(ary)
    parts = [ary[1:] - ary[:-1]]
    if to_begin is not None:
        parts.insert(0, astype(np.ravel(as_array(to_begin)), ary.dtype))
    if to_end is not None:
        parts.append(astype(np.ravel(as_array(to_end)), ary.dtype))
    return np.concatenate(parts)


def _spacings(f: Any, varargs: tuple[Any, ...], axes: tuple[int, ...]) -> list[Any]:
    """A number (uniform), or the array of differences, for each axis."""
    if not varargs:
        return [1.0] * len(axes)
    given = [as_array(v) for v in varargs]
    if len(given) == 1 and given[0].ndim == 0:
        return [varargs[0]] * len(axes)
    if len(given) != len(axes):
        raise TypeError("invalid number of arguments")
    found: list[Any] = []
    for distances, axis in zip(given, axes, strict=True):
        if distances.ndim == 0:
            found.append(distances)
            continue
        if distances.ndim != 1:
            raise ValueError("distances must be either scalars or 1d")
        if distances.shape[0] != f.shape[axis]:
            raise ValueError("when 1d, distances must match the length of the dimension")
        steps = np.diff(astype(distances, float) if distances.dtype.kind in "iu" else distances)
        # Evenly spaced constants take NumPy's shorter formula, so that values agree.
        even = type(steps) is not Node and bool((steps == steps[0]).all())
        found.append(steps[0] if even else steps)
    return found


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = as_array(f)
    axes = tuple(range(f.ndim)) if axis is None else normalize_axis_tuple(axis, f.ndim)
    steps = _spacings(f, varargs, axes)
    if edge_order > 2:
        raise ValueError("'edge_order' greater than 2 not supported")
    if f.dtype.kind in "iu":
        f = astype(f, float)
    found = []
    for along, step in zip(axes, steps, strict=True):
        if f.shape[along] < edge_order + 1:
            raise ValueError(
                "Shape of array too small to calculate a numerical gradient, "
                "at least (edge_order + 1) elements are required."
            )
        # NumPy writes into an array like f, whatever the dtype of the spacing.
        found.append(astype(_gradient_along(f, along, step, edge_order), f.dtype))
    return found[0] if len(axes) == 1 else tuple(found)


def _gradient_along(f: Any, axis: int, step: Any, edge_order: int) -> Any:
    """Central differences inside, one-sided ones of the given order at the ends."""

    def at(low: int | None, high: int | None) -> Any:
        return f[_along(axis, slice(low, high))]

    uniform = np.ndim(step.value if type(step) is Node else step) == 0
    if uniform:
        inner = (at(2, None) - at(None, -2)) / (2.0 * step)
    else:
        shape = tuple(-1 if i == axis else 1 for i in range(f.ndim))
        before, after = np.reshape(step[:-1], shape), np.reshape(step[1:], shape)
        left = -after / (before * (before + after))
        middle = (after - before) / (before * after)
        right = before / (after * (before + after))
        inner = left * at(None, -2) + middle * at(1, -1) + right * at(2, None)
    first = step if uniform else step[0]
    last = step if uniform else step[-1]
    if edge_order == 1:
        start = (at(1, 2) - at(0, 1)) / first
        end = (at(-1, None) - at(-2, -1)) / last
        return np.concatenate([start, inner, end], axis=axis)
    if uniform:
        low = (-1.5 / step, 2.0 / step, -0.5 / step)
        high = (0.5 / step, -2.0 / step, 1.5 / step)
    else:
        low, high = _low_edge(step[0], step[1]), _high_edge(step[-2], step[-1])
    start = low[0] * at(0, 1) + low[1] * at(1, 2) + low[2] * at(2, 3)
    end = high[0] * at(-3, -2) + high[1] * at(-2, -1) + high[2] * at(-1, None)
    return np.concatenate([start, inner, end], axis=axis)


def _low_edge(d1: Any, d2: Any) -> tuple[Any, Any, Any]:
    return -(2.0 * d1 + d2) / (d1 * (d1 + d2)), (d1 + d2) / (d1 * d2), -d1 / (d2 * (d1 + d2))


def _high_edge(d1: Any, d2: Any) -> tuple[Any, Any, Any]:
    return d2 / (d1 * (d1 + d2)), -(d2 + d1) / (d1 * d2), (2.0 * d2 + d1) / (d2 * (d1 + d2))


@implements(np.trapezoid, *[getattr(np, name) for name in ("trapz",) if hasattr(np, name)])
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = as_array(y)
    axis = normalize_axis_index(axis, y.ndim)
    widths = dx
    if x is not None:
        x = as_array(x)
        if x.ndim == 1:
            widths = np.reshape(np.diff(x), tuple(-1 if i == axis else 1 for i in range(y.ndim)))
        else:
            widths = np.diff(x, axis=axis)
    heights = y[_along(axis, slice(1, None))] + y[_along(axis, slice(None, -1))]
    return np.sum(widths * heights / 2.0, axis=axis)


# ---- unwrap -----------------------------------------------------------------------------------

UNWRAP: Primitive = register(
    Primitive(
        name="unwrap",
        value=lambda p, **params: np.unwrap(p, **params),
        local=lambda i, out, p, **params: IDENTITY,  # the jumps taken out are constant
        labels=Labels("unwrap", r"\operatorname{{unwrap}}({0})"),
        batch=lambda operands, batched, params: UNWRAP(
            *operands, **{**params, "axis": params["axis"] + 1}
        ),
        lower=SCAN,
    )
)


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Any:
    static("np.unwrap", discont=discont, period=period)
    axis = normalize_axis_index(axis, p.ndim)
    return UNWRAP(p, discont=discont, axis=axis, period=period)


# ---- interpolation ----------------------------------------------------------------------------


def _periodic(x: Any, xp: Any, fp: Any, period: Any) -> tuple[Any, Any, Any]:
    """Points and samples brought into one period, with a sample more at either end."""
    x, xp = np.remainder(x, period), np.remainder(xp, period)
    order = np.argsort(xp)
    xp, fp = getitem(xp, order), getitem(fp, order)
    xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
    return x, xp, np.concatenate([fp[-1:], fp, fp[:1]])


@implements(np.interp)
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Piecewise linear; at a knot the derivative is that of the interval to its right."""
    x, xp = astype(as_array(x), float), astype(as_array(xp), float)
    fp = as_array(fp)
    fp = astype(fp, complex if fp.dtype.kind == "c" else float)
    if xp.ndim != 1 or fp.ndim != 1:
        raise ValueError("Data points must be 1-D sequences")
    if xp.shape != fp.shape:
        raise ValueError("fp and xp are not of the same length.")
    if not xp.size:
        raise ValueError("array of sample points is empty")
    if period is not None:
        static("np.interp", period=period)
        if period == 0:
            raise ValueError("period must be a non-zero value")
        x, xp, fp = _periodic(x, xp, fp, abs(period))
        left = right = None
    n = xp.shape[0]
    k = np.searchsorted(xp, x, side="right") - 1
    k = np.minimum(np.maximum(k, 0), max(n - 2, 0))
    x0, f0 = getitem(xp, k), getitem(fp, k)
    inside = f0
    if n > 1:
        width = getitem(xp, k + 1) - x0
        width = np.where(np.equal(width, 0), 1.0, width)
        inside = (getitem(fp, k + 1) - f0) / width * (x - x0) + f0
    # From the last knot on there is nothing to the right: its own value, then `right`.
    last, first = xp[-1], xp[0]
    inside = np.where(np.equal(x, last), fp[-1], inside)
    inside = np.where(np.greater(x, last), fp[-1] if right is None else right, inside)
    return np.where(np.less(x, first), fp[0] if left is None else left, inside)


# ---- convolution ------------------------------------------------------------------------------


def _convolve_local(i: int, out: Any, a: Any, v: Any, mode: str) -> Kind:
    #   full: y_k = Σ_j a_j v_{k−j};  backward: ā_j = Σ_k c_k v_{k−j}, the valid part of c * v
    #   reversed. And the other way round: what is valid is pulled back by the full one.
    def pull(c: Any) -> Any:
        if mode == "full":
            return CONVOLVE(c, (a if i else v)[::-1], mode="valid")
        if i == 0:
            return CONVOLVE(c, v[::-1], mode="full")
        return CONVOLVE(a, c[::-1], mode="valid")[::-1]

    def push(t: Any) -> Any:
        return CONVOLVE(a, t, mode=mode) if i else CONVOLVE(t, v, mode=mode)

    def places() -> tuple[Any, Any]:
        short = min(a.shape[0], v.shape[0]) - 1 if mode == "valid" else 0
        columns = np.arange((v if i else a).shape[0])
        rows = columns + np.arange((a if i else v).shape[0])[:, None] - short
        rows, columns = np.broadcast_arrays(rows, columns)
        inside = (rows >= 0) & (rows < out.shape[0])
        return rows[inside], columns[inside]

    return Custom(push, pull, "convolution", pattern=places)


def _lower_convolve(b: Any, out: Any, x: Any, v: Any, mode: str) -> Any:
    """Σ_j v_j x_{k−j}: windows of x (with zeros around it for "full") times v reversed."""
    x, v = b.tensor(x, out.dtype), b.tensor(v, out.dtype)
    if x.kind == "i1":
        b.refuse("a convolution of conditions")
    x, v = (x, v) if x.shape[0] >= v.shape[0] else (v, x)
    n, (k,), length = v.shape[0], out.shape, x.shape[0]
    if mode == "full":
        zeros = b.const(0, x.kind, (length + 2 * (n - 1),))
        x = b.assemble(zeros, [(x, (1,), n - 1)], zeros.shape, x.kind)
    windows = b.view(b.copy(x), (n, k), (1, 1), 0)
    products = b.multiply(windows, b.basic_index(v, (slice(None, None, -1), None)))
    if mode == "full":  # around x there is nothing: 0 · ∞ would be something
        place = b.add(b.iota((n, 1), 0), b.iota((1, k), 1))
        beside = b.logical_or(b.less(place, n - 1), b.greater_equal(place, n - 1 + length))
        products = b.where(beside, b.tensor(0, x.dtype), products)
    return b.reduce("add", products, (0,))


#: Of a sequence with one that is not longer: all of it, or where they overlap completely.
CONVOLVE: Primitive = register(
    Primitive(
        name="convolve",
        value=lambda a, v, mode: np.convolve(a, v, mode),
        local=_convolve_local,
        labels=Labels("convolve", r"{0} * {1}"),
        batch="NumPy convolves one pair of sequences at a time",
        lower=_lower_convolve,
    )
)


def _convolved(a: Any, v: Any, mode: Any) -> Any:
    """The convolution of a with v, which is not longer, as far as `mode` asks for it."""
    mode = {0: "valid", 1: "same", 2: "full"}.get(mode, mode)
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
    if mode != "same":
        return CONVOLVE(a, v, mode=mode)
    start = (v.shape[0] - 1) // 2
    return CONVOLVE(a, v, mode="full")[start : start + a.shape[0]]


def _at_least_1d(x: Any) -> Any:
    return np.atleast_1d(as_array(x))


def _sequence(x: Any, name: str) -> Any:
    if x.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, not of shape {x.shape}")
    if x.size == 0:
        raise ValueError(f"{name} cannot be empty")
    return x


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    a, v = _sequence(_at_least_1d(a), "a"), _sequence(_at_least_1d(v), "v")
    if v.shape[0] > a.shape[0]:
        a, v = v, a
    return _convolved(a, v, mode)


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    a, v = _sequence(as_array(a), "a"), _sequence(as_array(v), "v")
    turned = v.shape[0] > a.shape[0]
    if turned:  # c(a, v) is c(v, a) reversed and conjugated
        a, v = v, a
    found = _convolved(a, np.conj(v)[::-1], mode)
    return np.conj(found)[::-1] if turned else found


# ---- polynomials ------------------------------------------------------------------------------


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """Horner's scheme, as NumPy does it: y ← y x + p_k."""
    if isinstance(x, np.poly1d):
        raise NoRuleError("np.polyval: no rule for a poly1d as x")
    p, x = as_array(p), as_array(x)
    y: Any = np.zeros_like(x)
    for k in range(p.shape[0]):
        y = y * x + p[k]
    return y


def _padded_sum(sign: int) -> Callable[..., Any]:
    def combine(a1: Any, a2: Any) -> Any:
        a1, a2 = _at_least_1d(a1), _at_least_1d(a2)
        n = max(a1.shape[0], a2.shape[0])
        a1, a2 = (np.pad(a, (n - a.shape[0], 0)) for a in (a1, a2))
        return a1 + a2 if sign > 0 else a1 - a2

    return combine


def _without_leading_zeros(p: Any) -> Any:
    p = _at_least_1d(p)
    there = settled(np.not_equal(p, 0))
    return p[int(np.argmax(there)) if there.any() else p.size - 1 :]


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    return convolve(_without_leading_zeros(a1), _without_leading_zeros(a2))


implements(np.polyadd)(_padded_sum(1))
implements(np.polysub)(_padded_sum(-1))


@implements(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    for _ in range(m):
        p = p[:-1] * np.arange(p.shape[0] - 1, 0, -1)
    return p


@implements(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    constants = [0.0] * m if k is None else list(_at_least_1d(k))
    constants = constants * m if len(constants) == 1 else constants
    if len(constants) < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    p = as_array(p)
    for constant in constants[:m]:
        p = np.append(p / np.arange(p.shape[0], 0, -1), constant)
    return p
