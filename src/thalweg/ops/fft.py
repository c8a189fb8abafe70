"""Discrete Fourier transforms: linear, so their derivative is the transform itself.

Four operations, `fft`, `ifft`, `rfft` and `irfft` along one axis; the rest is composed of them as
NumPy composes it. Cotangents pair as Re Σ c·t without conjugation, so the transpose of the
(symmetric) DFT matrix is the DFT again. With padding or truncation y = F Z x, Z cropping or filling
up to n entries, the pull is c → Zᵀ F c.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.errors import NoRuleError
from thalweg.graph.kinds import Custom, Kind
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops._families import static
from thalweg.ops._matrices import conj
from thalweg.ops._reasons import FFT as REASON

__all__: list[str] = []

_SWAPPED: dict[str | None, Any] = {
    None: "forward",
    "backward": "forward",
    "ortho": "ortho",
    "forward": "backward",
}


def _fitted(x: Any, axis: int, n: int) -> Any:
    """x cropped or filled up with zeros to n entries along the axis."""
    have = x.shape[axis]
    if have == n:
        return x
    if have > n:
        return x[(slice(None),) * axis + (slice(n),)]
    missing = np.zeros((*x.shape[:axis], n - have, *x.shape[axis + 1 :]), x.dtype)
    return np.concatenate((x, missing), axis=axis)


def _transform(
    name: str, value: Callable[..., Any], local: Callable[..., Kind], tex: str
) -> Primitive:
    def batch(operands: Any, batched: Any, params: Any) -> Any:
        return primitive(operands[0], **{**params, "axis": params["axis"] + 1})

    primitive = register(
        Primitive(
            name=name,
            value=lambda x, n, axis, norm: value(x, n, axis, norm),
            local=local,
            labels=Labels(name, tex),
            batch=batch,
            lower=REASON,
        )
    )
    return primitive


def _complex_local(function: Callable[..., Any]) -> Callable[..., Kind]:
    def local(i: int, out: Any, x: Any, n: int, axis: int, norm: Any) -> Kind:
        return Custom(
            push=lambda t: function(t, n, axis, norm),
            pull=lambda c: _fitted(function(c, n, axis, norm), axis, x.shape[axis]),
            name=function.__name__,
            pattern=(axis,),
        )

    return local


def _rfft_local(i: int, out: Any, x: Any, n: int, axis: int, norm: Any) -> Kind:
    # The first n//2 + 1 entries of the DFT of real x: Re F (c, 0, …).
    return Custom(
        push=lambda t: np.fft.rfft(t, n, axis, norm),
        pull=lambda c: _fitted(np.real(np.fft.fft(c, n, axis, norm)), axis, x.shape[axis]),
        name="rfft",
        pattern=(axis,),
    )


def _irfft_local(i: int, out: Any, x: Any, n: int, axis: int, norm: Any) -> Kind:
    # y_j = Re Σ_k w_k x_k exp(2πi jk/n) over k ≤ n/2: w is 1 at both ends, 2 between, where the
    # entry stands for its mirror image too. Pulled back: w_k Σ_j c_j exp(2πi jk/n).
    bins = n // 2 + 1
    weights = np.full(bins, 2.0, out.dtype)
    weights[0] = 1.0
    if n % 2 == 0:
        weights[-1] = 1.0
    weights = weights.reshape((bins,) + (1,) * (x.ndim - axis - 1))

    def pull(c: Any) -> Any:
        mirrored = np.conjugate(np.fft.rfft(c, n, axis, _SWAPPED[norm]))
        return _fitted(weights * mirrored, axis, x.shape[axis])

    return Custom(
        push=lambda t: np.fft.irfft(t, n, axis, norm), pull=pull, name="irfft", pattern=(axis,)
    )


FFT = _transform("fft", np.fft.fft, _complex_local(np.fft.fft), r"\mathcal{{F}} {0}")
IFFT = _transform("ifft", np.fft.ifft, _complex_local(np.fft.ifft), r"\mathcal{{F}}^{{-1}} {0}")
RFFT = _transform("rfft", np.fft.rfft, _rfft_local, r"\mathcal{{F}} {0}")
IRFFT = _transform("irfft", np.fft.irfft, _irfft_local, r"\mathcal{{F}}^{{-1}} {0}")


def _along(
    primitive: Primitive, a: Any, n: Any, axis: int, norm: Any, out: Any, length: int
) -> Any:
    if out is not None:
        raise NoRuleError(f"np.fft.{primitive.name}: out= has no rule; use the result")
    if norm not in _SWAPPED:
        raise ValueError(f'Invalid norm value {norm}; should be "backward","ortho" or "forward".')
    static(f"np.fft.{primitive.name}", n=n)
    axis = np.lib.array_utils.normalize_axis_index(axis, a.ndim)
    return primitive(a, n=int(length if n is None else n), axis=axis, norm=norm)


@implements(np.fft.fft)
def fft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _along(FFT, a, n, axis, norm, out, a.shape[axis])


@implements(np.fft.ifft)
def ifft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _along(IFFT, a, n, axis, norm, out, a.shape[axis])


@implements(np.fft.rfft)
def rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _along(RFFT, a, n, axis, norm, out, a.shape[axis])


@implements(np.fft.irfft)
def irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return _along(IRFFT, a, n, axis, norm, out, 2 * (a.shape[axis] - 1))


@implements(np.fft.hfft)
def hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return irfft(conj(a), n, axis, _swapped(norm), out)


@implements(np.fft.ihfft)
def ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return np.conjugate(rfft(a, n, axis, _swapped(norm), out))


def _swapped(norm: Any) -> Any:
    return _SWAPPED.get(norm, norm)


# ---- several axes: one after the other, in NumPy's order --------------------------------------


def _lengths(a: Any, s: Any, axes: Any, real_end: bool = False) -> tuple[list[int], list[int]]:
    """Lengths and axes of an n-dimensional transform; the last length of an inverse real one."""
    if axes is None:
        axes = list(range(-(a.ndim if s is None else len(s)), 0))
    axes = [int(axis) for axis in axes]
    if s is None:
        s = [a.shape[axis] for axis in axes]
        if real_end:
            s[-1] = 2 * (s[-1] - 1)
    if len(s) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    return [
        a.shape[k] if n == -1 or n is None else int(n) for n, k in zip(s, axes, strict=True)
    ], axes


def _each(
    function: Callable[..., Any], a: Any, lengths: Sequence[int], axes: Sequence[int], norm: Any
) -> Any:
    for n, axis in zip(lengths, axes, strict=True):
        a = function(a, n, axis, norm)
    return a


@implements(np.fft.fftn)
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    lengths, axes = _lengths(a, s, axes)
    return _each(fft, a, lengths[::-1], axes[::-1], norm)


@implements(np.fft.ifftn)
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    lengths, axes = _lengths(a, s, axes)
    return _each(ifft, a, lengths[::-1], axes[::-1], norm)


@implements(np.fft.rfftn)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    lengths, axes = _lengths(a, s, axes)
    a = rfft(a, lengths[-1], axes[-1], norm)
    return _each(fft, a, lengths[-2::-1], axes[-2::-1], norm)


@implements(np.fft.irfftn)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    lengths, axes = _lengths(a, s, axes, real_end=True)
    a = _each(ifft, a, lengths[:-1], axes[:-1], norm)
    return irfft(a, lengths[-1], axes[-1], norm)


@implements(np.fft.fft2)
def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    return fftn(a, s, axes, norm, out)


@implements(np.fft.ifft2)
def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    return ifftn(a, s, axes, norm, out)


@implements(np.fft.rfft2)
def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    return rfftn(a, s, axes, norm, out)


@implements(np.fft.irfft2)
def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    return irfftn(a, s, axes, norm, out)


# ---- shifts ---------------------------------------------------------------------------------


def _shifted(x: Any, axes: Any, sign: int) -> Any:
    # fftshift turns by n//2, ifftshift back by it.
    axes = tuple(range(x.ndim)) if axes is None else axes
    axes = axes if isinstance(axes, tuple) else tuple(np.atleast_1d(axes).tolist())
    return np.roll(x, tuple(sign * (x.shape[axis] // 2) for axis in axes), axes)


@implements(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    return _shifted(x, axes, 1)


@implements(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    return _shifted(x, axes, -1)
