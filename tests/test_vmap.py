"""vmap: axes, trees, nesting with itself and with derivatives, guards, errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import thalweg as tw
from thalweg import guards
from thalweg.errors import NonScalarOutputError, ShapeError, TracingError, TreeError

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4))
Y = RNG.standard_normal((3, 4))


@dataclasses.dataclass(frozen=True)
class Affine:
    w: object
    b: object


def loss(w, x):
    return np.sum(np.tanh(w * x) ** 2)


# ---- axes and trees -----------------------------------------------------------------------


def test_default_axes():
    np.testing.assert_array_equal(tw.vmap(np.sum)(X), X.sum(axis=1))
    np.testing.assert_array_equal(tw.vmap(np.add)(X, Y), X + Y)


@pytest.mark.parametrize("axis", [1, -1])
def test_other_axes(axis):
    np.testing.assert_array_equal(tw.vmap(np.sum, in_axes=axis)(X), X.sum(axis=0))


@pytest.mark.parametrize("in_axes", [(0, None), [0, None], (-2, None)])
def test_unbatched_argument(in_axes):
    got = tw.vmap(lambda x, v: x * v, in_axes=in_axes)(X, Y[0])
    np.testing.assert_array_equal(got, X * Y[0])


@pytest.mark.parametrize(("out_axes", "axes"), [(0, (0, 1, 2)), (1, (1, 0, 2)), (-1, (1, 2, 0))])
def test_out_axes(out_axes, axes):
    got = tw.vmap(lambda x: x[:, None] * x, out_axes=out_axes)(X)
    expected = X[:, :, None] * X[:, None]
    np.testing.assert_array_equal(got, np.moveaxis(expected, 0, axes.index(0)))


def test_tree_of_axes():
    params = {"w": X, "b": 2.0}
    f = tw.vmap(lambda p, x: p["w"] * x + p["b"], in_axes=({"w": 0, "b": None}, 1))
    np.testing.assert_array_equal(f(params, Y.T), X * Y + 2.0)


def test_axis_for_a_whole_tree_and_dataclasses():
    f = tw.vmap(lambda p, x: np.sum(p.w * x) + p.b, in_axes=(None, 0))
    p = Affine(X[0], 1.5)
    np.testing.assert_allclose(f(p, Y), Y @ X[0] + 1.5, rtol=1e-14)
    g = tw.vmap(lambda p: np.sum(p.w) + p.b)
    np.testing.assert_allclose(g(Affine(X, np.arange(3.0))), X.sum(1) + np.arange(3.0))


def test_tree_of_results():
    out = tw.vmap(
        lambda x: {"sum": np.sum(x), "pair": (x, 1.0)}, out_axes={"sum": 0, "pair": (1, 0)}
    )(X)
    np.testing.assert_array_equal(out["sum"], X.sum(1))
    np.testing.assert_array_equal(out["pair"][0], X.T)
    assert out["pair"][1].tolist() == [1.0] * 3


def test_results_that_do_not_vary():
    out, constant = tw.vmap(lambda x: (x, 7.0), out_axes=(0, None))(X)
    assert constant == 7.0
    assert tw.vmap(lambda x: 7.0)(X).tolist() == [7.0] * 3
    with pytest.raises(ShapeError, match="differs from example to example"):
        tw.vmap(lambda x: x, out_axes=None)(X)
    assert out.shape == (3, 4)


def test_keyword_arguments_are_the_same_for_all():
    got = tw.vmap(lambda x, *, scale: x * scale)(X, scale=Y[0])
    np.testing.assert_array_equal(got, X * Y[0])


def test_results_belong_to_the_caller():
    out, again = tw.vmap(lambda x: (x, x))(X)
    assert not np.shares_memory(out, X)
    assert not np.shares_memory(out, again)
    out += 1.0


@pytest.mark.parametrize("shape", [(0,), (0, 4)])
def test_no_examples(shape):
    out = tw.vmap(lambda x: np.sum(np.exp(x)))(np.zeros(shape))
    assert out.shape == (0,)
    assert tw.vmap(lambda x: x[:, None] * x[:2])(np.zeros((0, 4))).shape == (0, 4, 2)
    assert tw.vmap(tw.grad(lambda x: np.sum(x * x)))(np.zeros(shape)).shape == shape


def test_integers_and_booleans_are_batched():
    table = np.arange(10.0) ** 2
    n = np.array([1, 3, 2])
    np.testing.assert_array_equal(tw.vmap(lambda k: np.asarray(table, like=k)[k])(n), table[n])
    with pytest.raises(TracingError, match="like=i"):
        tw.vmap(lambda k: table[k])(n)
    mask = X > 0
    got = tw.vmap(lambda x, m: np.where(m, x, 0.0))(X, mask)
    np.testing.assert_array_equal(got, np.where(mask, X, 0.0))


def test_dtype_stays():
    assert tw.vmap(lambda x: np.tanh(x) * 2.0)(X.astype(np.float32)).dtype == np.float32


def test_assignment_in_the_function():
    def f(x):
        out = np.zeros(5, like=x)
        out[1:] = x
        out[0] += 3.0
        return out

    expected = np.concatenate([np.full((3, 1), 3.0), X], axis=1)
    np.testing.assert_array_equal(tw.vmap(f)(X), expected)


# ---- nesting ------------------------------------------------------------------------------


def test_of_itself():
    a, b = RNG.standard_normal((3, 2)), RNG.standard_normal((4, 2))
    outer = tw.vmap(lambda u: tw.vmap(lambda v: np.sum(u * v))(b))(a)
    np.testing.assert_allclose(outer, a @ b.T, rtol=1e-14)
    twice = tw.vmap(tw.vmap(lambda s: s**2 + 1))(X)
    np.testing.assert_array_equal(twice, X**2 + 1)
    crossed = tw.vmap(tw.vmap(np.multiply, in_axes=(None, 0)), in_axes=(0, None))(a[:, 0], b[:, 0])
    np.testing.assert_array_equal(crossed, np.outer(a[:, 0], b[:, 0]))


def test_of_grad():
    got = tw.vmap(tw.grad(loss), in_axes=(None, 0))(Y[0], X)
    np.testing.assert_allclose(got, [tw.grad(loss)(Y[0], x) for x in X], rtol=1e-13)


def test_of_value_and_grad_with_aux():
    f = tw.vmap(
        tw.value_and_grad(lambda w, x: (loss(w, x), w * x), has_aux=True), in_axes=(None, 0)
    )
    (value, aux), g = f(Y[0], X)
    np.testing.assert_allclose(value, [loss(Y[0], x) for x in X], rtol=1e-14)
    np.testing.assert_array_equal(aux, Y[0] * X)
    np.testing.assert_allclose(g, [tw.grad(loss)(Y[0], x) for x in X], rtol=1e-13)


def test_of_jvp_vjp_hessian_jacobian():
    got = tw.vmap(lambda x, t: tw.jvp(np.sin, (x,), (t,))[1])(X, Y)
    np.testing.assert_allclose(got, np.cos(X) * Y, rtol=1e-14)
    got = tw.vmap(lambda x, c: tw.vjp(np.sin, x)[1](c)[0])(X, Y)
    np.testing.assert_allclose(got, np.cos(X) * Y, rtol=1e-14)
    got = tw.vmap(tw.hessian(lambda x: np.sum(x**3)))(X)
    np.testing.assert_allclose(got, [np.diag(6 * x) for x in X], rtol=1e-13)
    got = tw.vmap(tw.jacobian(lambda x: x**2))(X)
    np.testing.assert_allclose(got, [np.diag(2 * x) for x in X], rtol=1e-13)


def test_under_grad_jvp_and_hessian():
    def total(w):
        return np.sum(tw.vmap(loss, in_axes=(None, 0))(w, X))

    def looped(w):
        return sum(loss(w, x) for x in X)

    w = Y[0]
    np.testing.assert_allclose(tw.grad(total)(w), tw.grad(looped)(w), rtol=1e-13)
    np.testing.assert_allclose(tw.hessian(total)(w), tw.hessian(looped)(w), rtol=1e-12, atol=1e-14)
    a, b = tw.jvp(total, (w,), (Y[1],)), tw.jvp(looped, (w,), (Y[1],))
    np.testing.assert_allclose(a, b, rtol=1e-13)


def test_grad_of_vmap_of_grad_with_closure():
    def penalty(w):
        gradients = tw.vmap(lambda x: tw.grad(lambda v: np.sum(np.sin(v * w)))(x))(X)
        return np.sum(gradients**2)

    def closed_form(w):
        return np.sum((w * np.cos(X * w)) ** 2)

    np.testing.assert_allclose(
        tw.grad(penalty)(Y[0]), tw.grad(closed_form)(Y[0]), rtol=1e-12, atol=1e-14
    )


def test_integer_of_an_outer_vmap_in_an_inner_gradient():
    n = np.arange(3)
    got = tw.vmap(lambda k: tw.grad(lambda x: x * (k * 2))(2.0))(n)
    np.testing.assert_array_equal(got, 2.0 * n)


def test_example_by_example_under_grad():
    """An operation without a batching rule is done in a loop and stays differentiable."""

    @tw.primitive
    def shifted_square(x):
        return x * x + 1.0

    @shifted_square.local
    def _(out, x):
        return tw.kinds.Diagonal(2.0 * x)

    def total(x):
        return np.sum(tw.vmap(lambda row: shifted_square(row) * row)(x))

    np.testing.assert_allclose(tw.grad(total)(X), 3 * X**2 + 1, rtol=1e-13)


# ---- guards -------------------------------------------------------------------------------


def branching(x):
    return x * 2.0 if x > 0 else -x


def test_branches_on_which_all_examples_agree():
    np.testing.assert_array_equal(tw.vmap(branching)(np.array([1.0, 2.0])), [2.0, 4.0])
    np.testing.assert_array_equal(tw.vmap(branching)(np.array([-1.0, -2.0])), [1.0, 2.0])


def test_branches_on_which_they_differ():
    with pytest.raises(TracingError, match=r"test_vmap.py:\d+.*(?s:.*)np.where"):
        tw.vmap(branching)(np.array([1.0, -2.0]))


@pytest.mark.parametrize("wrap", [tw.grad, tw.value_and_grad])
def test_branches_inside_a_gradient(wrap):
    with pytest.raises(TracingError, match="do not agree"):
        tw.vmap(wrap(branching))(np.array([1.0, -2.0]))
    tw.vmap(wrap(branching))(np.array([1.0, 2.0]))


def test_branches_in_nested_vmaps():
    for bad in ([[1.0, -1.0], [1.0, 1.0]], [[1.0, 1.0], [-1.0, -1.0]], [[1.0, 1.0], [1.0, -1.0]]):
        with pytest.raises(TracingError, match="do not agree"):
            tw.vmap(tw.vmap(branching))(np.array(bad))
    np.testing.assert_array_equal(tw.vmap(tw.vmap(branching))(np.abs(X)), 2 * np.abs(X))


def test_integers_that_python_uses():
    f = tw.vmap(lambda n, x: x ** int(n))
    np.testing.assert_array_equal(f(np.array([2, 2, 2]), X), X**2)
    with pytest.raises(TracingError, match="do not agree"):
        f(np.array([2, 2, 3]), X)


# ---- errors -------------------------------------------------------------------------------


def test_sizes_that_differ_are_listed():
    with pytest.raises(ShapeError) as caught:
        tw.vmap(lambda p, x: p["w"] + x)({"w": X}, np.zeros((5, 4)))
    text = str(caught.value)
    assert "argument 0['w']: shape (3, 4), axis 0, 3 examples" in text
    assert "argument 1: shape (5, 4), axis 0, 5 examples" in text


def test_bad_axes():
    with pytest.raises(ShapeError, match="no axis 0"):
        tw.vmap(np.add)(X, 2.0)
    with pytest.raises(ShapeError, match="no axis 2"):
        tw.vmap(np.sum, in_axes=2)(X)
    with pytest.raises(ShapeError, match="no argument has a batch axis"):
        tw.vmap(np.sum, in_axes=None)(X)
    with pytest.raises(TreeError, match="2 entries"):
        tw.vmap(np.sum, in_axes=(0, 0))(X)
    with pytest.raises(TreeError, match="axis is an int or None"):
        tw.vmap(np.sum, in_axes=0.5)(X)
    with pytest.raises(TreeError, match="does not go along"):
        tw.vmap(lambda p: p["w"], in_axes=({"v": 0},))({"w": X})
    with pytest.raises(ShapeError, match="out_axes=3"):
        tw.vmap(np.sin, out_axes=3)(X)


def test_errors_leave_nothing_behind():
    with pytest.raises(NonScalarOutputError):
        tw.vmap(tw.grad(np.sin))(X)
    with pytest.raises(ZeroDivisionError):
        tw.vmap(lambda x: 1 // 0)(X)
    assert guards.depth() == 0


def test_kept_values_are_refused():
    kept = []
    tw.grad(lambda x: (kept.append(x), np.sum(x))[1])(X[0])
    with pytest.raises(TracingError, match="call that has ended"):
        tw.vmap(lambda x: x + kept[0])(X)


def test_kept_examples_are_refused_in_an_outer_trace():
    def outer(x):
        kept = []
        tw.vmap(lambda row: (kept.append(row), row)[1])(x)
        return np.sum(kept[0] * x)

    def written(x):
        buffer = np.zeros(4, like=x)

        def f(row):
            buffer[:] = row
            return row

        tw.vmap(f)(x)
        return np.sum(buffer)

    for f in (outer, written):
        with pytest.raises(TracingError, match="call that has ended"):
            tw.grad(f)(X)
        with pytest.raises(TracingError, match="call that has ended"):
            tw.hessian(f)(X)


def test_branches_on_outer_values_are_kept_for_the_outer_batch():
    def inner(x):
        return tw.vmap(lambda y: y * 2.0 if x > 0 else y)(Y[0])

    np.testing.assert_array_equal(tw.vmap(inner)(np.ones(3)), np.stack([2 * Y[0]] * 3))
    with pytest.raises(TracingError, match="do not agree"):
        tw.vmap(inner)(np.array([1.0, 1.0, -1.0]))
