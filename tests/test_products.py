"""Transposed products are turned round where only the transpose is used."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from tests.graphs import names, record, run
from thalweg.graph.node import Node
from thalweg.graph.verify import verify
from thalweg.optimise.pipeline import optimise
from thalweg.optimise.products import turn_products

RNG = np.random.default_rng(1)
W, X, V = RNG.standard_normal((3, 4)), RNG.standard_normal((5, 4)), RNG.standard_normal((2, 3))


def check(f, *args):
    graph = record(f, *args)
    optimised = optimise(graph)
    for each in (turn_products(graph), optimised):
        with np.errstate(all="ignore"):
            verify(each)
        for got, want in zip(run(each, args), run(graph, args), strict=True):
            assert (got.shape, got.dtype) == (want.shape, want.dtype)
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
    return optimised


def test_the_gradient_of_a_layer_with_a_transposed_weight():
    def loss(w, v, x):
        return np.sum(np.sin(np.tanh(x @ w.T) @ v.T))

    def forward_and_back(w, v, x):
        return tw.value_and_grad(loss, (0, 1))(w, v, x)

    graph = check(forward_and_back, W, V, X)
    for node in graph.nodes:
        if node.primitive.name == "transpose":
            assert type(node.operands[0]) is not Node or node.operands[0].primitive.name != "matmul"


def test_both_transposed():
    assert names(check(lambda a, b: (a.T @ b.T).T, X, RNG.standard_normal((3, 5)))) == ["matmul"]


def test_one_after_the_other():
    graph = check(lambda x, w, v: (v @ (x @ w.T).T).T * 2, X, W, V)
    assert names(graph).count("matmul") == 2


def test_a_constant_factor():
    graph = check(lambda x: (x.T @ np.arange(15.0).reshape(5, 3)).T, X)
    assert names(graph) == ["matmul"]


@pytest.mark.parametrize(
    ("f", "products"),
    [
        (lambda x, w: ((x @ w.T).T, x @ w.T), 1),
        (lambda x, w: (lambda p: p.T @ p)(x @ w.T), 2),
        (lambda x, w: (x @ w.T).T if np.sum((x @ w.T).T) < 1e9 else x, 1),
        (lambda x, w: (x[0] @ w.T).T, 1),
        (lambda x, w: np.transpose(x[None] @ w.T, (1, 0, 2)), 1),
    ],
)
def test_what_is_used_otherwise_or_asked_for_stays(f, products):
    assert names(check(f, X, W)).count("matmul") == products


def test_nothing_to_turn_gives_the_same_graph():
    graph = record(lambda x, w: x @ w.T, X, W)
    assert turn_products(graph) is graph
