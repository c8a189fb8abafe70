"""Random numbers as a function of a key: the same key gives the same numbers, always."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.graph.kinds import Zero
from thalweg.graph.primitive import Labels, Primitive, register

__all__ = ["DRAW", "WORDS"]

#: Length of a key, in words of 64 bits: that of a key of Philox.
WORDS = 2
# Keys that are split off come from another part of the key's stream than its numbers.
_SPLIT = 1 << 255


def _one(key: Any, kind: str, shape: tuple[int, ...], dtype: Any) -> Any:
    counter = _SPLIT if kind == "bits" else 0
    bits = np.random.Philox(key=key, counter=counter)
    if kind == "bits":
        return bits.random_raw(int(np.prod(shape))).reshape(shape)
    generator = np.random.Generator(bits)
    draw = generator.random if kind == "uniform" else generator.standard_normal
    return draw(shape, dtype=dtype)


def _value(keys: Any, kind: str, shape: tuple[int, ...], dtype: Any) -> Any:
    """Numbers of one key, or of keys along axes in front."""
    keys = np.asarray(keys)
    if keys.ndim == 1:
        return np.asarray(_one(keys, kind, shape, dtype))[()]
    out = np.empty((*keys.shape[:-1], *shape), dtype)
    for at in np.ndindex(keys.shape[:-1]):
        out[at] = _one(keys[at], kind, shape, dtype)
    return out


DRAW: Primitive = register(
    Primitive(
        name="random",
        value=_value,
        local=lambda i, out, key, **params: Zero("random numbers do not vary smoothly with a key"),
        labels=Labels("random", r"\operatorname{{random}}({0})"),
        batch=lambda operands, batched, params: DRAW(operands[0], **params),
        lower="NumPy's Philox draws it",
    )
)
