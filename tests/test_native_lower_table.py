"""Lowering rules alone: what a node's tensors mean is what its primitive computes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.native_reference import evaluate, expected_of, record, run
from tests.op_cases import CASES
from thalweg.execute.native.lower import lower
from thalweg.graph.graph import Graph
from thalweg.graph.node import Node
from thalweg.graph.primitive import PRIMITIVES
from thalweg.tree import flatten, tree_map, unflatten

# Compared to the last digit and the sign of zero: older NumPy sums to -0.0, and SciPy's logit
# and rel_entr had other last digits.
pytestmark = pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.3.0", reason="compared with newer NumPy and SciPy"
)

#: Their results are sums: an error counts against the operands, not against what they cancel to.
SUMS = frozenset(
    "add_at convolve dot einsum kl_div linspace log_softmax logaddexp2 logaddexp2_reduce"
    " logaddexp_reduce logsumexp masked_prod masked_sum matmul matvec mean nanmean nanprod nanstd"
    " nansum nanvar norm prod remat softmax std sum var vecdot vecmat".split()
)
#: Moves numbers and computes none: exact.
MOVES = frozenset(
    "astype broadcast_to concatenate detach diag diagonal einsum_diagonal getitem input layout max"
    " min pad reshape roll setitem sliding_windows stack transpose where".split()
)


def _functions(case: Any, dtype: Any) -> tuple[Any, Any, list[Any]]:
    """The call of a case and its backward pass as functions of floating leaves, and the leaves."""
    leaves, structure = flatten(tuple(case.operands()))
    leaves = [
        np.asarray(x).astype(dtype)[()] if np.asarray(x).dtype == np.float64 else x for x in leaves
    ]
    floating = [i for i, x in enumerate(leaves) if np.asarray(x).dtype.kind in "fc"]

    def call(*variables: Any) -> Any:
        full = list(leaves)
        for i, x in zip(floating, variables, strict=True):
            full[i] = x
        return case.call(*unflatten(structure, full))

    def backward(*variables: Any) -> Any:
        out, pull = tw.vjp(call, *variables)
        return pull(tree_map(np.ones_like, out))

    return call, backward, [np.asarray(leaves[i])[()] for i in floating]


def _key(node: Node) -> Any:
    operands = tuple(
        (x.shape, x.dtype) if type(x) is Node and not x.primitive.outputs else repr(x)[:200]
        for x in node.operands
    )
    return node.primitive.name, repr(node.params), operands


def _compare_node(node: Node) -> str:
    """Compare one node, alone, with its value; gives the reason where NumPy has to do it."""
    inputs = list(dict.fromkeys(x for x in node.operands if type(x) is Node))
    graph = Graph(tuple(inputs), (node,), (node,))
    lowered = lower(graph)
    if lowered.steps:
        return lowered.steps[0].reason
    found = lowered.outputs[0]
    ends = list(found) if isinstance(found, tuple) else [found]
    values = node.value if node.primitive.outputs else (node.value,)
    results = evaluate(
        ends + lowered.builder.checks, [np.asarray(x.value) for x in inputs], lowered.builder.arrays
    )
    assert all(results[len(ends) :]), node
    for got, value in zip(results, values, strict=False):
        _compare(node.primitive.name, got, np.asarray(value), inputs)
    return ""


def _compare(name: str, got: Any, value: Any, inputs: list[Node]) -> None:
    if value.dtype.kind != "f" or name in MOVES:
        np.testing.assert_array_equal(got, value, err_msg=name)
        return
    eps = np.finfo(value.dtype).eps
    with np.errstate(all="ignore"):
        tolerance = 8 * eps * np.abs(value)
        if name in SUMS:
            largest = [np.nanmax(np.abs(x.value), initial=1.0) for x in inputs]
            tolerance = tolerance + 64 * eps * max(largest) * max(x.size + 1 for x in inputs)
        fine = (got == value) | (np.isnan(got) & np.isnan(value))
        fine |= np.abs(got - value) <= tolerance
    assert np.all(fine), (name, got, value)


@functools.cache
def _seen(dtype: Any) -> dict[str, dict[str, int]]:
    """Compare every node of every case and its gradient: primitive → reason → how many."""
    known: set[Any] = set()
    found: dict[str, dict[str, int]] = {}
    for case in CASES:
        call, backward, leaves = _functions(case, dtype)
        for function in (call, backward):
            graph = record(function, leaves)
            loose = {"rtol": 1e-9, "atol": 1e-9} if dtype is np.float64 else {"rtol": 1e-3}
            for got, value in zip(run(graph, leaves), expected_of(graph), strict=True):
                np.testing.assert_allclose(got, value, **{"atol": 1e-3, **loose}, err_msg=case.id)
            for node in graph.nodes:
                key = _key(node)
                several = any(type(x) is Node and x.primitive.outputs for x in node.operands)
                if key in known or several:
                    continue
                known.add(key)
                reason = _compare_node(node)
                counts = found.setdefault(node.primitive.name, {})
                counts[reason] = counts.get(reason, 0) + 1
    return found


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_case_and_its_gradient(dtype):
    seen = _seen(dtype)
    assert sum(sum(counts.values()) for counts in seen.values()) > 2000
    for name in sorted(seen):  # shown by pytest -s
        for reason, count in seen[name].items():
            if reason:
                print(f"{name}: {reason} ({count})")


def test_a_rule_that_is_there_serves():
    """A callable that never succeeds should be a reason."""
    useless = sorted(
        name
        for name, counts in _seen(np.float64).items()
        if callable(PRIMITIVES[name].lower) and "" not in counts
    )
    assert not useless
