"""What a mistake is told: what happened, the user's line, and what to write instead."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.sparse
import scipy.spatial.distance
import scipy.special

import thalweg as tw
from thalweg.errors import DtypeError, NonScalarOutputError, TracingError, TreeError

X = np.array([0.5, 1.5])


def into_buffer(x):
    buffer = np.zeros(2)
    for i in range(2):
        buffer[i] = x[i] ** 2
    return np.sum(buffer)


def row_into_buffer(x):
    buffer = np.zeros((2, 2))
    buffer[0] = x
    return np.sum(buffer)


CUTS = {
    "math": (lambda x: math.sin(x[0]), "np.sin"),
    "math, another name": (lambda x: math.lgamma(x[0]), "special.gammaln"),
    "float": (lambda x: float(x[0]), "Use x itself"),
    "int": (lambda x: x[0] * int(x[1]), "int(thalweg.detach(x))"),
    "range": (lambda x: sum(x[0] for _ in range(x[1])), "int(thalweg.detach(x))"),
    "item": (lambda x: x[0].item(), "Use x itself"),
    "tolist": (lambda x: sum(x.tolist()), "list(x)"),
    "round": (lambda x: round(x[0]), "np.round"),
    "np.array of numbers": (lambda x: np.sum(np.array([x[0], x[1]])), "np.stack"),
    "np.asarray": (lambda x: np.sum(np.asarray(x)), "leave the conversion out"),
    "np.full": (lambda x: np.sum(np.full(3, x[0])), "np.full(shape, x, like=x)"),
    "np.c_": (lambda x: np.sum(np.c_[x, x]), "np.stack([x, y], axis=1)"),
    "np.float64": (lambda x: np.float64(x[0]) * 2, "Use x itself"),
    "a draw": (lambda x: np.random.default_rng(0).normal(x[0]), "loc + scale * rng.normal"),
    "np.vectorize": (lambda x: np.sum(np.vectorize(abs)(x)), "a Python loop"),
    "a list": (lambda x: np.sum(np.sin([x[0], x[1]])), "np.stack"),
    "buffer": (into_buffer, "like=x"),
    "row of a buffer": (row_into_buffer, "like=x"),
    "scipy.special": (lambda x: scipy.special.logsumexp(x), "thalweg.scipy.special"),
    "scipy.linalg": (lambda x: scipy.linalg.expm(np.outer(x, x)), "thalweg.scipy.linalg"),
    "scipy.sparse": (lambda x: np.sum(scipy.sparse.eye_array(2) @ x), "toarray"),
    "scipy.optimize": (
        lambda x: scipy.optimize.minimize(lambda y: np.sum((y - x) ** 2), X).fun,
        "implicit",
    ),
    "our own solver": (
        lambda x: tw.scipy.minimize(lambda y: np.sum((y - x) ** 2), X).fun,
        "inside thalweg.scipy",
    ),
    "minimising": (
        lambda x: tw.optim.minimize_lbfgs(lambda y: np.sum((y - x) ** 2), X).value,
        "implicit",
    ),
    "training": (
        lambda x: tw.fit(X, lambda w, rows: np.sum((w - x) ** 2), X).history["loss"][-1],
        "implicit",
    ),
    "another library": (
        lambda x: scipy.spatial.distance.euclidean(x, X),
        "inside scipy.spatial.distance.euclidean",
    ),
}


@pytest.mark.parametrize(("f", "advice"), CUTS.values(), ids=CUTS.keys())
def test_a_cut_names_the_users_line_and_the_way_out(f, advice):
    with pytest.raises(TracingError) as caught:
        tw.grad(f)(X)
    text = str(caught.value)
    assert advice in text
    assert "test_messages.py:" in text.splitlines()[1]  # not a line inside a library
    assert "thalweg.detach" in text


def test_a_cut_without_source():
    program = {}
    exec("def f(x):\n    return float(x)", program)
    with pytest.raises(TracingError, match="at <string>:2\n  x is an input"):
        tw.grad(program["f"])(1.0)


def returns_nothing(x):
    np.sum(x)


ENTRIES = {
    "if on an array": (lambda: tw.grad(lambda x: x if x > 0 else 1.0)(X), ValueError, "np.where"),
    "and on arrays": (lambda: tw.grad(lambda x: (x > 0) and x)(X), ValueError, "&"),
    "no function": (lambda: tw.grad(X), TypeError, "function"),
    "the argument given to grad": (lambda: tw.grad(np.sum, X), TypeError, r"grad\(f\)\(x\)"),
    "argnums by name": (lambda: tw.grad(np.sum, "x"), TypeError, "by position"),
    "a float argnums": (lambda: tw.jacobian(np.sum, 0.0), TypeError, "argnums"),
    "nothing by position": (
        lambda: tw.grad(lambda x: np.sum(x))(x=X),
        TypeError,
        "0 positional arguments",
    ),
    "no return": (lambda: tw.grad(returns_nothing)(X), NonScalarOutputError, "returned None"),
    "text returned": (lambda: tw.grad(lambda x: "loss")(X), TreeError, "returned a str"),
    "an object returned": (lambda: tw.grad(lambda x: object())(X), TreeError, "returned a object"),
    "None": (lambda: tw.grad(lambda x: 1.0)(None), DtypeError, "argument 0 is None"),
    "text": (lambda: tw.grad(lambda x: 1.0)("a"), DtypeError, "argument 0 is 'a'"),
    "an object": (lambda: tw.grad(lambda x: 1.0)(object()), DtypeError, "dataclass"),
    "an array of objects": (
        lambda: tw.grad(np.sum)(np.array([1.0, None])),
        DtypeError,
        r"astype\(float\)",
    ),
    "jvp without tuples": (lambda: tw.jvp(np.sin, X, X), TypeError, r"a tuple.*\(x,\)"),
    "jvp, a tangent alone": (lambda: tw.jvp(np.sin, (X,), X), TypeError, "a tuple"),
    "hvp without tuples": (lambda: tw.hvp(np.sum, X, X), TypeError, "a tuple"),
    "hvp of a number": (lambda: tw.hvp(np.sin, 1.0, 1.0), TypeError, r"a tuple.*hvp\(f, \(x,\)"),
    "vjp of a result": (lambda: tw.vjp(np.sum(X), X), TypeError, r"vjp\(f, x\)"),
    "jvp of a result": (lambda: tw.jvp(np.sum(X), (X,), (X,)), TypeError, r"jvp\(f, \(x,\)"),
    "vmap of a result": (lambda: tw.vmap(np.sum(X)), TypeError, r"vmap\(f\)\(x\)"),
    "remat of a result": (lambda: tw.remat(np.sum(X)), TypeError, r"remat\(f\)\(x\)"),
    "trace of a result": (lambda: tw.trace(np.sum(X)), TypeError, r"trace\(f, x\)"),
    "audit of a result": (lambda: tw.audit(np.sum(X), X), TypeError, r"audit\(f, x\)"),
    "check of a result": (lambda: tw.check_grads(np.sum(X), (X,)), TypeError, r"check_grads\(f,"),
    "a limit that is text": (
        lambda: setattr(tw.config, "dense_limit", "2 GB"),
        ValueError,
        "number of bytes",
    ),
    "a mode that there is not": (
        lambda: setattr(tw.config, "compile", "later"),
        ValueError,
        '"now" or "background"',
    ),
    "a cotangent that is text": (
        lambda: tw.vjp(np.sin, 1.0)[1]("a"),
        DtypeError,
        "cotangent has dtype",
    ),
    "a tangent that is text": (lambda: tw.jvp(np.sin, (1.0,), ("a",)), DtypeError, "tangent"),
}


@pytest.mark.parametrize(("call", "error", "message"), ENTRIES.values(), ids=ENTRIES.keys())
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()
