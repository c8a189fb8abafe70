"""No argument of a function is accepted and then ignored: signatures are NumPy's and SciPy's."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.special

import thalweg as tw
import thalweg.scipy.linalg
import thalweg.scipy.special
from thalweg.array_callbacks import CALLBACKS
from thalweg.array_methods import ArrayMethods
from thalweg.errors import NoRuleError, TracingError
from thalweg.graph.primitive import FUNCTIONS, UFUNC_METHODS
from thalweg.ops.assignment import REWRITES

#: Parameters that any function may leave alone, with the reason.
UNUSED = {
    "out": "served by the handle, for all functions alike (thalweg.array_arguments)",
    "subok": "a traced array is of no subclass",
    "overwrite_input": "a permission, not an order: nodes never change",
    "overwrite_a": "a permission, not an order: nodes never change",
    "overwrite_b": "a permission, not an order: nodes never change",
    "driver": "which routine of LAPACK: the result is the same",
    "lapack_driver": "which routine of LAPACK: the result is the same",
    "lwork": "the size of LAPACK's work space",
}
#: (function, parameter) → why it may be left alone there.
UNUSED_THERE = {
    ("meshgrid", "copy"): "the handles of the results are linked or not (thalweg.array)",
    ("astype", "copy"): "the handle of the result is linked or not (thalweg.array)",
    ("expm_frechet", "method"): "which algorithm: the result is the same",
    ("real_if_close", "tol"): "complex arrays are refused whatever the tolerance",
}
#: (function, parameter) → why calling with it is a TypeError.
NOT_OFFERED = {
    ("full", "like"): "NumPy does not hand it on",
    ("array", "like"): "NumPy does not hand it on",
    ("asarray", "like"): "NumPy does not hand it on",
    ("asanyarray", "like"): "NumPy does not hand it on",
    ("ascontiguousarray", "like"): "NumPy does not hand it on",
    ("logm", "disp"): "deprecated in SciPy",
    ("sqrtm", "disp"): "deprecated in SciPy",
    ("sqrtm", "blocksize"): "deprecated in SciPy",
}
#: Functions that stand for Python's own, whose parameters have no names.
POSITIONAL = {"getitem", "view"}


def _signature(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except ValueError:  # in older NumPy, functions written in C have none
        return None


def _named(pairs: Any) -> list[Any]:
    return [
        pytest.param(
            theirs, ours, id=f"{getattr(theirs, '__module__', 'method')}.{theirs.__name__}"
        )
        for theirs, ours in pairs
        if theirs.__name__ not in POSITIONAL and _signature(theirs) is not None
    ]


#: `np.clip` without bounds works from NumPy 2.1 on.
HAS_NO_BOUNDS = np.lib.NumpyVersion(np.__version__) >= "2.1.0"

NUMPY = _named(
    [
        *FUNCTIONS.items(),
        *CALLBACKS.items(),
        *((theirs, contents) for theirs, (_, contents) in REWRITES.items()),
    ]
)
#: Methods that are more than a function's, where this NumPy tells their signatures.
METHODS = _named(
    (getattr(np.ndarray, name), ours)
    for name, ours in inspect.getmembers(ArrayMethods, inspect.isfunction)
    if ours.__qualname__ == f"ArrayMethods.{name}" and hasattr(np.ndarray, name)
)
SCIPY = _named(
    (getattr(theirs, name), getattr(ours, name))
    for theirs, ours in (
        (scipy.special, thalweg.scipy.special),
        (scipy.linalg, thalweg.scipy.linalg),
    )
    for name in ours.__all__
    if inspect.isfunction(getattr(ours, name)) and hasattr(theirs, name)
)


def _same_default(theirs: Any, ours: Any) -> bool:
    if theirs is np._NoValue:  # never seen by an implementation: any default that means the same
        return True
    return theirs is ours or bool(theirs == ours)


def _differences(name_of: str, theirs: inspect.Signature, ours: inspect.Signature) -> list[str]:
    names = list(ours.parameters)
    kinds = {parameter.kind for parameter in ours.parameters.values()}
    takes_all = inspect.Parameter.VAR_KEYWORD in kinds
    found = []
    for place, (name, parameter) in enumerate(theirs.parameters.items()):
        mine = ours.parameters.get(name)
        by_position = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            if parameter.kind not in kinds:
                found.append(f"no {parameter}")
        elif mine is None and (name_of, name) not in NOT_OFFERED:
            positional_only = parameter.kind is parameter.POSITIONAL_ONLY and place < len(names)
            every = takes_all and inspect.Parameter.VAR_POSITIONAL in kinds
            if not (positional_only or every or (takes_all and not by_position)):
                found.append(f"no parameter {parameter}")
        elif mine is not None:
            if not _same_default(parameter.default, mine.default):
                found.append(f"default of {name}: {parameter.default!r}, here {mine.default!r}")
            if by_position and names.index(name) != place:
                found.append(f"{name} is number {place}, here {names.index(name)}")
            if by_position and mine.kind is not mine.POSITIONAL_OR_KEYWORD:
                found.append(f"{name} can't be given in both ways")
    return found


def _left_alone(ours: Callable[..., Any]) -> list[str]:
    """Parameters that the body never reads."""
    body = inspect.unwrap(ours)
    tree = ast.parse(textwrap.dedent(inspect.getsource(body))).body[0]
    read = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    return [name for name in inspect.signature(body).parameters if name not in read]


#: Whose signatures these are; another release may have other parameters.
RELEASES = ("2.4.", "1.17.")


@pytest.mark.skipif(
    (np.__version__[:4], scipy.__version__[:5]) != RELEASES,
    reason="signatures are those of NumPy {}x and SciPy {}x".format(*RELEASES),
)
@pytest.mark.parametrize(("theirs", "ours"), [*NUMPY, *SCIPY])
def test_every_parameter_is_accepted_and_used(theirs, ours):
    signature = _signature(theirs)
    assert _differences(theirs.__name__, signature, inspect.signature(ours)) == []
    left = [
        name
        for name in _left_alone(ours)
        if name not in UNUSED and (theirs.__name__, name) not in UNUSED_THERE
    ]
    assert left == []


@pytest.mark.parametrize("key", UFUNC_METHODS, ids=lambda key: f"{key[0].__name__}.{key[1]}")
def test_every_parameter_of_a_ufunc_method_is_used(key):
    _ufunc, method = key
    assert [name for name in _left_alone(UFUNC_METHODS[key]) if name not in UNUSED] == []
    known = set(inspect.signature(UFUNC_METHODS[key]).parameters)
    offered = {
        "reduce": {"array", "axis", "dtype", "out", "keepdims", "initial", "where"},
        "accumulate": {"array", "axis", "dtype", "out"},
    }
    assert known >= offered[method]


@pytest.mark.parametrize(("theirs", "ours"), METHODS)
def test_every_parameter_of_a_method_is_accepted(theirs, ours):
    assert _differences(theirs.__name__, _signature(theirs), inspect.signature(ours)) == []


def test_exceptions_are_in_use():
    left = {
        (theirs.__name__, name)
        for theirs, ours in (parameter.values for parameter in [*NUMPY, *SCIPY])
        for name in _left_alone(ours)
    }
    assert {name for _, name in left} >= set(UNUSED)
    assert left >= set(UNUSED_THERE)


# ---- arguments that mean the same everywhere ------------------------------------------------

X = np.array([[1.0, 4.0, 2.0], [3.0, 0.5, 6.0]])


def _gradients_agree(f: Callable[..., Any], g: Callable[..., Any]) -> None:
    np.testing.assert_array_equal(tw.vjp(f, X)[0], tw.vjp(g, X)[0])
    np.testing.assert_allclose(tw.grad(f)(X), tw.grad(g)(X))


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (lambda x, out: np.dot(x, x.T, out), (2, 2)),
        (lambda x, out: x.dot(x.T, out), (2, 2)),
        (lambda x, out: np.outer(x, x, out), (6, 6)),
        (lambda x, out: np.linalg.multi_dot([x, x.T], out=out), (2, 2)),
        (lambda x, out: np.sum(x, 1, None, out), (2,)),
        (lambda x, out: np.max(x, 0, out), (3,)),
        (lambda x, out: np.mean(x, 0, None, out), (3,)),
        (lambda x, out: np.cumsum(x, 0, None, out), (2, 3)),
        (lambda x, out: np.take(x, [0, 1], 1, out), (2, 2)),
        (lambda x, out: np.compress([True, False], x, 0, out), (1, 3)),
        (lambda x, out: np.clip(x, 0, 3, out), (2, 3)),
        (lambda x, out: np.trace(x, 0, 0, 1, None, out), ()),
        (lambda x, out: np.concatenate([x, x], 0, out), (4, 3)),
        (lambda x, out: np.stack([x, x], 0, out), (2, 2, 3)),
        (lambda x, out: np.median(x, 0, out), (3,)),
        (lambda x, out: np.add(x, x, out), (2, 3)),
        (lambda x, out: np.add.reduce(x, 0, None, out), (3,)),
    ],
)  # fmt: skip
def test_out(call, shape):
    def into(x: Any) -> Any:
        target = np.zeros(shape, like=x)
        if isinstance(target._node.value, np.ndarray) and target.ndim:
            assert call(x, target) is target
            return np.sum(target**2)
        return np.sum(call(x, None) ** 2)

    _gradients_agree(into, lambda x: np.sum(call(x, None) ** 2))
    with pytest.raises(TracingError, match="NumPy array"):
        tw.grad(lambda x: np.sum(call(x, np.zeros(shape))))(X)


@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")  # NumPy 2.5
def test_out_of_another_shape():
    with pytest.raises(ValueError, match=r"out= has shape \(3, 3\), the result has \(2, 2\)"):
        tw.grad(lambda x: np.sum(np.dot(x, x.T, np.zeros((3, 3), like=x))))(X)
    for function in (np.fix, np.round):
        found, _ = tw.vjp(lambda x, f=function: f(x[0], out=np.zeros((2, 3), like=x)), X)
        np.testing.assert_array_equal(found, [function(X[0])] * 2)


def test_only_the_target_is_traced():
    def f(x: Any) -> Any:
        kept = x * 2
        target = kept.copy()
        np.dot(X, np.ones((3, 3)), target)
        return np.sum(target * kept)

    np.testing.assert_array_equal(tw.grad(f)(X), 2 * np.dot(X, np.ones((3, 3))))


def test_no_value_is_not_given():
    no = np._NoValue
    for f, g in (
        (lambda x: np.diff(x, 1, 0, no, no), lambda x: np.diff(x, 1, 0)),
        (lambda x: np.sum(x, keepdims=no, initial=no, where=no), lambda x: np.sum(x)),
        (lambda x: np.max(x, 0, None, no, no, no), lambda x: np.max(x, 0)),
        (lambda x: np.std(x, 0, mean=no, correction=no, keepdims=no), lambda x: np.std(x, 0)),
        (lambda x: np.average(x, 0, keepdims=no), lambda x: np.average(x, 0)),
        (lambda x: np.clip(x, no, 3.0), lambda x: np.clip(x, None, 3.0)),
        (lambda x: np.nansum(x, 0, None, None, no, no, no), lambda x: np.nansum(x, 0)),
        (lambda x: x.sum(0, keepdims=no), lambda x: x.sum(0)),
        (lambda x: np.add.reduce(x, initial=no), lambda x: np.add.reduce(x)),
        (lambda x: np.linalg.pinv(x, rtol=no), lambda x: np.linalg.pinv(x)),
    ):
        _gradients_agree(lambda x, f=f: np.sum(f(x) ** 2), lambda x, g=g: np.sum(g(x) ** 2))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.add(x, x, dtype=int),
        lambda x: np.add(x, x.astype(np.float32), casting="no"),
        lambda x: np.sin(x, signature=(None, int)),
        lambda x: np.concatenate([x, x], dtype=np.float32, casting="safe"),
        lambda x: np.stack([x, x.astype(np.float32)], casting="no"),
        lambda x: np.hstack([x, x], dtype=int),
        lambda x: np.vstack([x, x], dtype=int),
        lambda x: np.sort(x, order="a"),
        lambda x: np.sort(x, kind="fast"),
        lambda x: np.partition(x, 1, kind="fast"),
        lambda x: np.partition(x, 1, order="a"),
        lambda x: np.zeros_like(x, device="gpu"),
        lambda x: np.full_like(x, 2.0, device="gpu"),
        lambda x: np.linspace(x, 1.0, device="gpu"),
        lambda x: np.astype(x, np.float32, device="gpu"),
        lambda x: np.asarray(x, device="gpu", like=x),
        lambda x: np.array(x, dtype=np.float32, copy=False, like=x),
        lambda x: np.copy(x, order="X"),
        lambda x: np.ravel(x, order="X"),
        lambda x: np.reshape(x, 6, order="X"),
        lambda x: np.reshape(x, 6, order="K"),
        lambda x: np.unravel_index(np.argmax(x), (2, 3), order="K")[0],
        lambda x: np.ravel_multi_index((np.argmax(x, 1),) * 2, (3, 3), order="A"),
        lambda x: np.put(np.copy(x), [0], 1.0, mode="X"),
        lambda x: np.take(x, [0], mode="X"),
        lambda x: np.choose(np.argmax(x, 0) * 0, x, mode="X"),
    ],
)
def test_what_numpy_refuses_is_refused(call):
    for attempt in (lambda: call(X), lambda: tw.vjp(call, X)):
        with pytest.raises((TypeError, ValueError)):
            attempt()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.add(x, 1, dtype=np.float32),
        # A dtype is that of the sums: the deviations keep their own.
        lambda x: np.var(x, dtype=np.float32),
        lambda x: x.std(axis=0, ddof=1, dtype=np.float32),
        lambda x: np.var(x, axis=1, dtype=complex),
        lambda x: np.var(x * (1 + 2j), dtype=complex),
        lambda x: np.var(x.astype(np.float32), axis=1, dtype=float),
        lambda x: np.nanvar(x, axis=0, dtype=np.float32),
        lambda x: np.nanstd(x * (1 + 2j), axis=0, dtype=complex),
        lambda x: np.nan_to_num(x.astype(np.float32), nan=np.float64(1.0)),
        lambda x: np.vander(x[0].astype(np.float32))[0],
        lambda x: np.compress([True], x[0, 0], axis=-1),
        lambda x: np.clip(x, 0.0, 1.0, dtype=np.float32),
        lambda x: np.clip(x, None, 1.0, casting="no"),
        *([lambda x: np.clip(x, None, None, dtype=np.float32)] if HAS_NO_BOUNDS else []),
        lambda x: x * np.where(x > 0)[0].size,
        lambda x: np.average(x, returned=True)[1] * x,
        lambda x: np.add(x, x, signature=(None, None, np.float32)),
        lambda x: np.add(x, x, casting="no"),
        lambda x: np.modf(x, dtype=np.float32)[0],
        lambda x: np.vstack([x, x], dtype=np.float32),
        lambda x: np.hstack([x, x.astype(np.float32)], casting="safe"),
        lambda x: np.copy(x, order="F"),
        lambda x: np.array(x, order="F", ndmin=3, like=x),
        lambda x: np.asarray(x.T, order="C", like=x),
        lambda x: np.ascontiguousarray(x.T, dtype=np.float32, like=x),
        lambda x: np.sin(x, order="F"),
        lambda x: np.full_like(x, x[0, 0], order="F"),
        lambda x: np.full((2, 3), x[0, 0], order="F", like=x),
        lambda x: np.ravel(np.copy(x.T), "K"),
        lambda x: np.reshape(x, 6, order="f"),
        lambda x: np.ravel(x, "f"),
        lambda x: np.ravel(x.T.copy(), "K"),
        lambda x: x.T.flatten("K"),
        lambda x: np.ravel(x.astype(np.float32, order="F"), "K"),
    ],
)
def test_what_numpy_does_is_done(call):
    expected = call(X)
    found, pull = tw.vjp(call, X)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    if expected.ndim > 1:
        layouts = []
        tw.vjp(lambda x: layouts.append(call(x).flags) or 0.0, X)
        assert layouts[0].c_contiguous == expected.flags.c_contiguous
    assert pull(np.ones_like(found))[0].shape == X.shape


def test_a_signature_as_text_is_refused_by_name():
    with pytest.raises(NoRuleError, match="signature='dd->d'"):
        tw.grad(lambda x: np.add(x, x, signature="dd->d"))(1.0)
