"""The native entry: what it gives, and that no reference is lost."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.call_entries import (
    ARRAY,
    F32,
    F64,
    NEW,
    SHAPE,
    Layer,
    Missed,
    Point,
    library,
    make,
    numbers,
)
from thalweg.errors import InternalError
from thalweg.execute.native.call import (
    ArgumentOut,
    ArrayLeaf,
    ArrayOut,
    ConstantOut,
    NumberLeaf,
    NumberOut,
    StaticLeaf,
    entry_available,
)
from thalweg.tree import flatten

pytestmark = pytest.mark.skipif(bool(entry_available()), reason=entry_available())


# ---- results ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "result",
    [
        0.0,
        (0.0,),
        [0.0, 0.0],
        {"b": 0.0, "a": (0.0, None)},
        Point(0.0, [0.0]),
        Layer({"x": [0.0]}, "kept"),
        OrderedDict(z=0.0, a=0.0),
        None,
        ((), [], {}),
        [[(0.0, 0.0), {"k": (0.0,)}], Point((), 0.0)],
    ],
    ids=str,
)
def test_trees_of_results(result: Any) -> None:
    leaves, structure = flatten(result)
    outputs = tuple(
        ConstantOut(leaf) if isinstance(leaf, str) else NumberOut(F64) for leaf in leaves
    )
    entry = make("nothing", (0.0,), (ARRAY,), result, outputs)
    a = numbers()
    found, found_structure = flatten(entry(a))
    assert found_structure == structure
    assert len(found) == len(leaves)
    assert all(isinstance(leaf, (np.float64, str)) for leaf in found)


def test_results_in_the_place_of_arguments() -> None:
    a, b = numbers(), numbers(3.0)
    expected = a + b
    inputs = (ArrayLeaf(SHAPE, F64, inplace=True), ARRAY)
    entry = make("add", (0.0, 0.0), inputs, [0.0], (ArgumentOut(0),), arena_bytes=48)
    count = sys.getrefcount(a)
    (result,) = entry(a, b)
    assert result is a
    np.testing.assert_array_equal(a, expected)
    del result
    assert sys.getrefcount(a) == count
    a.flags.writeable = False
    assert type(entry(a, b)) is Missed
    b.flags.writeable = False
    a = a.copy()
    assert entry(a, b)[0] is a


def test_memory_that_is_written_may_not_be_another_input_too() -> None:
    inputs = (ArrayLeaf(SHAPE, F64, inplace=True), ARRAY)
    entry = make("add", (0.0, 0.0), inputs, 0.0, (ArgumentOut(0),), arena_bytes=48)
    room = np.zeros(13)
    parts = {i: room[i : i + 6].reshape(SHAPE) for i in range(8)}
    other = numbers()
    for _ in range(3):
        assert type(entry(parts[0], parts[0])) is Missed
        assert type(entry(parts[0], parts[5])) is Missed
        assert type(entry(parts[5], parts[0])) is Missed
        assert entry(parts[0], parts[6]) is parts[0]
        assert entry(parts[6], parts[0]) is parts[6]
        assert type(entry(parts[6], parts[1])) is Missed
        assert entry(parts[6], other) is parts[6]
        assert type(entry(other, other)) is Missed
        assert entry(other, parts[6]) is other
        assert entry(other.copy(), other) is not other


def test_pairs_that_only_a_refused_call_has_seen_are_compared() -> None:
    # The second call finds an overlap after it looked at a new first address. The third keeps that
    # address: what it overlaps must be found again.
    written, read = ArrayLeaf((2,), F64, inplace=True), ArrayLeaf((2,), F64)
    entry = make("nothing", (0.0,) * 3, (written, read, read), None, ())
    room = np.zeros(20)
    a, b, c, d = room[0:2], room[4:6], room[8:10], room[9:11]
    assert entry(a, b, c) is None
    assert type(entry(d, b, c)) is Missed
    assert type(entry(d, c, b)) is Missed
    assert entry(d, b, a) is None


def test_arrays_without_entries() -> None:
    empty = ArrayLeaf((0, 3), F64, inplace=True)
    out = ArrayOut((0, 3), F64)
    entry = make("nothing", (0.0, 0.0), (empty, empty), (0.0, 0.0), (ArgumentOut(0), out))
    a = np.zeros((0, 3))
    kept, new = entry(a, a)
    assert kept is a
    assert new.shape == (0, 3)
    assert type(entry(np.zeros((0, 2)), a)) is Missed


def test_arrays_without_axes() -> None:
    leaf = ArrayLeaf((), F64)
    outputs = (ArrayOut((), F64), NumberOut(F64))
    entry = make("copy2", (0.0, 0.0), (leaf, leaf), (0.0, 0.0), outputs)
    first, second = entry(np.array(1.5), np.array(2.5))
    assert type(first) is np.ndarray
    assert (first.shape, first[()], second) == ((), 1.5, 2.5)
    assert type(entry(np.float64(1.0), np.array(1.0))) is Missed


def test_large_results_come_from_the_pool() -> None:
    entry = make("nothing", (0.0,), (ARRAY,), 0.0, (ArrayOut((1000, 3), F32),))
    result = entry(numbers())
    assert result.shape == (1000, 3)
    assert result.dtype is F32
    assert result.ctypes.data % 64 == 0
    result[:] = 1.0
    address, view = result.ctypes.data, result[5]
    del result
    assert entry(numbers()).ctypes.data != address
    assert (view == 1.0).all()


def test_a_result_of_a_class_that_refuses_is_an_error() -> None:
    entry = make("nothing", (0.0,), (ARRAY,), [0.0, Picky(1.0)], (ArrayOut((500,), F64),) * 2)
    Picky.refuse = True
    try:
        with pytest.raises(ValueError, match="refused"):
            entry(numbers())
    finally:
        Picky.refuse = False
    assert type(entry(numbers())[1]) is Picky


class Picky(NamedTuple("PickyBase", [("x", Any)])):  # type: ignore[misc]
    refuse = False

    def __new__(cls, x: Any) -> Picky:
        if cls.refuse:
            raise ValueError("refused")
        return super().__new__(cls, x)  # type: ignore[no-any-return]


# ---- life -------------------------------------------------------------------------------------


def test_no_reference_is_lost() -> None:
    args = ({"w": numbers(), "b": [numbers()]}, (1.0,), "mode")
    inputs = (ARRAY, ARRAY, NumberLeaf((float,)), StaticLeaf("mode"))
    result = {"x": 0.0, "y": [0.0, Point(0.0, "c")], "z": None}
    outputs = (NEW, ArrayOut((500,), F64), NumberOut(F64), ConstantOut(constant := object()))
    entry = make("nothing", args, inputs, result, outputs, arena_bytes=1000)
    things = [args[0]["w"], args[0]["b"], args[0]["b"][0], args[1][0], F64, constant, args[0]]
    entry(*args)
    gc.collect()
    before = [sys.getrefcount(thing) for thing in things]
    objects = len(gc.get_objects())
    blocks = sys.getallocatedblocks()
    for _ in range(2000):
        entry(*args)
        entry(*args[:2], "other")
    del _
    gc.collect()
    assert [sys.getrefcount(thing) for thing in things] == before
    assert abs(len(gc.get_objects()) - objects) < 50
    assert abs(sys.getallocatedblocks() - blocks) < 200


def test_an_entry_keeps_what_it_needs_and_no_more() -> None:
    class Fallback:
        def __call__(self, *args: Any) -> Any:
            return args

    code = library()
    gc.collect()  # what other tests left behind
    before = sys.getrefcount(code)
    alive = Fallback()
    entry = make("nothing", (0.0,), (ARRAY,), None, (), alive)
    alive.entry = entry  # type: ignore[attr-defined]  # a cycle
    assert sys.getrefcount(code) > before
    assert entry(1) == (1,)
    died = weakref.ref(alive)
    del alive, entry
    gc.collect()
    assert died() is None
    assert sys.getrefcount(code) == before


@pytest.mark.parametrize("release_gil", [False, True])
def test_threads(release_gil: bool) -> None:
    entry = make(
        "add", ([0.0], 0.0), (ARRAY, ARRAY), 0.0, (NEW,), arena_bytes=48, release_gil=release_gil
    )
    wrong: list[int] = []

    def work(k: int) -> None:
        a, b = numbers(float(k)), numbers(100.0 * k)
        for _ in range(500):
            if not np.array_equal(entry([a], b), a + b):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_plan_that_does_not_fit_itself() -> None:
    with pytest.raises(InternalError, match="1 leaves"):
        make("nothing", (0.0, 0.0), (ARRAY,), None, ())
    with pytest.raises(InternalError, match="0 leaves"):
        make("nothing", (0.0,), (ARRAY,), 0.0, ())
