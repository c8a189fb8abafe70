"""Entries over small mains, for the tests of the call path."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from thalweg.execute.native import jit
from thalweg.execute.native.call import ArrayLeaf, ArrayOut, CallPlan, make_entry
from thalweg.tree import flatten

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
SHAPE = (2, 3)

# Mains over ndarrays of 6 float64; `copy` takes numbers.
TEXT = """
define i64 @add(ptr %in, ptr %out, ptr %arena) nounwind {
entry:
  %a = load ptr, ptr %in
  %pb = getelementptr ptr, ptr %in, i64 1
  %b = load ptr, ptr %pb
  %c = load ptr, ptr %out
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %j, %next ]
  %pa = getelementptr double, ptr %a, i64 %i
  %x = load double, ptr %pa
  %pd = getelementptr double, ptr %b, i64 %i
  %y = load double, ptr %pd
  %z = fadd double %x, %y
  %pt = getelementptr double, ptr %arena, i64 %i
  store double %z, ptr %pt
  %pz = getelementptr double, ptr %c, i64 %i
  store double %z, ptr %pz
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, 6
  br i1 %more, label %next, label %done
done:
  ret i64 0
}
define i64 @copy2(ptr %in, ptr %out, ptr %arena) nounwind {
  %a = load ptr, ptr %in
  %x = load i64, ptr %a
  %pb = getelementptr ptr, ptr %in, i64 1
  %b = load ptr, ptr %pb
  %y = load i64, ptr %b
  %c = load ptr, ptr %out
  store i64 %x, ptr %c
  %pd = getelementptr ptr, ptr %out, i64 1
  %d = load ptr, ptr %pd
  store i64 %y, ptr %d
  ret i64 0
}
define i64 @nothing(ptr %in, ptr %out, ptr %arena) nounwind { ret i64 0 }
define i64 @guard(ptr %in, ptr %out, ptr %arena) nounwind { ret i64 1 }
"""


class Missed(NamedTuple):
    """What the fallback got."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def fallback(*args: Any, **kwargs: Any) -> Missed:
    return Missed(args, kwargs)


@functools.cache
def library() -> jit.Library:
    return jit.load(TEXT)


def make(
    main: str,
    args: tuple[Any, ...],
    inputs: tuple[Any, ...],
    result: Any,
    outputs: tuple[Any, ...],
    otherwise: Callable[..., Any] = fallback,
    **more: Any,
) -> Callable[..., Any]:
    """An entry for arguments like `args` with a result like `result`."""
    plan = CallPlan(flatten(args)[1], inputs, flatten(result)[1], outputs, **more)
    return make_entry(plan, library().address(main), otherwise, library())


ARRAY = ArrayLeaf(SHAPE, F64)
NEW = ArrayOut(SHAPE, F64)


def numbers(first: float = 0.0) -> np.ndarray[Any, Any]:
    return np.arange(first, first + 6).reshape(SHAPE)


class Point(NamedTuple):
    x: Any
    y: Any


@dataclass(frozen=True)
class Layer:
    w: Any
    name: str = "layer"


@dataclass(slots=True)
class Slotted:
    w: Any
