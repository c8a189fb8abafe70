"""What the laws can't see: kinks, ties, NaN, empty operands, refusals, and exactness by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import NoRuleError, TracingError

TIED = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda x: np.sum(np.max(x, axis=1)), [[0, 1 / 2, 1 / 2], [1 / 3] * 3]),
        (lambda x: np.sum(np.min(x, axis=1)), [[1, 0, 0], [1 / 3] * 3]),
        (np.max, [[0, 1 / 2, 1 / 2], [0, 0, 0]]),
        (lambda x: np.sum(np.nanmax(x, axis=1)), [[0, 1 / 2, 1 / 2], [1 / 3] * 3]),
        (lambda x: np.max(x, initial=3.0), [[0, 0, 0], [0, 0, 0]]),
        (lambda x: np.max(x, initial=x[0, 1]), [[0, 2 / 3, 1 / 3], [0, 0, 0]]),
        (lambda x: np.sum(np.std(x - x, axis=0)), [[0, 0, 0], [0, 0, 0]]),
        (lambda x: np.std(x[1]), [[0, 0, 0], [0, 0, 0]]),
        (lambda x: np.nanstd(x[1]), [[0, 0, 0], [0, 0, 0]]),
        (lambda x: np.std(x[1], where=np.array([True, True, False])), [[0, 0, 0], [0, 0, 0]]),
        (lambda x: np.sum(np.maximum.accumulate(x, axis=1)[:, -1]),
         [[0, 1 / 2, 1 / 2], [1 / 3] * 3]),
    ],
)  # fmt: skip
def test_ties_share_equally(call, expected):
    np.testing.assert_allclose(tw.grad(call)(TIED), expected, rtol=1e-15)


def test_running_maximum_shares_a_level_among_its_own():
    x = np.array([1.0, 1.0, 0.0, 2.0])
    jacobian = tw.jacobian(np.maximum.accumulate)(x)
    expected = [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(jacobian, expected)


@pytest.mark.parametrize("zeros", [(), (0,), (1, 3), (0, 1, 2), (0, 1, 2, 3)])
def test_prod_is_exact_at_zeros_to_third_order(zeros):
    x = np.array([2.0, 3.0, 5.0, 7.0])
    x[list(zeros)] = 0.0

    def without(*left_out):
        return np.prod([v for i, v in enumerate(x) if i not in left_out])

    n = range(4)
    third = tw.jacobian(tw.hessian(np.prod))(x)
    for i in n:
        assert tw.grad(np.prod)(x)[i] == without(i)
        for j in n:
            assert tw.hessian(np.prod)(x)[i, j] == (0 if i == j else without(i, j))
            for k in n:
                expected = without(i, j, k) if len({i, j, k}) == 3 else 0
                assert third[i, j, k] == expected


@pytest.mark.parametrize("zeros", [(), (0,), (1, 3), (0, 1, 2, 3)])
def test_cumprod_is_exact_at_zeros(zeros):
    x = np.array([2.0, 3.0, 5.0, 7.0])
    x[list(zeros)] = 0.0
    jacobian = tw.jacobian(np.cumprod)(x)
    for k in range(4):
        for i in range(4):
            others = [v for j, v in enumerate(x[: k + 1]) if j != i]
            assert jacobian[k, i] == (np.prod(others) if i <= k else 0)


def test_nan_entries_have_no_influence():
    x = np.array([1.0, np.nan, 3.0])
    np.testing.assert_array_equal(tw.grad(np.nansum)(x), [1, 0, 1])
    np.testing.assert_array_equal(tw.grad(np.nanprod)(x), [3, 0, 1])
    np.testing.assert_array_equal(tw.grad(np.nanmean)(x), [0.5, 0, 0.5])
    np.testing.assert_array_equal(tw.grad(np.nanmax)(x), [0, 0, 1])
    np.testing.assert_array_equal(tw.grad(np.nanvar)(x), [-1, 0, 1])
    np.testing.assert_array_equal(tw.grad(np.nanmedian)(x), [0.5, 0, 0.5])
    np.testing.assert_array_equal(tw.grad(lambda x: np.nansum(np.log(x)))(x), [1, 0, 1 / 3])
    np.testing.assert_array_equal(tw.hessian(np.nanprod)(x)[0], [0, 0, 1])


def test_jacobians_of_a_number_reduced_from_a_start():
    for f in (lambda x: np.prod(x, initial=2.0), lambda x: np.nansum(x, initial=2.0)):
        for form in ("sparse", "operator"):
            found = tw.jacobian(f, form=form)(np.float64(1.5))
            assert (found.toarray() if form == "sparse" else found.todense()) == tw.grad(f)(1.5)


def test_a_variance_without_freedom_is_none():
    x = np.array([1.0, 2.0, np.nan])
    for options in ({"ddof": 2}, {"ddof": 3, "where": np.array([True, True, True])}):
        for f in (np.nanvar, np.nanstd):
            with pytest.warns(RuntimeWarning, match="freedom"):
                assert np.isnan(f(x, **options))
        out, _ = tw.vjp(lambda x, o=options: np.nanvar(x, where=x > 0, ddof=o["ddof"]), x)
        assert np.isnan(out)


def test_a_masked_entry_has_no_influence():
    x, mask = np.array([1.0, 0.0, 4.0]), np.array([True, False, True])
    for function in (np.sum, np.mean, np.prod, np.var):
        g = tw.grad(lambda x, f=function: f(1 / x, where=mask))
        with np.errstate(divide="ignore", invalid="ignore"):
            assert np.isfinite(g(x)).all(), function


def test_variance_where_an_entry_is_its_mean():
    # The weight 2(x − mean)/n of that entry is zero by chance: its derivative is not.
    x = np.array([1.0, 2.0, 3.0])
    expected = 2 / 3 * (np.eye(3) - 1 / 3)
    for function in (np.var, np.nanvar):
        np.testing.assert_allclose(tw.hessian(function)(x), expected, atol=1e-15)
        forward = tw.jacobian(lambda x, f=function: tw.jvp(f, (x,), (np.arange(3.0),))[1])(x)
        np.testing.assert_allclose(forward, expected @ np.arange(3.0), atol=1e-15)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_logsumexp_by_reduction_at_infinite_entries(axis):
    x = np.array([[0.0, -np.inf], [1.0, 2.0]])
    weights = tw.grad(lambda x: np.sum(np.logaddexp.reduce(x, axis=axis)))(x)
    with np.errstate(invalid="ignore"):
        expected = np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)
    np.testing.assert_allclose(weights, expected, rtol=1e-14)


def test_default_axis_of_a_ufuncs_reduce_is_the_first():
    x = np.ones((2, 3))
    assert tw.vjp(np.add.reduce, x)[0].shape == (3,)
    assert tw.vjp(np.multiply.reduce, x)[0].shape == (3,)


def test_what_python_asks_of_a_reduction_is_answered():
    def f(x):
        if np.any(x > 2) and not np.all(x > 2):
            return x[np.argmax(x)] * np.count_nonzero(x > 0)
        return np.sum(x)

    np.testing.assert_array_equal(tw.grad(f)(np.array([1.0, 3.0, -1.0])), [0, 2, 0])


def test_order_statistics_take_no_wrong_number():
    x = np.array([0.3, 0.1, 0.2])
    with pytest.raises(NoRuleError, match="traced q"):
        tw.grad(lambda q: np.quantile(x, q))(0.5)
    with pytest.raises(NoRuleError, match="weights"):
        tw.grad(lambda x: np.quantile(x, 0.5, weights=[1, 2, 1], method="inverted_cdf"))(x)
    with pytest.raises(NoRuleError, match="only for 'linear'"):
        tw.grad(lambda x: np.nanquantile(x, 0.5, method="lower"))(x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.pad(x, 1, mode="empty"), "mode='empty'"),
        (lambda x: np.pad(x, 1, mode="reflect", reflect_type="odd"), "odd"),
        (lambda x: np.histogram(x)[0], "histogram"),
        (lambda x: np.add.reduceat(x, [0, 1]), "reduceat"),
        (lambda x: np.roll(x, x[0]), "traced shift"),
        (lambda x: np.sum(x, 0, None, np.empty(())), "into a NumPy array"),
        (lambda x: np.logspace(x[0], x[1], base=np.array([2.0, 3.0])), "bases"),
    ],
)
def test_what_has_no_rule_says_so(call, message):
    with pytest.raises((NoRuleError, TracingError), match=message):
        tw.vjp(call, np.array([1.0, 2.0, 3.0]))


def _error_of(function, *args):
    try:
        function(*args)
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.reshape(x, (4, -1)),
        lambda x: np.transpose(x, (0, 0)),
        lambda x: np.sum(x, axis=2),
        lambda x: np.split(x, 2, axis=1),
        lambda x: np.squeeze(x, 0),
        lambda x: np.concatenate([x, x[0]]),
        lambda x: np.max(x[:0]),
        lambda x: np.stack([x, x.T]),
        lambda x: np.broadcast_to(x, (3, 2)),
        lambda x: np.moveaxis(x, 0, 5),
        lambda x: np.average(x, weights=np.zeros((2, 3))),
        lambda x: np.convolve(x, x),
    ],
)
def test_numpys_own_errors_stay(call):
    x = np.ones((2, 3))
    plain, traced = _error_of(call, x), _error_of(tw.vjp, call, x)
    assert plain is not None
    assert isinstance(traced, type(plain))


def test_a_long_running_product_is_linear_in_time():
    x = np.full(20_000, 1.0001)
    g = tw.grad(lambda x: np.cumprod(x)[-1])(x)
    np.testing.assert_allclose(g, 1.0001**19_999, rtol=1e-9)


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("entries", ["different", "ties", "nan"])
def test_fast_order_is_the_stable_one(axis, entries):
    """The gradient of an order statistic by values and by graph: the same entry in both."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((6, 7))
    if entries == "ties":
        x = np.round(x)
    if entries == "nan":
        x[rng.uniform(size=x.shape) < 0.2] = np.nan
    weights = rng.standard_normal(x.size)

    def ranked(x):
        order = np.sort(x, axis=axis)
        return np.sum(np.reshape(order, -1) * weights)

    for call in (
        np.median,
        lambda x, axis: np.quantile(x, 0.3, axis=axis),
        lambda x, axis: np.quantile(x, 1.0, axis=axis, method="lower"),
        lambda x, axis: ranked(x),
    ):
        gradient = tw.grad(lambda x, call=call: np.sum(call(x, axis=axis)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's, for NaN
            by_graph, _ = tw.jvp(gradient, (x,), (np.ones_like(x),))
            np.testing.assert_array_equal(gradient(x), by_graph)
