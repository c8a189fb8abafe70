"""What the tensor language means: a program of tensors evaluated with NumPy, for tests.

And functions recorded, lowered and compared with what NumPy gave.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.special

from thalweg.array import Array
from thalweg.execute.native.ir import Tensor, dtype_of
from thalweg.execute.native.lower import Step, lower
from thalweg.graph.graph import Graph, between
from thalweg.graph.node import Node, input_node
from thalweg.graph.primitive import PRIMITIVES
from thalweg.guards import Recording
from thalweg.tracing import result_leaves

REDUCTIONS = {
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "or": np.logical_or,
    "and": np.logical_and,
}


def scalar(name: str, operands: Sequence[Any]) -> Any:
    """The scalar function `name`, entry by entry."""
    if name in ("copy", "positive"):
        return operands[0]
    if name.startswith("cast to "):
        return operands[0].astype(dtype_of(name[8:]))
    if hasattr(np, name):
        return getattr(np, name)(*operands)
    if name in PRIMITIVES:
        return PRIMITIVES[name].value(*operands)
    return getattr(scipy.special, name)(*operands)


def evaluate(
    outputs: Sequence[Tensor],
    inputs: Sequence[Any],
    arrays: Sequence[Any] = (),
    steps: Sequence[Step] = (),
) -> list[Any]:
    """Values of the tensors for these arguments of the program."""
    needed: dict[int, Tensor] = {}
    stack = list(outputs)
    while stack:
        x = stack.pop()
        if x.serial not in needed:
            needed[x.serial] = x
            stack.extend(x.args)
    values: dict[int, Any] = {}
    with np.errstate(all="ignore"):
        for serial in sorted(needed):
            x = needed[serial]
            args = [values[a.serial] for a in x.args]
            value = _evaluate(x, args, inputs, arrays, steps)
            if x.kind != "several":
                value = np.asarray(value)
                assert value.shape == x.shape, (x, value.shape)
                assert value.dtype == x.dtype, (x, value.dtype)
            values[serial] = value
    return [values[x.serial] for x in outputs]


def _evaluate(x: Tensor, args: list[Any], inputs: Any, arrays: Any, steps: Any) -> Any:
    data = x.data
    if x.op == "input":
        return inputs[data]
    if x.op == "const":
        return arrays[data[1]] if isinstance(data, tuple) else np.full(x.shape, data, x.dtype)
    if x.op == "map":
        found = np.asarray(scalar(data, args))
        return np.broadcast_to(found.astype(x.dtype, copy=False), x.shape)
    if x.op == "iota":
        shape = [n if k == data else 1 for k, n in enumerate(x.shape)]
        return np.broadcast_to(np.arange(x.shape[data], dtype=x.dtype).reshape(shape), x.shape)
    if x.op == "reduce":
        how, axes = data
        assert axes
        wide = args[0].astype(np.float64) if x.kind == "f32" and how == "add" else args[0]
        return REDUCTIONS[how].reduce(wide, axis=axes).astype(x.dtype)
    if x.op == "view":
        return _view(args[0], x.shape, *data)
    if x.op == "matmul":
        return np.matmul(*args)
    if x.op == "gather":
        _in_range(args[1], args[0].size)
        return args[0].reshape(-1)[args[1]]
    if x.op == "scatter":
        return _scatter(data, *args)
    if x.op == "assemble":
        return _assemble(x, args)
    if x.op == "opaque":
        return steps[data].run(*args)
    assert x.op == "part"
    return args[0][data]


def _in_range(positions: Any, size: int) -> None:
    assert ((positions >= 0) & (positions < size)).all()


def _places(shape: Any, strides: Any, offset: int) -> Any:
    places = np.full(shape, offset)
    for axis, (n, step) in enumerate(zip(shape, strides, strict=True)):
        places += np.arange(n).reshape([n if k == axis else 1 for k in range(len(shape))]) * step
    return places


def _view(x: Any, shape: Any, strides: Any, offset: int) -> Any:
    places = _places(shape, strides, offset)
    _in_range(places, x.size)
    return x.reshape(-1)[places]


def _scatter(how: str, x: Any, positions: Any, values: Any) -> Any:
    assert positions.shape == values.shape
    assert x.dtype == values.dtype
    _in_range(positions, x.size)
    flat = x.flatten()
    if how == "add":
        np.add.at(flat, positions.ravel(), values.ravel())
    else:
        for place, value in zip(positions.ravel().tolist(), values.ravel(), strict=True):
            flat[place] = value
    return flat.reshape(x.shape)


def _assemble(x: Tensor, args: list[Any]) -> Any:
    has_base, places = x.data
    written = np.zeros(x.shape, bool).reshape(-1)
    result = np.array(args[0] if has_base else np.zeros(x.shape, x.dtype)).reshape(-1)
    for part, (strides, offset) in zip(args[has_base:], places, strict=True):
        assert part.dtype == x.dtype
        where = _places(part.shape, strides, offset)
        _in_range(where, result.size)
        assert np.unique(where).size == where.size, "a part writes an entry twice"
        result[where] = part
        written[where] = True
    assert has_base or written.all(), "the parts leave a gap"
    return result.reshape(x.shape)


# ---- functions lowered and compared ------------------------------------------------------------


def record(function: Any, arguments: Any) -> Graph:
    """The graph of a call with all arguments traced, integers and masks too."""
    with Recording(copying=True) as guards, np.errstate(all="ignore"):
        nodes = [input_node(x) for x in arguments]
        outputs, _ = result_leaves(function(*map(Array, nodes)))
    return between(nodes, outputs, guards)


def run(graph: Graph, arguments: Any) -> list[Any]:
    """Outputs of the lowered graph; its guards and checks must hold."""
    lowered = lower(graph)
    ends = [x for x in lowered.outputs if isinstance(x, Tensor)]
    conditions = [x for _, x in lowered.guards] + lowered.builder.checks
    found = evaluate(
        ends + conditions, [np.asarray(x) for x in arguments], lowered.builder.arrays, lowered.steps
    )
    assert all(found[len(ends) :]), "a guard or a check fails"
    return found[: len(ends)]


def expected_of(graph: Graph) -> list[Any]:
    """The recorded values of the outputs that depend on an input."""
    there = {*graph.inputs, *graph.nodes}
    return [np.asarray(x.value) for x in graph.outputs if type(x) is Node and x in there]


def reasons(function: Any, *arguments: Any) -> list[str]:
    """Why steps of the function are left to NumPy."""
    return [step.reason for step in lower(record(function, arguments)).steps]


def agree(function: Any, *arguments: Any, native: bool = True) -> None:
    """The lowered function gives NumPy's result, to the bit; without NumPy where `native`."""
    graph = record(function, arguments)
    if native:
        assert not lower(graph).steps, [step.reason for step in lower(graph).steps]
    for got, expected in zip(run(graph, arguments), expected_of(graph), strict=True):
        same(got, expected)


def same(got: Any, expected: Any) -> None:
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == expected.dtype
    if expected.dtype.kind == "f":
        number = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(got)[number], np.signbit(expected)[number])
