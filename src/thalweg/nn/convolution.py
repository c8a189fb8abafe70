"""Convolution and pooling of images: batches of shape (N, height, width, channels)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.array import Array
from thalweg.errors import ShapeError, UserError
from thalweg.nn.initialisers import Initialiser, he_normal
from thalweg.nn.layers import Layer, drawn, floating, size
from thalweg.random import generator
from thalweg.tree import static

__all__ = ["AvgPool2D", "Conv2D", "MaxPool2D"]

_Pair = tuple[int, int]


def _pair(owner: str, name: str, value: Any) -> _Pair:
    """One positive integer for both axes, or one each."""
    both = value if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2:
        raise UserError(f"{owner}: {name} is a positive integer or two of them, got {value!r}")
    first, second = size(owner, **{f"{name}[{k}]": n for k, n in enumerate(both)})
    return first, second


def _windows(layer: Layer, x: Any, window: _Pair, stride: _Pair) -> Any:
    """Windows over height and width: (N, rows, columns, channels, *window)."""
    if any(n < k for n, k in zip(x.shape[1:3], window, strict=True)):
        raise ShapeError(
            f"{layer!r}: the window {window} is larger than the image {x.shape[1:3]}, padding "
            "included"
        )
    seen = np.lib.stride_tricks.sliding_window_view(x, window, axis=(1, 2))
    return seen[:, :: stride[0], :: stride[1]]


def _images(layer: Layer, x: Any, channels: int | None = None) -> Any:
    x = x if isinstance(x, Array) else np.asarray(x)
    if x.ndim != 4 or (channels is not None and x.shape[-1] != channels):
        last = "channels" if channels is None else channels
        raise ShapeError(
            f"{layer!r}: x has shape {x.shape}, expected (N, height, width, {last}): channels last"
        )
    return x


@dataclass(frozen=True, repr=False)
class Conv2D(Layer):
    """Cross-correlation with a kernel, the convolution of neural networks.

    ``out[n, i, j, o] = b[o] + Σ x[n, s i + p, s j + q, c] W[p, q, c, o]`` over p, q, c: windows,
    then one matrix product. Source: LeCun, Bottou, Bengio, Haffner, Gradient-based learning
    applied to document recognition (1998). Make one with `Conv2D.create`.

    Parameters
    ----------
    W : array of shape (rows, columns, channels in, channels out)
    b : array of shape (channels out,), or None
    stride : tuple of int
        s, for height and width.
    padding : {"valid", "same"}
        "same" puts zeros around: with stride 1 the image keeps its size; with another one it has
        ⌈size / s⌉, the odd zero at the end.

    Raises
    ------
    ShapeError
        If W and b do not fit, or `x`, when called, is not of shape (N, height, width, channels
        in), or smaller than the kernel.
    UserError
        For another padding, or strides that are not positive.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> layer = tw.nn.Conv2D.create(0, 1, 8, 3, padding="same", stride=2)
    >>> layer
    Conv2D(3 × 3, 1 → 8, stride (2, 2), same, 80 parameters)
    >>> layer(np.zeros((5, 28, 28, 1))).shape
    (5, 14, 14, 8)
    """

    W: Any
    b: Any = None
    stride: _Pair = static(default=(1, 1))
    padding: str = static(default="valid")

    def __post_init__(self) -> None:
        shape = np.shape(self.W)
        if len(shape) != 4 or (self.b is not None and np.shape(self.b) != shape[3:]):
            raise ShapeError(
                f"Conv2D: W has shape {shape}; it is (rows, columns, channels in, channels out), b "
                "is (channels out,)"
            )
        object.__setattr__(self, "stride", _pair("Conv2D", "stride", self.stride))
        if self.padding not in ("valid", "same"):
            raise UserError(f"Conv2D: padding={self.padding!r}, it must be 'valid' or 'same'")

    @classmethod
    def create(
        cls,
        rng: np.random.Generator | int,
        n_in: int,
        n_out: int,
        window: int | _Pair,
        *,
        stride: int | _Pair = 1,
        padding: str = "valid",
        init: Initialiser = he_normal,
        bias: bool = True,
        dtype: Any = np.float64,
    ) -> Conv2D:
        """A layer with random weights, and biases of 0.

        Parameters
        ----------
        rng : numpy.random.Generator or int
        n_in, n_out : int
            Channels.
        window : int or pair of int
            Rows and columns of the kernel.
        stride, padding
            As of the layer.
        init : callable
        bias : bool
        dtype : {float64, float32}
        """
        n_in, n_out = size("Conv2D", n_in=n_in, n_out=n_out)
        dtype = floating("Conv2D", dtype)
        shape = (*_pair("Conv2D", "window", window), n_in, n_out)
        W = drawn("Conv2D", init, generator(rng), shape, dtype)
        b = np.zeros(n_out, dtype) if bias else None
        return cls(W, b, _pair("Conv2D", "stride", stride), padding)

    def _form(self) -> str:
        shape = np.shape(self.W)
        if len(shape) != 4:
            return f"W of shape {shape}"
        rows, columns, n_in, n_out = shape
        told = f"{rows} × {columns}, {n_in} → {n_out}"
        if self.stride != (1, 1):
            told += f", stride {self.stride}"
        told += ", same" if self.padding == "same" else ""
        return told + (", no bias" if self.b is None else "")

    def __call__(self, x: Any) -> Any:
        rows, columns, n_in, n_out = np.shape(self.W)
        x = _images(self, x, n_in)
        if self.padding == "same":
            around = [
                _around(n, k, s)
                for n, k, s in zip(x.shape[1:3], (rows, columns), self.stride, strict=True)
            ]
            x = np.pad(x, ((0, 0), *around, (0, 0)))
        seen = _windows(self, x, (rows, columns), self.stride)
        places, length = seen.shape[:3], rows * columns * n_in
        patches = np.reshape(np.transpose(seen, (0, 1, 2, 4, 5, 3)), (math.prod(places), length))
        out = np.reshape(patches @ np.reshape(self.W, (length, n_out)), (*places, n_out))
        return out if self.b is None else out + self.b


def _around(n: int, window: int, stride: int) -> _Pair:
    """Zeros before and after an axis of `n`, for ⌈n / stride⌉ places."""
    missing = max((math.ceil(n / stride) - 1) * stride + window - n, 0)
    return missing // 2, missing - missing // 2


@dataclass(frozen=True, repr=False)
class _Pool2D(Layer):
    """One number a window and channel. Places at the edge that no whole window has are left out.

    Parameters
    ----------
    window : int or pair of int
    stride : int or pair of int, optional
        By default the window: none overlaps.
    """

    window: _Pair = static(default=(2, 2))
    stride: _Pair | None = static(default=None)

    def __post_init__(self) -> None:
        name = type(self).__name__
        window = _pair(name, "window", self.window)
        object.__setattr__(self, "window", window)
        stride = window if self.stride is None else _pair(name, "stride", self.stride)
        object.__setattr__(self, "stride", stride)

    def _form(self) -> str:
        rows, columns = self.window
        return f"{rows} × {columns}" + (
            "" if self.stride == self.window else f", stride {self.stride}"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._form()})"

    def _pooled(self, x: Any, reduce: Callable[..., Any]) -> Any:
        stride = self.window if self.stride is None else self.stride
        x = _images(self, x)
        seen = _windows(self, x, self.window, stride)
        if stride != self.window:
            return reduce(seen, axis=(-2, -1))
        # No number is in two windows, so the gradient has nothing to add up.
        (n, rows, columns, channels), (height, width) = seen.shape[:4], self.window
        x = x[:, : rows * height, : columns * width]
        tiles = np.reshape(x, (n, rows, height, columns, width, channels))
        return reduce(tiles, axis=(2, 4))


@dataclass(frozen=True, repr=False)
class MaxPool2D(_Pool2D):
    """The largest number of each window, channel by channel; a tie shares the gradient.

    Places at the edge that fill no window are left out.

    Parameters
    ----------
    window : int or pair of int
    stride : int or pair of int, optional
        By default the window: none overlaps.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> tw.nn.MaxPool2D(2)(np.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """

    def __call__(self, x: Any) -> Any:
        return self._pooled(x, np.max)


@dataclass(frozen=True, repr=False)
class AvgPool2D(_Pool2D):
    """The mean of each window, channel by channel: as `MaxPool2D`."""

    def __call__(self, x: Any) -> Any:
        return self._pooled(x, np.mean)
