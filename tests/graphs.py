"""Graphs as compile records them, and what a pass must keep of them."""

from __future__ import annotations

import numpy as np

import thalweg as tw
from thalweg.array import Array
from thalweg.execute.executor import GuardChanged, Interpreter
from thalweg.graph.graph import between
from thalweg.graph.node import input_node
from thalweg.graph.verify import verify
from thalweg.guards import Recording
from thalweg.optimise.pipeline import EXACT
from thalweg.tree import flatten, unflatten

X = np.random.default_rng(8).standard_normal((3, 4))
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.5, 5e-324, 1e308, -1e-310])


def record(f, *args):
    """The graph of f, as compile records it: every leaf of the arguments is an input."""
    leaves, structure = flatten(args)
    inputs = [input_node(np.array(x)[()]) for x in leaves]
    with Recording(copying=True) as guards, np.errstate(all="ignore"):
        result = f(*unflatten(structure, map(Array, inputs)))
    outputs = [x._node if type(x) is Array else x for x in flatten(result)[0]]
    return between(inputs, outputs, guards)


def names(graph):
    return [node.primitive.name for node in graph.nodes]


def run(graph, args):
    with np.errstate(all="ignore"):
        return Interpreter(graph).run([np.array(x)[()] for x in args])


def assert_same_bits(got, wanted):
    """Equal shapes, dtypes and bits; NaN is NaN, whatever its payload."""
    if isinstance(wanted, GuardChanged):
        assert isinstance(got, GuardChanged)
        return
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a, b)
        if a.dtype.kind == "f":
            numbers = ~np.isnan(a)
            np.testing.assert_array_equal(np.signbit(a)[numbers], np.signbit(b)[numbers])


def check_exact(graph, *points):
    """All exact passes, each verified; the results at the points stay what they were."""
    wanted = [run(graph, args) for args in points]
    for _ in range(3):
        for each in EXACT:
            graph = each(graph)
            with np.errstate(all="ignore"):
                verify(graph)
            for args, want in zip(points, wanted, strict=True):
                assert_same_bits(run(graph, args), want)
    return graph


def derivatives(f):
    """f with its gradient of a sum of outputs, as it is recorded when a gradient is compiled."""

    def total(*xs):
        out = flatten(f(*xs))[0]
        weighted = (y * np.cos(np.arange(np.size(y))).reshape(np.shape(y)) for y in out)
        return sum(np.sum(np.real(y) + np.imag(y)) for y in weighted) + 0.0 * np.sum(xs[0])

    return lambda *xs: (f(*xs), tw.grad(total, tuple(range(len(xs))))(*xs))
