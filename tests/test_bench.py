"""The benchmark's own arithmetic, and that every contender it names is there."""

from __future__ import annotations

import ast
import os
import random
from pathlib import Path

import numpy as np
import pytest

from bench import __main__ as command
from bench import adbench, chain, elementwise, scalars, structure, training
from bench.catalogue import WORKLOADS
from bench.pairs import in_pairs, ratio, summary
from bench.plot import curves, exponent, exponents
from bench.problems import with_thalweg as problems_with_thalweg
from bench.realdata import bishop
from bench.report import section
from bench.solvers import with_scipy, with_thalweg
from bench.structure import bundle, by_hand, programs
from bench.workload import Setting, deviation, named

ROOT = Path(__file__).resolve().parents[1]


def central(f, x, k, h=1e-6):
    a, b = x.copy(), x.copy()
    a.flat[k] += h
    b.flat[k] -= h
    return (f(a) - f(b)) / (2 * h)


def test_summary_and_ratio():
    assert summary([3.0, 1.0, 2.0]) == (2.0, 1.5, 2.5)
    assert summary([4.0]) == (4.0, 4.0, 4.0)
    assert ratio([1.0, 2.0, 4.0], [2.0, 2.0]).median == 1.5  # what stopped early: its rounds only


def test_every_round_gives_each_a_turn():
    order = []
    turns = {name: lambda name=name: order.append(name) or 1.0 for name in "abc"}
    state = random.getstate()
    seconds = in_pairs(turns, 5)
    assert random.getstate() == state
    assert seconds == {name: [1.0] * 5 for name in "abc"}
    assert all(set(order[k : k + 3]) == set("abc") for k in range(0, 15, 3))


def test_a_slow_contender_stops_and_a_broken_one_leaves():
    def broken():
        raise RuntimeError

    seconds = in_pairs({"slow": lambda: 10.0, "broken": broken, "quick": lambda: 0.1}, 8, 5.0)
    assert {name: len(sample) for name, sample in seconds.items()} == {
        "slow": 3,
        "broken": 0,
        "quick": 8,
    }


def test_deviation():
    assert deviation([1.0, np.ones(4)], [1.0, np.ones(4)]) == 0
    assert deviation([np.array([1.0, 1.1])], [np.ones(2)]) == pytest.approx(0.1 / 2**0.5)
    wrong = ([np.ones(3)], [np.array([np.nan, 1.0])], [np.ones(2), 1.0])
    assert all(deviation(results, [np.ones(2)]) == np.inf for results in wrong)


def test_names_choose():
    assert [w.name for w in named(WORKLOADS, ["e1", "T1"])] == ["E1", "T1-momentum", "T1-adam"]
    assert {w.group for w in named(WORKLOADS, ["growth"])} == {"growth"}
    with pytest.raises(KeyError, match="E9"):
        named(WORKLOADS, ["E9"])


def test_names_are_different_and_contenders_are_there():
    assert len({w.name for w in WORKLOADS}) == len(WORKLOADS)
    for target in {t for w in WORKLOADS for t in w.contenders.values()}:
        module, _, name = target.partition(":")
        path = ROOT / (module.replace(".", "/") + ".py")
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
        assert name in found, target


@pytest.mark.parametrize("function", ["sigmoid", "black_scholes", "tanh_softplus"])
def test_elementwise_reference(function):
    x = np.array([80.0, 100.0, 120.0]) if function == "black_scholes" else np.array([-2.0, 0.5, 3])

    def value(x):
        return elementwise.reference(elementwise.Problem(function, x))[0]

    gradient = elementwise.reference(elementwise.Problem(function, x))[1]
    assert gradient == pytest.approx([central(value, x, k) for k in range(3)], rel=1e-6)


@pytest.mark.parametrize("name", ["T2", "T3"])
def test_training_reference(name):
    problem = named(WORKLOADS, [name])[0].problem()
    weights = [(W.astype(float), b.astype(float)) for W, b in problem.weights]
    _, gradient = training._gradient(problem, weights)
    for layer in range(len(weights)):
        W, b = weights[layer]

        def loss(W, layer=layer, b=b):
            return training._gradient(problem, [*weights[:layer], (W, b), *weights[layer + 1 :]])[0]

        for k in (0, W.size - 1):
            assert gradient[2 * layer].flat[k] == pytest.approx(central(loss, W, k), abs=1e-7)


def test_chain_reference():
    x = np.linspace(-1, 1, 5)
    value, gradient = chain.by_hand(chain.Chain(13, x))
    assert value == chain.program(x, 13, np.sin, np.tanh).sum()
    slopes = [central(lambda x: chain.by_hand(chain.Chain(13, x))[0], x, k) for k in range(5)]
    assert gradient == pytest.approx(slopes, rel=1e-7)


def test_moons_reference():
    problem = named(WORKLOADS, ["S2"])[0].problem()

    def loss(w):
        return scalars.moons_loss(list(w), problem, lambda x: max(x, 0.0))

    (gradient,) = scalars.moons_gradient(problem)
    for k in (0, 2, 47, 48, 200, 336):
        assert gradient[k] == pytest.approx(central(loss, problem.w, k), abs=1e-7)


def test_mixture_reference():
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=3), rng.normal(size=(3, 4)), rng.normal(size=(3, 10))]

    def mixture(parts):
        return adbench.Mixture("", *parts, np.linspace(-1, 1, 20).reshape(5, 4), 0.7, 2)

    _, *gradient = adbench.by_hand(mixture(parts))
    for place in range(3):
        for k in (0, parts[place].size - 1):

            def value(part, place=place):
                return adbench.by_hand(mixture([*parts[:place], part, *parts[place + 1 :]]))[0]

            slope = central(value, parts[place], k)
            assert gradient[place].flat[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_the_triangle_is_read_by_columns():
    assert adbench.placement(3).tolist() == [[0, 6, 6], [3, 1, 6], [4, 5, 2]]


def result(**changes):
    entry = {"state": "measured", "figure": (1e-6, 9e-7, 2e-6), "deviation": 1e-8, "first": 0.5}
    entry["seconds"] = [2e-6, 9e-7, 1e-6]
    told = {"state": "left out", "why": "torch is not installed"}
    wrong = {"state": "wrong", "deviation": 0.1}
    entries = {"thalweg": entry, "jax": {**entry, "ratio": (2.0, 1.5, 2.5)}, "torch": told}
    return {
        "workload": "E1",
        "title": "a title",
        "bar": "",
        "threads": 1,
        "scale": 1e6,
        "unit": "µs",
        "tolerance": 1e-6,
        "growth": ("n", 10),
        "contenders": {**entries, "autograd": wrong},
        **changes,
    }


def test_the_table():
    text = section(result())
    assert "| **thalweg** | 1.00 (0.900–2.00) |  | 500 ms | 1e-08 |" in text
    assert "| jax | 1.00 (0.900–2.00) | 2.00 (1.50–2.50) | 500 ms | 1e-08 |" in text
    assert "left out: torch is not installed" in text
    assert "wrong, not timed (tolerance 1e-06)" in text


def test_curves_leave_out_what_was_not_measured():
    found = curves([result(growth=("n", 20)), result(), result(growth=None)])
    assert found == {"n, 1 thr.": {name: [(10, 9e-7), (20, 9e-7)] for name in ("thalweg", "jax")}}


def test_the_command_says_what_it_does_not_know(capsys):
    with pytest.raises(SystemExit):
        command.main(["E9"])
    assert "E9" in capsys.readouterr().err
    assert command.main(["--list", "elementwise"]) == 0
    assert capsys.readouterr().out.count("\n") == 6


def test_exponent():
    points = [(n, 1e-4 + 1e-7 * n**2) for n in (1, 10, 100, 1000, 10_000, 100_000)]
    assert exponent(points) == pytest.approx(2, abs=0.01)
    assert np.isnan(exponent(points[:1]))


def test_exponents_are_a_table():
    text = exponents([result(growth=("n", 20)), result(), result(growth=None)])
    assert "| n, 1 thr. | 10 – 20 | thalweg | 9e-07 s | 0.00 |" in text
    assert exponents([result()]) == ""


@pytest.mark.parametrize(
    "name", ["solve-least_squares", "solve-minimize-Newton-CG", "solve-fsolve", "solve-krylov"]
)
def test_a_solver_is_counted(name):
    (workload,) = named(WORKLOADS, [name])
    problem = workload.problem()
    fed = with_thalweg.fed(problem, Setting(1, "numpy"))
    plain = with_scipy.plain(problem, Setting(1, "numpy"))
    reference = workload.reference(problem)
    assert deviation(fed.results(), reference) < workload.tolerance
    counts = [contender.facts() for contender in (fed, plain)]
    assert 2 * counts[0]["function"] < counts[1]["function"]
    assert counts[0]["derivative"] > 0


def test_problems_have_every_size():
    found = named(WORKLOADS, ["problems"])
    assert len(found) == 50
    small = found[0]
    contender = problems_with_thalweg.plain(small.problem(), Setting(1, "numpy"))
    assert deviation(contender.results(), small.reference(small.problem())) < small.tolerance


@pytest.mark.parametrize("kind", ["brusselator", "rosenbrock", "sigmoid"])
def test_structure_reference(kind):
    size = 4 if kind == "brusselator" else 7
    problem = structure._point(kind, size)

    def gradient(x):  # of a polynomial: complex steps are exact
        steps = x + 1e-30j * np.eye(len(x))
        return np.array([programs.rosenbrock(step).imag / 1e-30 for step in steps])

    function = {
        "brusselator": lambda x: programs.brusselator(x, size),
        "rosenbrock": gradient,
        "sigmoid": programs.sigmoid,
    }[kind]
    found = getattr(by_hand, kind)(problem)().toarray()
    slopes = [central(function, problem.x, k) for k in range(len(problem.x))]
    assert found == pytest.approx(np.stack(slopes, 1), rel=1e-6, abs=1e-5)


def small_bundle():
    whole = bundle.problem()
    first, second = 11 * whole.cameras, 11 * whole.cameras + 3 * whole.points
    x = whole.x
    kept = np.concatenate([x[:22], x[first : first + 9], x[second : second + 6]])
    i = np.arange(6)
    return bundle.Bundle(2, 3, i % 2, i % 3, whole.feature[:6], kept)


def test_bundle_reference():
    small = small_bundle()
    found = by_hand.adjustment(small)().toarray()
    scale = np.maximum(np.abs(small.x), 1)  # pixels and radians
    slopes = [
        central(lambda x: bundle.residuals(x, small), small.x, k, 1e-6 * scale[k])
        for k in range(len(small.x))
    ]
    assert found == pytest.approx(np.stack(slopes, 1), rel=1e-5, abs=1e-3)
    assert found.shape == (18, 37)


@pytest.mark.skipif("THALWEG_ADBENCH" not in os.environ, reason="THALWEG_ADBENCH is not set")
def test_bundle_is_the_published_one():
    whole = bundle.problem()
    found = by_hand.adjustment(whole)()
    assert found.shape == (95_529, 55_710)
    assert found.nnz == 987_133
    text = Path(os.environ["THALWEG_ADBENCH"], "ba1_reference.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    entries = [(int(i), int(j), float(v)) for i, j, v in lines[:-1]]
    assert len(entries) == 31
    for i, j, value in entries:
        assert found[i, j] == pytest.approx(value, rel=1e-10)
    assert bundle.residuals(whole.x, whole)[:2] == pytest.approx(np.array(lines[-1], float))


def test_the_best_score_of_the_inverse_problem():
    """By drawing: p(x|t) is constant on the x whose curve is within 0.1 of t."""
    t, _ = bishop.draw(2000, 0)
    grid = np.linspace(0, 1, 20_001)
    heights = grid + 0.3 * np.sin(2 * np.pi * grid)
    lengths = [np.mean(np.abs(heights - place) < 0.1) for place in t[:, 0]]
    assert abs(bishop.optimum() - np.mean(np.log(lengths))) < 0.05
    assert abs(bishop.optimum() + 1.282) < 5e-4
