"""Matrix products of compiled programs against NumPy: shapes, strides, ranges of rows, NaN."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.execute.native import gemm, gemm_library, jit
from thalweg.execute.native.emit import Module

pytestmark = pytest.mark.skipif(bool(jit.available()), reason=jit.available())

DTYPES = {"f32": np.float32, "f64": np.float64}
Array = np.ndarray[Any, Any]


def strides(x: Array) -> tuple[int, int]:
    """Strides in elements."""
    return x.strides[0] // x.itemsize, x.strides[1] // x.itemsize


def compiled(module: Module, name: str, arguments: int, numbers: int) -> Callable[..., None]:
    """The internal function `name` by a way in from outside."""
    types = ["ptr"] * arguments + ["i64"] * numbers
    parameters = ", ".join(f"{t} %p{i}" for i, t in enumerate(types))
    module.define(
        "@way_in",
        f"define void @way_in({parameters}) nounwind {{\n  call void {name}({parameters})\n"
        "  ret void\n}",
    )
    library = jit.load(module.text(), gemm.runtime(module))
    kinds = [ctypes.c_void_p] * arguments + [ctypes.c_int64] * numbers
    function = ctypes.CFUNCTYPE(None, *kinds)(library.address("way_in"))

    def call(*given: Array | int) -> None:
        assert library is not None  # the code lives as long as this function does
        function(*(x if isinstance(x, int) else x.ctypes.data for x in given))

    return call


def product(a: Array, b: Array, c: Array, ends: list[int], accumulate: bool = False) -> None:
    """C = A · B, or C += A · B, in ranges of rows that end at `ends`."""
    kind = {4: "f32", 8: "f64"}[a.itemsize]
    (m, k), n = a.shape, b.shape[1]
    module = Module()
    name = gemm.gemm(
        module, jit.target(), kind, m, n, k, strides(a), strides(b), strides(c)[0],
        accumulate=accumulate,
    )  # fmt: skip
    call = compiled(module, name, 3, 2)
    for begin, end in itertools.pairwise([0, *ends, m]):
        call(a, b, c, begin, end)


def layout(rng: np.random.Generator, shape: tuple[int, int], how: str, dtype: Any) -> Array:
    """A matrix of random numbers in some layout."""
    rows, columns = shape
    if how == "transposed":
        return rng.standard_normal((columns, rows)).astype(dtype).T
    if how == "sliced":
        return rng.standard_normal((rows + 1, columns + 3)).astype(dtype)[1:, 2 : columns + 2]
    if how == "stepped":
        return rng.standard_normal((2 * rows, 3 * columns)).astype(dtype)[::2, ::3]
    if how == "reversed":
        return rng.standard_normal(shape).astype(dtype)[::-1, ::-1]
    if how == "row repeated":
        return np.broadcast_to(rng.standard_normal(columns).astype(dtype), shape)
    if how == "column repeated":
        return np.broadcast_to(rng.standard_normal((rows, 1)).astype(dtype), shape)
    return rng.standard_normal(shape).astype(dtype)


LAYOUTS = ["plain", "transposed", "sliced", "stepped", "reversed", "row repeated"]


def check(c: Array, start: Array | None, a: Array, b: Array) -> None:
    """C against the product in float64, within k roundings of each sum."""
    wide = np.float64
    expected = a.astype(wide) @ b.astype(wide) + (0 if start is None else start.astype(wide))
    bound = np.abs(a).astype(wide) @ np.abs(b).astype(wide)
    bound = (bound + (0 if start is None else np.abs(start))) * (a.shape[1] + 2)
    assert np.all(np.abs(c - expected) <= bound * np.finfo(c.dtype).eps)


@settings(max_examples=60, deadline=None)
@given(
    m=st.integers(0, 40),
    n=st.integers(0, 140) | st.sampled_from([1, 16, 64, 128, 160]),
    k=st.integers(0, 40) | st.sampled_from([1, 129, 300]),
    kind=st.sampled_from(["f32", "f64"]),
    how_a=st.sampled_from([*LAYOUTS, "column repeated"]),
    how_b=st.sampled_from(LAYOUTS),
    accumulate=st.booleans(),
    cuts=st.lists(st.integers(0, 40), max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_product(
    m: int,
    n: int,
    k: int,
    kind: str,
    how_a: str,
    how_b: str,
    accumulate: bool,
    cuts: list[int],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    a = layout(rng, (m, k), how_a, DTYPES[kind])
    b = layout(rng, (k, n), how_b, DTYPES[kind])
    around = rng.standard_normal((m + 2, n + 5)).astype(DTYPES[kind])
    before = around.copy()
    c = around[1:-1, 2:-3]
    start = c.copy()
    product(a, b, c, sorted(min(cut, m) for cut in cuts), accumulate)
    check(c, start if accumulate else None, a, b)
    before[1:-1, 2:-3] = c
    np.testing.assert_array_equal(around, before)  # nothing beside C was written


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize(
    ("m", "n", "k"), [(70, 700, 700), (1, 1000, 400), (200, 1, 1000), (90, 75, 2), (1100, 530, 530)]
)
def test_larger(m: int, n: int, k: int, kind: str) -> None:
    rng = np.random.default_rng(1)
    for how in ("plain", "transposed"):
        a = layout(rng, (m, k), how, DTYPES[kind])
        b = layout(rng, (k, n), "plain", DTYPES[kind])
        c = np.empty((m, n), DTYPES[kind])
        product(a, b, c, [])
        check(c, None, a, b)


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize(
    ("m", "n", "k", "how"),
    [
        (67, 97, 33, "plain"),
        (67, 10, 64, "transposed"),
        (90, 640, 640, "plain"),
        (67, 1, 100, "plain"),
        (67, 1, 100, "transposed"),
    ],
)
def test_bits_do_not_depend_on_the_ranges(m: int, n: int, k: int, how: str, kind: str) -> None:
    rng = np.random.default_rng(2)
    a = layout(rng, (m, k), how, DTYPES[kind])
    b = layout(rng, (k, n), "plain", DTYPES[kind])
    c = np.empty((m, n), DTYPES[kind])
    product(a, b, c, [])
    for ends in ([1, 2, 3, 5, 9], [32, 64], [m // 2], list(range(1, m))):
        again = np.full_like(c, np.nan)
        product(a, b, again, ends)
        np.testing.assert_array_equal(c, again)


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize("n", [1, 3, 70])
def test_special_values(n: int, kind: str) -> None:
    rng = np.random.default_rng(3)
    a = rng.standard_normal((9, 21)).astype(DTYPES[kind])
    b = rng.standard_normal((21, n)).astype(DTYPES[kind])
    a[2, 3], b[3, n // 2] = 0.0, np.inf  # 0 · inf = NaN
    a[4, 20], a[5, 7], a[6, 8] = np.nan, np.inf, -np.inf
    c = np.full((9, n), np.nan, DTYPES[kind])
    product(a, b, c, [])
    with np.errstate(invalid="ignore"):
        expected = a @ b
    np.testing.assert_array_equal(np.isnan(c), np.isnan(expected))
    np.testing.assert_array_equal(c[np.isinf(expected)], expected[np.isinf(expected)])


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize("rows", [0, 1, 7, 16, 33])
@pytest.mark.parametrize("columns", [0, 1, 8, 10, 40])
def test_transpose(rows: int, columns: int, kind: str) -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((rows, columns + 2)).astype(DTYPES[kind])
    around = rng.standard_normal((columns + 1, rows + 3)).astype(DTYPES[kind])
    expected = around.copy()
    expected[:columns, :rows] = x[:, :columns].T
    module = Module()
    name = gemm.transpose(module, jit.target(), kind, rows, columns, columns + 2, rows + 3)
    compiled(module, name, 2, 0)(x, around)
    np.testing.assert_array_equal(around, expected)


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize("target", ["avx512", "avx2", "old"])
def test_text_for_other_machines(target: str, kind: str) -> None:
    """Narrower vectors of the machine at hand give valid IR, and the same numbers."""
    here = jit.target()
    wide = {"avx512": 64, "avx2": 32, "old": 16}[target]
    there = here._replace(vector_bytes=wide, has_fma=target != "old", has_avx512=target == "avx512")
    text = gemm_library.library(there, kind)
    jit.verify(text)
    if wide > here.vector_bytes or (there.has_fma and not here.has_fma):
        return
    library = jit.load(text)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 8, ctypes.c_bool)(
        library.address(f"tw_product_{kind}")
    )
    rng = np.random.default_rng(5)
    for m, n, k in [(13, 75, 9), (3, 5, 2), (1, 70, 30), (16, 24, 8)]:
        a = rng.standard_normal((m, k)).astype(DTYPES[kind])
        b = rng.standard_normal((k, n)).astype(DTYPES[kind])
        c = np.empty((m, n), DTYPES[kind])
        function(
            a.ctypes.data, b.ctypes.data, c.ctypes.data, m, n, k, *a.strides, *b.strides,
            c.strides[0], False,
        )  # fmt: skip
        check(c, None, a, b)
