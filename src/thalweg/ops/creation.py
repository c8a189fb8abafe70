"""New arrays in the likeness of traced ones: handles that assignment works on."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.graph.node import Node, constant
from thalweg.graph.primitive import implements

__all__: list[str] = []


def _plain(value: Any) -> Any:
    return value.value if type(value) is Node else value


@implements(np.zeros_like)
def zeros_like(a: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, *, device: Any = None) -> Node:  # fmt: skip
    return constant(np.zeros_like(np.asarray(_plain(a)), dtype=dtype, shape=shape))


@implements(np.ones_like)
def ones_like(a: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, *, device: Any = None) -> Node:  # fmt: skip
    return constant(np.ones_like(np.asarray(_plain(a)), dtype=dtype, shape=shape))


@implements(np.zeros)
def zeros(shape: Any, dtype: Any = float, order: Any = "C", *, device: Any = None) -> Node:
    return constant(np.zeros(shape, dtype))


@implements(np.ones)
def ones(shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None) -> Node:
    return constant(np.ones(shape, dtype or float))


@implements(np.shape)
def shape(a: Any) -> tuple[int, ...]:
    return np.shape(_plain(a))


@implements(np.ndim)
def ndim(a: Any) -> int:
    return np.ndim(_plain(a))


@implements(np.size)
def size(a: Any, axis: Any = None) -> int:
    return np.size(_plain(a), axis)


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    return np.iscomplexobj(_plain(x))
