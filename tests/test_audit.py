"""`audit`: every seeded cut is found at its line, ordinary functions give no alarm."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import thalweg as tw

X = np.array([0.5, 1.5, 2.5])


def integer_cast(x, y):
    n = x.astype(int)  # cut
    return np.sum(n * y)


def accuracy(x, y):
    hits = x > 1.0  # cut
    return np.mean(hits * 1.0) + np.sum(y)


def floored(x, y):
    bins = np.floor(x)  # cut
    return np.sum(bins * y)


def rounded(x, y):
    return np.sum(np.round(x) * y)  # cut


def signed(x, y):
    return np.sum(np.sign(x) * y)  # cut


def detached(x, y):
    target = tw.detach(x)  # cut
    return np.sum((y - target) ** 2)


def largest_place(x, y):
    k = np.argmax(x)  # cut
    return k * np.sum(y)


def sorted_places(x, y):
    order = np.argsort(x)  # cut
    return np.sum(y[order])


def masked_index(x, y):
    return np.sum(y[x > 1.0])  # cut


def counted(x, y):
    return np.sum(y) * np.count_nonzero(x)  # cut


def branched(x, y):
    if np.sum(x) > 1.0:  # cut
        return np.sum(y)
    return np.sum(y**2)


def taken_as_number(x, y):
    n = int(np.argmax(x))  # cut
    return y[n]


def floor_division(x, y):
    return np.sum((x // 1.0) * y)  # cut


def by_where(x, y):
    return np.sum(np.where(x > 1.0, y, 2 * y))  # cut


def deep_inside(x, y):
    for _ in range(50):
        y = np.tanh(y + 0.1)
    z = np.outer(np.rint(x), y)  # cut
    return np.sum(np.exp(z) @ y)


SEEDED = {
    integer_cast: "cast",
    accuracy: "comparison",
    floored: "piecewise constant",
    rounded: "piecewise constant",
    signed: "piecewise constant",
    detached: "detach",
    largest_place: "integer",
    sorted_places: "integer",
    masked_index: "comparison",
    branched: "branch",
    taken_as_number: "value",
    floor_division: "piecewise constant",
    by_where: "comparison",
    deep_inside: "piecewise constant",
}


def line_of(f, mark="# cut"):
    lines, first = inspect.getsourcelines(f)
    return first + next(i for i, line in enumerate(lines) if mark in line)


@pytest.mark.parametrize("f", SEEDED, ids=lambda f: f.__name__)
def test_seeded_cuts_are_found(f):
    found = tw.audit(f, X, X + 0.1)
    assert found
    assert [u.name for u in found.unused] == ["x"]
    (cut,) = [cut for cut in found.cuts if cut.category == SEEDED[f]]
    assert cut.line == line_of(f)
    assert cut.file == __file__
    assert cut.inputs == ("x",)
    assert cut.severity == "check"
    assert "cut, look at these" in str(found)
    assert f"test_audit.py:{cut.line}" in str(found)


def two_layers(p, x):
    return np.sum(np.tanh(p["W2"] @ np.tanh(p["W1"] @ x)) ** 2)


def relu_by_where(x):
    return np.sum(np.where(x > 0, x, 0.01 * x))


def relu_by_mask(x):
    return np.sum((x > 0) * x)


def huber(x):
    if np.sum(x) > 1.0:
        return np.sum(x**2)
    return np.sum(np.abs(x))


def softmax_loss(w, x):
    s = w @ x
    s = s - np.max(s)
    return np.log(np.sum(np.exp(s))) - s[1]


def hinge(w, x):
    s = w @ x
    return np.sum(np.maximum(0, s - s[0] + 1.0))


def best_entry(x):
    return x[np.argmax(x)] ** 2


def standardised(x):
    return np.sum(((x - np.mean(x)) / np.std(x)) ** 3)


def written_to(x):
    y = np.zeros_like(x)
    y[1:] = x[:-1] ** 2
    y[0] = x[2]
    return np.sum(y)


def newton_square_root(x):
    r = x
    while np.max(np.abs(r * r - x)) > 1e-9:
        r = 0.5 * (r + x / r)
    return np.sum(r)


def median_and_quantile(x):
    return np.median(x) + np.quantile(x, 0.3)


def norms(x):
    return np.linalg.norm(x) + np.sum(np.clip(x, 0.0, 1.0)) + np.var(x)


W = np.arange(12.0).reshape(4, 3) / 10
ORDINARY = [
    (two_layers, ({"W1": W, "W2": W.T}, X)),
    (relu_by_where, (X,)),
    (relu_by_mask, (X,)),
    (huber, (X,)),
    (softmax_loss, (W, X)),
    (hinge, (W, X)),
    (best_entry, (X,)),
    (standardised, (X,)),
    (written_to, (X,)),
    (newton_square_root, (X,)),
    (median_and_quantile, (X,)),
    (norms, (X,)),
]


@pytest.mark.parametrize(("f", "args"), ORDINARY, ids=[f.__name__ for f, _ in ORDINARY])
def test_ordinary_functions_give_no_alarm(f, args):
    found = tw.audit(f, *args)
    assert not found, found
    assert found.unused == ()


def test_usual_cuts_are_listed_as_usual():
    found = tw.audit(relu_by_where, X)
    (cut,) = found.cuts
    assert (cut.category, cut.severity, cut.expression) == ("comparison", "usual", "x > 0")
    assert "as is usual" in str(found)


def test_unused_inputs_by_name():
    found = tw.audit(
        lambda p, x: np.sum(p["w"] * x) + p["used"][0], {"w": X, "b": X, "used": [1.0, 2.0]}, X
    )
    assert [u.name for u in found.unused] == ["p['b']", "p['used'][1]"]
    assert found.unused[0].reason == "the output does not depend on it"
    assert found.cuts == ()


def test_a_constant_output():
    found = tw.audit(lambda x: 3.0, 1.0)
    assert [u.name for u in found.unused] == ["x"]


def test_values_of_no_consequence_are_not_listed():
    def f(x):
        print_me = np.floor(x)  # never reaches the output
        assert print_me.shape == x.shape
        return np.sum(x)

    assert tw.audit(f, X).cuts == ()


def test_a_clean_function_says_so():
    found = tw.audit(lambda x: np.sum(x**2), X)
    assert not found
    assert "nothing is cut" in str(found)
    assert repr(found) == str(found)


def test_an_input_that_is_the_output():
    assert not tw.audit(lambda x: x, X)
    assert [u.name for u in tw.audit(lambda x, y: (x, 1.0), X, X).unused] == ["y"]


def test_one_cut_among_good_ways():
    def f(x):
        return np.sum(np.round(x) ** 2) + np.sum(x)

    found = tw.audit(f, X)
    assert found
    assert found.unused == ()
    (cut,) = found.cuts
    assert cut.severity == "check"
