"""Assignment and views: whatever NumPy does to arrays that share memory, handles do too."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from thalweg.errors import DtypeError, TracingError

X = np.arange(12.0).reshape(3, 4) / 7 + 0.1


def agree(program, *args, gradient=True):
    """`program(x)` gives the same on an array and on a handle, and the right derivative.

    It returns the arrays to compare.
    """
    args = args or (X,)
    with np.errstate(all="ignore"):
        expected = program(*[np.array(a) for a in args])
        got, pull = tw.vjp(program, *args)
    for want, have in zip(expected, got, strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-13, atol=1e-13)
        assert np.asarray(have).dtype == np.asarray(want).dtype
        assert np.shape(have) == np.shape(want)
    if not gradient:
        return
    rng = np.random.default_rng(0)
    c = tuple(rng.standard_normal(np.shape(y)).astype(y.dtype)[()] for y in expected)
    t = tuple(rng.standard_normal(np.shape(a)) for a in args)
    h = 1e-6
    plus = program(*[a + h * d for a, d in zip(args, t, strict=True)])
    minus = program(*[a - h * d for a, d in zip(args, t, strict=True)])
    pairs = [(k, p, m) for k, p, m in zip(c, plus, minus, strict=True) if p.dtype.kind in "fc"]
    expected_slope = sum(np.real(np.sum(k * (p - m))) / (2 * h) for k, p, m in pairs)
    slope = sum(np.sum(g * d) for g, d in zip(pull(c), t, strict=True))
    assert abs(slope - expected_slope) <= 1e-6 * (1 + abs(expected_slope))
    _, pushed = tw.jvp(program, args, t)
    forward = sum(np.real(np.sum(k * p)) for k, p in zip(c, pushed, strict=True)
                  if p.dtype.kind in "fc")  # fmt: skip
    assert abs(forward - expected_slope) <= 1e-6 * (1 + abs(expected_slope))


# ---- views, one way of making them after the other -----------------------------------------

VIEWS = {
    "row": lambda x: x[1],
    "rows": lambda x: x[1:3],
    "steps": lambda x: x[::2, ::-1],
    "column": lambda x: x[:, 2],
    "new-axis": lambda x: x[None, ..., 1],
    "0-d": lambda x: x[1, 2, ...],
    "whole": lambda x: x[...],
    "nested": lambda x: x[1:][0][1:3],
    "view": lambda x: x.view(),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "transpose": lambda x: np.transpose(x, (1, 0)),
    "transpose-method": lambda x: x.transpose(1, 0),
    "same-order": lambda x: x.transpose(0, 1),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "rollaxis": lambda x: np.rollaxis(x, 1),
    "reshape": lambda x: x.reshape(2, 6),
    "reshape-same": lambda x: np.reshape(x, (3, 4)),
    "reshape-of-T": lambda x: x.T.reshape(-1),
    "ravel": lambda x: x.ravel(),
    "ravel-copy": lambda x: x.T.ravel(),
    "flatten": lambda x: x.flatten(),
    "copy": lambda x: x.copy(),
    "squeeze": lambda x: np.squeeze(x[None]),
    "expand": lambda x: np.expand_dims(x, 1),
    "flip": lambda x: np.flip(x, 0),
    "fliplr": np.fliplr,
    "rot90": np.rot90,
    "split": lambda x: np.split(x, 2, axis=1)[1],
    "vsplit": lambda x: np.vsplit(x, 3)[1],
    "atleast": np.atleast_3d,
    "real": lambda x: x.real,
    "einsum": lambda x: np.einsum("ij->ji", x),
    "fancy": lambda x: x[[0, 1]],
    "mask": lambda x: x[x > 0.5],
    "arithmetic": lambda x: x + 0,
    "positive": lambda x: +x,
    "conj": lambda x: x.conj(),
    "astype": lambda x: x.astype(float),
    "astype-no-copy": lambda x: x.astype(float, copy=False),
    "element": lambda x: x[1, 2],
    "array": lambda x: np.array(x, like=x),
    "array-no-copy": lambda x: np.array(x, copy=None, like=x),
    "asarray": lambda x: np.asarray(x, like=x),
    "np.copy": np.copy,
    "reshape-copy": lambda x: np.array(x.reshape(4, 3), like=x),
    "tile": lambda x: np.tile(x, 1),
    "repeat": lambda x: x.repeat(1),
    "concatenate": lambda x: np.concatenate([x]),
    "stack": lambda x: np.stack([x]),
    "roll": lambda x: np.roll(x, 0),
    "clip": lambda x: x.clip(-9, 9),
    "round-trip": lambda x: x.astype(complex).astype(complex).real,
    "nan_to_num": np.nan_to_num,
    "where": lambda x: np.where(True, x, 0.0),
    "pad": lambda x: np.pad(x, 0),
    "sum-none": lambda x: x.sum(axis=()),
    "conjugate": np.conjugate,
    "take": lambda x: x.take([0], axis=0),
    "take-row": lambda x: x.take(1, axis=0),
    "compress": lambda x: x.compress([1, 1, 1], axis=0),
    "delete": lambda x: np.delete(x, [], axis=0),
    "append": lambda x: np.append(x, np.zeros((0, 4)), axis=0),
    "triu": lambda x: np.triu(x, -9),
    "sort": lambda x: np.sort(x, axis=1),
    "dot": lambda x: np.dot(1.0, x),
    "einsum-same": lambda x: np.einsum("ij", x),
    "array_split": lambda x: np.array_split(x, 2)[0],
    "flat-read": lambda x: x.flat[2:5],
    "meshgrid": lambda x: np.meshgrid(x[0], x[1])[0],
    "maximum": lambda x: np.maximum(x, -np.inf),
    "cumsum": lambda x: np.cumsum(x[:1], axis=0),
    "power": lambda x: np.linalg.matrix_power(x[:, :3], 1),
    "diff": lambda x: np.diff(x, n=0),
}
READ_ONLY = {
    "diagonal": lambda x: x.diagonal(),
    "broadcast": lambda x: np.broadcast_to(x, (2, 3, 4)),
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis=1),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_write_to_the_view(view):
    def program(x):
        x = x * 2
        y = view(x)
        y *= 3
        return x, y + 0

    agree(program)


@pytest.mark.parametrize("view", [*VIEWS.values(), *READ_ONLY.values()],
                         ids=[*VIEWS, *READ_ONLY])  # fmt: skip
def test_write_to_the_base(view):
    def program(x):
        x = x * 2
        y = view(x)
        x[1] = x[2] * x[0]
        x += 1
        return x, y + 0

    agree(program)


@pytest.mark.parametrize("view", READ_ONLY.values(), ids=READ_ONLY.keys())
def test_read_only_views(view):
    def program(x):
        y = view(x)
        y[0] = 1.0
        return x

    with pytest.raises(ValueError, match="read-only"):
        program(np.array(X))
    with pytest.raises(ValueError, match="read-only"):
        tw.vjp(program, X)


def test_relatives_follow_each_other():
    def program(x):
        x = x + 0
        row, column, turned = x[0], x[:, 0], x.T[::-1]
        part = row[1:3]
        row += 1
        column[:] = 2 * row[1]
        turned[0] = part[0]
        part *= x[2, 3]
        return x, row, column, turned, part

    agree(program)


def test_element_is_no_view():
    def program(x):
        x = x + 0
        s = t = x[1, 2]
        s += 1
        x[1, 2] = 9.0
        return x, s, t

    agree(program)


def test_complex_parts_write_through():
    def program(x):
        z = x * (1 + 2j)
        re, im = z.real, z.imag
        re[0] = im[1]
        im *= 2
        z.real[2] = x[0]
        z.imag = z.real * 3
        return z, re + 0, im + 0

    agree(program, gradient=False)
    tw.check_grads(lambda x: np.sum(program(x)[0].real + 2 * program(x)[0].imag), (X,), order=1)


# ---- every way of writing -------------------------------------------------------------------

WRITES = {
    "fill": lambda x: x.fill(2.5),
    "fill-traced": lambda x: x.fill(x[0, 1]),
    "sort": lambda x: x.sort(axis=0),
    "sort-last": lambda x: x.sort(),
    "partition": lambda x: x.partition(1),
    "put": lambda x: x.put([0, 5, -1], x[0, :3]),
    "np.put": lambda x: np.put(x, [[0, 5], [5, 2]], [x[1, 1], 2.0]),
    "np.put-wrap": lambda x: np.put(x, [40, -50], x[1, 1], mode="wrap"),
    "np.put-clip": lambda x: np.put(x, [40, -50], x[1, :2], mode="clip"),
    "place": lambda x: np.place(x, x > 0.8, x[0, :3]),
    "copyto": lambda x: np.copyto(x, x[1]),
    "copyto-where": lambda x: np.copyto(x, x[1] * 2, where=x > 1),
    "putmask": lambda x: np.putmask(x, x > 0.6, x[:, 0]),
    "put_along_axis": lambda x: np.put_along_axis(x, np.array([[1], [0], [3]]), x[:, :1] * 5, 1),
    "put_along_none": lambda x: np.put_along_axis(x, np.array([3, 4]), x[0, :2] * 5, None),
    "fill_diagonal": lambda x: np.fill_diagonal(x, x[2, :3]),
    "fill_diagonal-wrap": lambda x: np.fill_diagonal(x.T, x[2, 1], wrap=True),
    "add.at": lambda x: np.add.at(x, [0, 0, 1], x[2]),
    "subtract.at": lambda x: np.subtract.at(x, ([0, 0, 1], [1, 1, 1]), 0.5 * x[0, 0]),
    "multiply.at": lambda x: np.multiply.at(x, ([0, 0, 1], [1, 1, 1]), x[0, :3]),
    "divide.at": lambda x: np.divide.at(x, [0, 0], x[2]),
    "maximum.at": lambda x: np.maximum.at(x, [0, 1, 0], 0.7),
    "negative.at": lambda x: np.negative.at(x, [0, 1, 0, 0]),
    "flat": lambda x: operator.setitem(x.flat, slice(1, 9), [x[0, 0], 2.0]),
    "flat-int": lambda x: operator.setitem(x.flat, 7, x[0, 0]),
    "flat-mask": lambda x: operator.setitem(x.flat, np.arange(12) > 7, x[0]),
    "out": lambda x: np.exp(x, out=x),
    "out-positional": lambda x: np.multiply(x, x[0], x),
    "out-where": lambda x: np.log(x, out=x, where=x > 0.5),
    "out-view": lambda x: np.add(x[0], 1, out=x[1]),
    "out-sum": lambda x: np.sum(x, axis=0, out=x[1]),
    "T": lambda x: operator.setitem(x.T, 0, x[0, :3]),
    "chained": lambda x: operator.setitem(x[1:][0], slice(2), 5.0),
    "mask": lambda x: operator.setitem(x, x > 0.5, 0.0),
    "mask-1d": lambda x: operator.setitem(x, x[:, 0] > 0.5, x[0]),
    "repeated": lambda x: operator.setitem(x, ([0, 0], [1, 1]), x[1, :2]),
    "broadcast": lambda x: operator.setitem(x, slice(None), x[0, 0]),
    "matmul": lambda x: operator.imatmul(x, np.arange(16.0).reshape(4, 4) / 9),
    "pow": lambda x: operator.ipow(x, 2),
    "floor": lambda x: operator.imod(x, 0.4),
    "swap": lambda x: operator.setitem(x, [0, 1], x[[1, 0]]),
    "swap-views": lambda x: operator.setitem(x, slice(0, 2), x[1::-1]),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_writes(write):
    def program(x):
        x = x * 1.5
        view, copy = x[1:], x.copy()
        write(x)
        return x, view + 0, copy

    agree(program)


def test_augmented_forms():
    def program(x):
        x = x + 0
        x[1:3] += x[0]
        x[x > 0.8] *= 2
        x[[0, 0, 1]] -= 1
        x[0, 1] **= 2
        x[:, 1] /= x[:, 0]
        x.T[2] = x[0, 0]
        return (x,)

    agree(program)


def test_added_rows_make_one_write_each():
    sizes = []

    def program(x):
        x = x + 0
        x[1:3] += 1
        node, writes = x._node, 0
        while node.operands:
            writes += node.primitive.name == "setitem"
            node = node.operands[0]
        sizes.append(writes)
        return np.sum(x)

    tw.grad(program)(X)
    assert sizes == [1]


def test_the_callers_arrays_stay():
    mine = np.array(X)

    def program(x):
        x[0] = 0.0
        x += 1
        np.put(x, [1], 3.0)
        return np.sum(x * x)

    tw.grad(program)(mine)
    np.testing.assert_array_equal(mine, X)


def test_loop_of_writes():
    def program(x):
        y = np.zeros(5, like=x)
        y[0] = x[0, 0]
        for i in range(1, 5):
            y[i] = y[i - 1] * x[1, i - 1] + i
        return (y,)

    def plain(x):
        y = np.zeros(5)
        y[0] = x[0, 0]
        for i in range(1, 5):
            y[i] = y[i - 1] * x[1, i - 1] + i
        return (y,)

    np.testing.assert_allclose(tw.vjp(program, X)[0][0], plain(X)[0])
    agree(lambda x: program(x) if isinstance(x, tw.array.Array) else plain(x))


# ---- errors -----------------------------------------------------------------------------------

INTO_NUMPY = {
    "setitem": lambda b, x: operator.setitem(b, 0, x[0, 0]),
    "slice": lambda b, x: operator.setitem(b, slice(0, 4), x[0]),
    "add": lambda b, x: operator.iadd(b, x[0]),
    "out": lambda b, x: np.add(x[0], 1, out=b),
    "copyto": lambda b, x: np.copyto(b, x[0]),
    "put": lambda b, x: np.put(b, [0], x[0, 0]),
    "at": lambda b, x: np.add.at(b, [0], x[0, 0]),
    "place": lambda b, x: np.place(b, b == 0, x[0]),
    "asarray": lambda b, x: np.asarray(x),
}


@pytest.mark.parametrize("write", INTO_NUMPY.values(), ids=INTO_NUMPY.keys())
def test_writing_into_a_numpy_array(write):
    def program(x):
        write(np.zeros(4), x)
        return np.sum(x)

    with pytest.raises(TracingError, match="like=x"):
        tw.grad(program)(X)


def test_wrong_writes():
    def expect(error, write):
        for f in (lambda: write(np.array(X)), lambda: tw.vjp(lambda x: (write(x), x)[1], X)):
            with pytest.raises(error):
                f()

    expect(ValueError, lambda x: operator.setitem(x, 0, np.zeros(3)))
    expect(IndexError, lambda x: operator.setitem(x, 7, 0.0))
    expect(IndexError, lambda x: x[0, 0, 0])
    expect(TypeError, lambda x: operator.setitem(x[0, 0], 0, 1.0))
    expect(TypeError, lambda x: operator.iadd(x.astype(int), x))
    expect(ValueError, lambda x: operator.iadd(x[0], x))
    expect(ValueError, lambda x: operator.imatmul(x, np.ones((4, 2))))
    expect(TypeError, lambda x: operator.iadd(x, 1j))
    assert issubclass(DtypeError, TypeError)


def test_a_list_of_views_of_the_target():
    # NumPy copies entry by entry: x[0] is overwritten before it is read. That is nobody's wish.
    with pytest.raises(TracingError, match="copy"):
        tw.vjp(lambda x: operator.setitem(x, slice(2), [x[1], x[0]]), X)

    def program(x):
        x[:2] = [x[1].copy(), x[0] * 1.0]
        return (x,)

    agree(program)


def test_higher_orders_and_batches():
    def program(x):
        x = x * 1.0
        row = x[0]
        row *= x[1]
        x.T[2] = np.sin(x[:, 0])
        part = x.reshape(-1)[3:7]
        part **= 2
        np.add.at(x, [0, 0], x[2])
        x[np.argmax(x[0]) % 3] += 1
        np.fill_diagonal(x, x[0, 0])
        x.flat[3] = x[1, 1]
        return x

    batch = np.stack([X, 1.1 * X, X + 0.05])
    np.testing.assert_allclose(tw.vmap(program)(batch), [program(x) for x in batch])
    tw.check_grads(program, (X,), order=2)


def test_failed_write_leaves_everything():
    def program(x):
        x = x + 0
        y = x[1:]
        with pytest.raises(ValueError, match="broadcast"):
            y[0] = np.zeros(3)
        return x, y

    agree(program)


def test_a_write_keeps_the_memory_order():
    def program(x):  # whether `ravel` is a view depends on it
        x = x * 1.0
        x.T.put([0, 1], x[1, 1])
        flat = x.ravel()
        x[0] = x[2, 2]
        return x, flat

    def copied(x):
        x = np.moveaxis(x * 1.0, 0, -1).copy()
        x.reshape(-1, 1)[2] = x[1, 1]
        return (x,)

    agree(program)
    agree(copied)


# ---- random programs --------------------------------------------------------------------------

STEPS = {
    "slice": lambda h, a, b, v: h[a % max(h.shape[0], 1) :],
    "last": lambda h, a, b, v: h[..., b % h.shape[-1]],
    "back": lambda h, a, b, v: h[::-1],
    "row": lambda h, a, b, v: h[a % h.shape[0]],
    "T": lambda h, a, b, v: h.T,
    "ravel": lambda h, a, b, v: h.ravel(),
    "flat": lambda h, a, b, v: h.reshape(-1, 1),
    "new": lambda h, a, b, v: h[None],
    "copy": lambda h, a, b, v: h.copy(),
    "fancy": lambda h, a, b, v: h[[a % h.shape[0], 0]],
    "double": lambda h, a, b, v: h * 2.0,
    "split": lambda h, a, b, v: np.array_split(h, 2)[a % 2],
    "flip": lambda h, a, b, v: np.flip(h),
    "steps": lambda h, a, b, v: h[:: a % 3 + 1],
    "squeeze": lambda h, a, b, v: np.squeeze(h),
    "move": lambda h, a, b, v: np.moveaxis(h, 0, -1),
    "real": lambda h, a, b, v: h.real,
    "view": lambda h, a, b, v: h.view(),
    "as-is": lambda h, a, b, v: h.astype(float, copy=False),
    "atleast": lambda h, a, b, v: np.atleast_2d(h),
    "fortran": lambda h, a, b, v: h.T.reshape(h.shape[::-1]),
}
ASSIGN = {
    "set": lambda h, a, b, v: operator.setitem(h, a % h.shape[0], v),
    "set-last": lambda h, a, b, v: operator.setitem(h, (..., b % h.shape[-1]), v),
    "add": lambda h, a, b, v: operator.iadd(h, v),
    "scale": lambda h, a, b, v: operator.imul(h, 1.25),
    "halve-part": lambda h, a, b, v: operator.setitem(h, slice(1), h[:1] * 0.5),
    "add-self": lambda h, a, b, v: operator.iadd(h, h[a % h.shape[0]]),
    "mask": lambda h, a, b, v: operator.setitem(h, h > 1.0, v),
    "fill": lambda h, a, b, v: h.fill(v),
    "put": lambda h, a, b, v: h.put([a % h.size, 0], v),
}


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*STEPS, *ASSIGN, *ASSIGN]),
            st.integers(0, 5),
            st.integers(0, 5),
            st.integers(0, 7),
        ),
        max_size=12,
    )
)
def test_random_programs(steps):
    def program(x):
        handles = [x * 1.0]
        for name, a, b, which in steps:
            h = handles[which % len(handles)]
            if h.ndim == 0 or h.size == 0:
                continue
            v = handles[0][a % 3, b % 4]
            if name in ASSIGN:
                ASSIGN[name](h, a, b, v)
            else:
                handles.append(STEPS[name](h, a, b, v))
        return tuple(h + 0 for h in handles)

    agree(program, X)
