"""Groups of nodes that the explorer shows as one: which are found, and what the page does."""

from __future__ import annotations

import time

import numpy as np
import pytest

import thalweg as tw
from tests.explorer_pages import chain, recurrent
from thalweg.expression import parse
from thalweg.report.blocks import blocks_of, repeats
from thalweg.report.page import page_data


def layer(x, w, b):
    return np.tanh(x @ w + b)


def network(x, w, b):
    for _ in range(3):
        x = layer(x, w, b)
    y = layer(x, w, b)
    squares = [v * v for v in y]
    return 1 / (1 + np.exp(-sum(squares)))


def nested(x, y):
    def inner(a):
        return np.exp(a) + a

    def outer(a):
        b = np.sin(a)
        c = inner(b)
        return b * c + inner(a)

    return outer(x) * outer(y) + np.linalg.norm(np.stack([x, y])) ** 2


@pytest.fixture(scope="module")
def of_network():
    return tw.trace(network, np.ones(2) / 3, np.ones((2, 2)) / 2, np.array([0.1, 0.2]))


def named(trace):
    return [(block.name, block.kind, len(block.members)) for block in blocks_of(trace.record)]


def test_loops_functions_and_big_nodes(of_network):
    found = named(of_network)
    assert ("layer, 4 times", "loop", 12) in found
    assert found.count(("layer", "function", 3)) == 4
    assert found.count(("affine", "gate", 2)) == 4
    assert ("sigmoid", "gate", 4) in found


def attention(params, x):
    q, k, v = [x @ params[name] for name in "qkv"]
    return np.tanh(q * k) * v


def test_a_comprehension_is_part_of_its_function():
    """The whole function was called listcomp where it began with one."""
    trace = tw.trace(
        lambda p, x: np.sum(attention(p, x) ** 2) + np.sum(attention(p, x)),
        {name: np.ones((2, 2)) for name in "qkv"},
        np.ones((3, 2)),
    )
    found = named(trace)
    assert found.count(("attention", "function", 6)) == 2
    assert not any("listcomp" in name for name, _, _ in found)


def test_functions_that_call_functions():
    trace = tw.trace(nested, 0.3, 0.7)
    blocks = blocks_of(trace.record)
    functions = [block for block in blocks if block.kind == "function"]
    assert [block.name for block in functions].count("outer") == 2
    inner = [block for block in functions if block.name == "inner"]
    assert len(inner) == 4
    assert all(blocks[block.parent].name == "outer" for block in inner)


def test_steps_of_a_loop():
    blocks = blocks_of(tw.trace(recurrent, 0.1, 0.2, 0.3, 5).record)
    steps = [block for block in blocks if block.kind == "step"]
    assert [block.name.split(", ")[1] for block in steps] == [f"{k} of 5" for k in range(1, 6)]
    assert {blocks[step.parent].kind for step in steps} == {"loop"}
    sigmoids = [block for block in blocks if block.name == "sigmoid"]
    assert len(sigmoids) == 10
    assert all(blocks[block.parent].kind == "step" for block in sigmoids)


@pytest.mark.parametrize("name", ["neuron", "classifier", "network", "nested", "recurrent"])
def test_two_blocks_are_apart_or_one_lies_within_the_other(traced, of_network, name):
    more = {
        "network": of_network,
        "nested": tw.trace(nested, 0.3, 0.7),
        "recurrent": tw.trace(recurrent, 0.1, 0.2, 0.3, 5),
    }
    trace = (traced | more)[name]
    blocks = blocks_of(trace.record)
    assert blocks
    for number, block in enumerate(blocks):
        inside = set(block.members)
        assert block.parent is None or inside < set(blocks[block.parent].members)
        assert block.parent is None or block.parent < number
        for other in blocks[:number]:
            assert inside < set(other.members) or inside.isdisjoint(other.members)
        # Convex: what depends on a member and is no member has no member that depends on it.
        after = set()
        for node in trace:
            sources = {edge.node.index for edge in node.inputs if edge.node is not None}
            if node.index in inside:
                assert not sources & after
            elif sources & (inside | after):
                after.add(node.index)


def test_periods():
    assert list(repeats("")) == []
    assert list(repeats("abcd")) == []
    assert list(repeats("xabababy")) == [(1, 2, 3)]
    assert list(repeats("aaaa")) == [(0, 1, 4)]
    assert list(repeats("abbcabbc")) == [(0, 4, 2), (1, 1, 2), (5, 1, 2)]


def test_the_search_is_not_quadratic():
    words = [k % 7 for k in range(40_000)] + list(range(40_000)) * 2
    started = time.process_time()
    assert list(repeats(words))
    assert time.process_time() - started < 5


def test_a_loop_of_very_many_steps_is_one_block():
    blocks = blocks_of(tw.trace(chain, 0.5, 1.01, 1000).record)
    assert [(block.kind, len(block.members)) for block in blocks] == [("loop", 2000)]


def test_the_data_hold_ranges(of_network):
    data = page_data(of_network.record)
    for block, given in zip(blocks_of(of_network.record), data["blocks"], strict=True):
        members = [i for first, last in given["members"] for i in range(first, last + 1)]
        assert members == list(block.members)
        assert given.get("parent") == block.parent


def test_an_expression_is_no_block_of_its_own():
    trace = tw.trace(parse("1 / (1 + exp(-(x * y)))").function(["x", "y"]), 1.0, 2.0)
    assert named(trace) == [("sigmoid", "gate", 4)]
