"""The native entry: what it takes, and what goes to the fallback."""

from __future__ import annotations

import sys
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy._core.multiarray import get_handler_name

from tests.call_entries import (
    ARRAY,
    F32,
    F64,
    NEW,
    SHAPE,
    Layer,
    Missed,
    Point,
    Slotted,
    fallback,
    make,
    numbers,
)
from thalweg.errors import InternalError
from thalweg.execute.native import call_layout, jit
from thalweg.execute.native.call import (
    ArrayLeaf,
    ArrayOut,
    ConstantOut,
    NumberLeaf,
    NumberOut,
    StaticLeaf,
    as_leaf,
    entry_available,
    unserved,
)
from thalweg.execute.native.pool import empty
from thalweg.nn import MLP
from thalweg.tree import Structure, flatten, static

pytestmark = pytest.mark.skipif(bool(entry_available()), reason=entry_available())


@pytest.fixture
def add() -> Callable[..., Any]:
    return make("add", (0.0, 0.0), (ARRAY, ARRAY), 0.0, (NEW,), arena_bytes=48)


# ---- arguments that are taken ----------------------------------------------------------------


def test_a_new_array_is_an_ordinary_one(add: Callable[..., Any]) -> None:
    a, b = numbers(), numbers(10.0)
    c = add(a, b)
    assert type(c) is np.ndarray
    np.testing.assert_array_equal(c, a + b)
    assert c.dtype is F64
    assert c.flags.c_contiguous
    assert c.flags.writeable
    assert c.flags.owndata
    np.testing.assert_array_equal(add(a, a), 2 * a)


def test_no_copy_is_asked_of_arrays_that_are_parts_of_others(add: Callable[..., Any]) -> None:
    whole = np.arange(18.0).reshape(3, 2, 3)
    np.testing.assert_array_equal(add(whole[1], whole[2]), whole[1] + whole[2])


TREES: list[tuple[Any, ...]] = [
    (1, 2),
    ((1, 2),),
    ([1], (2,)),
    ({"b": 1, "a": [2]},),
    (Point(1, 2),),
    ([Point({"q": 1}, None), ()], [[2]]),
    (Layer(1), Slotted(2)),
    ((Layer(w={"k": [1]}), None), 2),
]


def filled(tree: Any, arrays: Iterator[Any]) -> Any:
    """`tree` with arrays in the place of its ints."""
    leaves, structure = flatten(tree)
    put = [next(arrays) if isinstance(leaf, int) else leaf for leaf in leaves]
    from_structure = iter(put)

    def build(part: Structure) -> Any:
        if part.kind is None:
            return next(from_structure)
        if part.kind is type(None):
            return None
        children = [build(child) for child in part.children]
        if part.kind is dict:
            return dict(zip(part.keys, children, strict=True))
        if part.kind in (tuple, list):
            return part.kind(children)
        return part.kind(*children)

    return build(structure)


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_trees_of_arguments(tree: tuple[Any, ...]) -> None:
    leaves = flatten(tree)[0]
    specs = tuple(ARRAY if isinstance(leaf, int) else StaticLeaf(leaf) for leaf in leaves)
    entry = make("add", tree, specs, 0.0, (NEW,), arena_bytes=48)
    arrays = [numbers(), numbers(5.0)]
    args = filled(tree, iter(arrays))
    # A dict's leaves go by its sorted keys; addition does not mind.
    result = entry(*args)
    np.testing.assert_array_equal(result, arrays[0] + arrays[1])
    before = [sys.getrefcount(array) for array in arrays]
    for _ in range(100):
        entry(*args)
    assert [sys.getrefcount(array) for array in arrays] == before


def test_a_dict_in_another_order_is_the_same_dict() -> None:
    slots = (NumberLeaf((float,)),) * 2
    entry = make("copy2", ({"a": 1.0, "b": 1.0},), slots, (1.0, 1.0), (NumberOut(F64),) * 2)
    assert entry({"a": 1.0, "b": 2.0}) == (1.0, 2.0)
    assert entry({"b": 2.0, "a": 1.0}) == (1.0, 2.0)
    assert type(entry({"a": 1.0})) is Missed
    assert type(entry({"a": 1.0, "c": 2.0})) is Missed
    assert type(entry({"a": 1.0, "b": 2.0, "c": 3.0})) is Missed
    assert type(entry(OrderedDict(a=1.0, b=2.0))) is Missed


def test_numbers() -> None:
    leaf = NumberLeaf((float, np.float64))
    entry = make("copy2", (0.0, 0.0), (leaf, leaf), (0.0, 0.0), (NumberOut(F64),) * 2)
    first, second = entry(1.5, np.float64(-0.0))
    assert (type(first), type(second)) == (np.float64, np.float64)
    assert (first, str(second)) == (1.5, "-0.0")
    for wrong in (1, True, np.float32(1.0), np.array(1.0), None, 1j, "1", np.longdouble(1)):
        assert type(entry(wrong, 1.0)) is Missed
        assert type(entry(1.0, wrong)) is Missed


def test_scalars_of_other_types() -> None:
    inputs = (NumberLeaf((np.float32,)), NumberLeaf((np.int64,)))
    outputs = (NumberOut(F32), NumberOut(np.dtype(np.int64)))
    entry = make("copy2", (0.0, 0.0), inputs, (0.0, 0.0), outputs)
    first, second = entry(np.float32(0.1), np.int64(-7))
    assert (type(first), first) == (np.float32, np.float32(0.1))
    assert (type(second), second) == (np.int64, -7)
    assert type(entry(0.1, np.int64(1))) is Missed
    assert type(entry(np.float32(1), 1)) is Missed


def test_python_integers() -> None:
    entry = make(
        "copy2",
        (0, 0),
        (NumberLeaf((int,)),) * 2,
        [0, 0],
        (NumberOut(np.dtype(np.int64)),) * 2,
    )
    assert entry(-1, 2**63 - 1) == [-1, 2**63 - 1]
    for wrong in (2**63, -(2**70), True, 1.0, np.int64(1)):
        assert type(entry(wrong, 1)) is Missed


def test_static_arguments() -> None:
    def chosen() -> None: ...

    statics = ("relu", 3, True, None, chosen, b"b", Ellipsis)
    specs = tuple(StaticLeaf(value) for value in statics if value is not None)
    entry = make("nothing", statics, specs, "out", (ConstantOut("out"),))
    assert entry(*statics) == "out"
    assert entry("".join(["re", "lu"]), *statics[1:]) == "out"
    for i, wrong in enumerate(("tanh", 4, 1, 0, test_numbers, "b", None)):
        assert type(entry(*statics[:i], wrong, *statics[i + 1 :])) is Missed
    large = make("nothing", (0,), (StaticLeaf(10**20),), None, ())
    assert large(int("1" + 20 * "0")) is None
    assert type(large(1e20)) is Missed


def test_numbers_that_cannot_be_read_are_refused() -> None:
    for types in ((bool,), (complex,), (np.longdouble,), (int, float), (np.complex128,), ()):
        with pytest.raises(InternalError, match="numbers"):
            make("nothing", (0.0,), (NumberLeaf(types),), None, ())


def test_a_dtype_that_is_only_equal_to_the_usual_one() -> None:
    odd = np.dtype(F64, metadata={"unit": "m"})
    out = ArrayOut(SHAPE, odd)
    entry = make("add", (0.0, 0.0), (ArrayLeaf(SHAPE, odd),) * 2, 0.0, (out,), arena_bytes=48)
    result = entry(numbers(), numbers())
    assert type(result) is np.ndarray
    assert result.dtype is F64


# ---- what goes to the fallback ---------------------------------------------------------------


def misaligned() -> np.ndarray[Any, Any]:
    return np.frombuffer(b"x" + numbers().tobytes(), np.uint8)[1:].view(F64).reshape(SHAPE)


class Sub(np.ndarray[Any, Any]):
    pass


STRANGE: dict[str, Callable[[], Any]] = {
    "dtype": lambda: numbers().astype(F32),
    "integers": lambda: numbers().astype(np.int64),
    "shape": lambda: np.zeros((3, 2)),
    "fewer axes": lambda: np.zeros(6),
    "more axes": lambda: np.zeros((1, 2, 3)),
    "Fortran order": lambda: np.asfortranarray(numbers()),
    "strided": lambda: np.zeros((2, 6))[:, ::2],
    "backward": lambda: numbers()[::-1],
    "broadcast": lambda: np.broadcast_to(1.0, SHAPE),
    "misaligned": misaligned,
    "big-endian": lambda: numbers().astype(">f8"),
    "subclass": lambda: numbers().view(Sub),
    "matrix": lambda: numbers().view(np.matrix),
    "masked": lambda: np.ma.masked_array(numbers(), mask=False),
    "list": lambda: numbers().tolist(),
    "None": lambda: None,
    "number": lambda: 1.0,
    "string": lambda: "x",
    "memoryview": lambda: memoryview(numbers()),
    "dtype with metadata": lambda: numbers().astype(np.dtype(F64, metadata={"a": 1})),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("name", STRANGE)
def test_other_arguments_go_to_the_fallback(add: Callable[..., Any], name: str) -> None:
    strange, right = STRANGE[name](), numbers()
    for args in ((strange, right), (right, strange)):
        missed = add(*args)
        assert type(missed) is Missed
        assert all(a is b for a, b in zip(missed.args, args, strict=True))
        assert missed.kwargs == {}


def test_other_numbers_of_arguments_and_keywords(add: Callable[..., Any]) -> None:
    a, b = numbers(), numbers()
    assert add() == Missed((), {})
    assert len(add(a).args) == 1
    assert len(add(a, b, a).args) == 3
    missed = add(a, b=b)
    assert missed.args[0] is a
    assert missed.kwargs["b"] is b
    assert add(x=1) == Missed((), {"x": 1})
    assert type(add(a, b, more=None)) is Missed


def test_containers_of_another_type() -> None:
    a, b = numbers(), numbers()
    entry = make("add", ((0.0, [0.0]),), (ARRAY, ARRAY), 0.0, (NEW,), arena_bytes=48)
    assert type(entry((a, [b]))) is np.ndarray
    pair = namedtuple("pair", "x y")
    for wrong in ([a, [b]], (a, (b,)), (a, [b, b]), (a, []), (a,), pair(a, [b]), {0: a}, None, a):
        assert type(entry(wrong)) is Missed
    point = make("add", (Point(0.0, 0.0),), (ARRAY, ARRAY), 0.0, (NEW,), arena_bytes=48)
    assert type(point(Point(a, b))) is np.ndarray
    assert type(point((a, b))) is Missed
    assert type(point(pair(a, b))) is Missed


def test_a_field_that_is_missing() -> None:
    entry = make("nothing", (Layer(0.0),), (ARRAY, StaticLeaf("layer")), None, ())
    layer = Layer(numbers())
    assert entry(layer) is None
    del layer.__dict__["w"]
    assert type(entry(layer)) is Missed
    assert type(entry(Slotted(numbers()))) is Missed


def _same(x: Any) -> Any:
    return x


@dataclass
class Activated:
    """Its class has the default, a function, under the name of the field."""

    w: Any
    f: Callable[[Any], Any] = static(default=_same)


def test_a_field_whose_default_is_a_function() -> None:
    """`thalweg.nn.MLP` has one; left to Python a call of it took a hundred times as long."""
    entry = make("nothing", (Activated(0.0),), (ARRAY,), None, ())
    layer = Activated(numbers())
    assert entry(layer) is None
    assert type(entry(Activated(numbers(), abs))) is Missed
    del layer.__dict__["f"]  # what is found now is a method
    assert type(entry(layer)) is Missed
    assert unserved(flatten(MLP.create(0, (2, 3, 1)))[1]) == ""


class Read:
    """A descriptor: reading the field runs code."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        return 1.0


@dataclass
class Described:
    w: Any = Read()


class Own(tuple[Any, ...]):
    def __iter__(self) -> Iterator[Any]:
        return reversed(tuple(tuple.__iter__(self)))


@dataclass
class Computed:
    w: Any

    def __getattribute__(self, name: str) -> Any:
        return object.__getattribute__(self, name)


@pytest.mark.parametrize(
    "tree",
    [Own((1.0,)), OrderedDict(a=1.0), {1: 1.0}, Computed(1.0), Described(1.0)],
    ids=lambda t: type(t),
)
def test_containers_with_code_of_their_own_are_left_to_python(tree: Any) -> None:
    assert unserved(flatten((tree,))[1])
    assert make("nothing", (tree,), (ARRAY,), None, ()) is fallback


def test_main_may_refuse() -> None:
    a, b = numbers(), numbers()
    entry = make("guard", (0.0, 0.0), (ARRAY, ARRAY), 0.0, (NEW,))
    counts = [sys.getrefcount(thing) for thing in (a, b, F64)]
    for _ in range(100):
        assert type(entry(a, b)) is Missed
    assert [sys.getrefcount(thing) for thing in (a, b, F64)] == counts


def test_entries_in_a_chain(add: Callable[..., Any]) -> None:
    leaf = NumberLeaf((float,))
    chain = make("copy2", (0.0, 0.0), (leaf, leaf), (0.0, 0.0), (NumberOut(F64),) * 2, add)
    assert chain(1.0, 2.0) == (1.0, 2.0)
    np.testing.assert_array_equal(chain(numbers(), numbers()), 2 * numbers())
    assert chain("x") == Missed(("x",), {})


def test_errors_of_the_fallback_propagate() -> None:
    def failing(*_args: Any) -> None:
        raise KeyError("mine")

    a = numbers()
    entry = make("add", (0.0, [0.0]), (ARRAY, ARRAY), 0.0, (NEW,), failing, arena_bytes=48)
    count = sys.getrefcount(a)
    for _ in range(10):
        with pytest.raises(KeyError, match="mine"):
            entry(a, [None])
    assert sys.getrefcount(a) == count


def test_another_layout_of_objects_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIZE", "VALUE", "DATA", "DIMS", "DESCR", "FLAGS", "HANDLER", "TUPLE_ITEMS"):
        with monkeypatch.context() as patch:
            patch.setattr(call_layout, name, getattr(call_layout, name) - 8)
            assert "unknown layout" in call_layout.problem.__wrapped__()
    assert call_layout.problem.__wrapped__() == ""


@pytest.mark.parametrize("module", [call_layout, jit], ids=["layout", "llvm"])
def test_where_objects_cannot_be_read_python_serves(
    monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    name = "problem" if module is call_layout else "available"
    monkeypatch.setattr(module, name, lambda: "not here")
    assert entry_available() == "not here"
    assert make("nothing", (0.0,), (ARRAY,), None, ()) is fallback
    array = empty((1000,))
    assert get_handler_name(array) == "default_allocator"


# ---- the slow path's arrays --------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize(
    "name",
    ["Fortran order", "strided", "backward", "broadcast", "misaligned", "big-endian", "subclass",
     "matrix", "list"],
)  # fmt: skip
def test_as_leaf_gives_an_array_that_main_can_read(name: str) -> None:
    strange = STRANGE[name]()
    leaf = as_leaf(strange, SHAPE, F64)
    assert type(leaf) is np.ndarray
    assert leaf.dtype is F64
    assert leaf.flags.c_contiguous
    assert leaf.flags.aligned
    np.testing.assert_array_equal(leaf, np.asarray(strange))


def test_as_leaf_copies_only_where_it_must() -> None:
    a = numbers()
    assert as_leaf(a, SHAPE, F64) is a
    assert np.shares_memory(as_leaf(a.view(Sub), SHAPE, F64), a)
    a.flags.writeable = False
    assert as_leaf(a, SHAPE, F64) is a
    assert as_leaf(1.5, (), F64).shape == ()
    assert as_leaf(np.float32(1.5), (), F32).dtype is F32
    assert as_leaf(np.array(2.0), (), F64).shape == ()
    with pytest.raises(InternalError, match="shape"):
        as_leaf(a, (3, 2), F64)
