"""The registry is whole: every operation has cases, labels, a batching rule or a reason."""

from __future__ import annotations

import operator
import string

import numpy as np
import pytest

import thalweg as tw
from tests.op_cases import CASES
from thalweg.array import Array
from thalweg.graph.node import Node, input_node
from thalweg.graph.primitive import FUNCTIONS, PRIMITIVES, UFUNC_METHODS, UFUNCS, Primitive
from tools.operations import STRUCTURAL, Seen, built_in, observe

#: The escape hatch `Custom`: who uses it, and why no other kind serves.
_REASONS = {
    "a linear solve or the derivative of a factorisation: applied, never formed": (
        "cholesky eig eigh eigvals eigvalsh expm expm_frechet logm lstsq lu_factor pinv qr qr_r"
        " slogdet solve solve_triangular sqrtm svd svdvals sylvester unitary_factor cofactor"
    ),
    "a linear solve with an operator that is the derivative of a function": (
        "implicit implicit_solve"
    ),
    "a fast transform: its matrix is dense, its product is not": "fft ifft irfft rfft convolve",
    "a running sum or a recurrence along an axis": (
        "cumprod cumsum linear_recurrence maximum_accumulate minimum_accumulate"
    ),
    "a map along an axis whose matrix is only ever applied": "log_softmax mirror",
    "entries that may be written twice": "add_at",
    "the operand's own function, run again": "remat",
}
CUSTOM = {name: reason for reason, names in _REASONS.items() for name in names.split()}

NODE = input_node(np.array([0.25, 0.5, 0.75]))
BINARY = {
    operator.add: np.add, operator.sub: np.subtract, operator.mul: np.multiply,
    operator.truediv: np.divide, operator.pow: np.power,
    operator.lt: np.less, operator.le: np.less_equal,
    operator.gt: np.greater, operator.ge: np.greater_equal,
}  # fmt: skip
ARRAY_ONLY = {
    operator.floordiv: np.floor_divide, operator.mod: np.remainder,
    operator.eq: np.equal, operator.ne: np.not_equal,
}  # fmt: skip
INTEGER = {
    operator.and_: np.bitwise_and, operator.or_: np.bitwise_or, operator.xor: np.bitwise_xor,
    operator.lshift: np.left_shift, operator.rshift: np.right_shift,
}  # fmt: skip


@pytest.fixture(scope="module")
def seen() -> dict[str, Seen]:
    return observe()


def test_every_primitive_has_cases_that_apply_it(seen):
    without = [name for name in built_in() if len(seen[name].missed) == seen[name].cases]
    assert not without


def test_every_case_names_a_primitive():
    unknown = sorted({case.op for case in CASES} - set(PRIMITIVES))
    assert not unknown


def test_custom_kinds_are_listed(seen):
    users = {
        name
        for name, one in seen.items()
        if any("Custom" in kind for kinds in one.kinds.values() for kind in kinds)
    }
    assert sorted(users - set(CUSTOM)) == [], "say why no other kind serves"
    assert sorted(set(CUSTOM) - users) == [], "no longer in use: take them off the list"


@pytest.mark.parametrize("name", built_in())
def test_labels_and_batching(name):
    primitive = PRIMITIVES[name]
    assert primitive.name == name
    assert primitive.labels.gate
    fields = {field for _, field, _, _ in string.Formatter().parse(primitive.labels.tex) if field}
    assert fields <= {"args", "index", *map(str, range(10))}, primitive.labels.tex
    assert callable(primitive.batch) or len(primitive.batch) > 10
    for low, high in primitive.domain.intervals:
        assert low < high


def test_lowering_or_a_reason():
    default = Primitive.__dataclass_fields__["lower"].default
    without = [
        name
        for name in (*built_in(), *STRUCTURAL)
        if not callable(PRIMITIVES[name].lower)
        and (PRIMITIVES[name].lower == default or len(PRIMITIVES[name].lower) < 10)
    ]
    assert not without


def test_tables_lead_to_functions():
    for table in (UFUNCS, FUNCTIONS, UFUNC_METHODS):
        for implementation in table.values():
            assert callable(implementation)
    registered = {p for p in UFUNCS.values() if isinstance(p, Primitive)}
    assert registered <= set(PRIMITIVES.values())


@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.__name__)
def test_operators_of_nodes_resolve(op):
    expected = BINARY[op](NODE.value, 0.5)
    for result in (op(NODE, 0.5), op(NODE, NODE.value * 0 + 0.5)):
        assert type(result) is Node
        np.testing.assert_array_equal(result.value, expected)
    np.testing.assert_array_equal(op(0.5, NODE).value, BINARY[op](0.5, NODE.value))


def test_unary_operators_of_nodes_resolve():
    np.testing.assert_array_equal((-NODE).value, -NODE.value)
    np.testing.assert_array_equal((NODE @ NODE).value, NODE.value @ NODE.value)
    np.testing.assert_array_equal((~(NODE > 0.3)).value, ~(NODE.value > 0.3))
    np.testing.assert_array_equal(((NODE > 0.3) & (NODE < 0.6)).value, [False, True, False])
    np.testing.assert_array_equal(((NODE > 0.6) | (NODE < 0.3)).value, [True, False, True])
    np.testing.assert_array_equal(NODE.T.value, NODE.value)
    np.testing.assert_array_equal(NODE[1:].value, NODE.value[1:])


@pytest.mark.parametrize("op", {**BINARY, **ARRAY_ONLY}, ids=lambda op: op.__name__)
def test_operators_of_arrays_resolve(op):
    ufunc = {**BINARY, **ARRAY_ONLY}[op]
    x = Array(NODE)
    for result, expected in (
        (op(x, 0.5), ufunc(NODE.value, 0.5)),
        (op(0.5, x), ufunc(0.5, NODE.value)),
        (op(x, x), ufunc(NODE.value, NODE.value)),
        (op(NODE.value, x), ufunc(NODE.value, NODE.value)),
    ):
        assert type(result) is Array
        np.testing.assert_array_equal(result._node.value, expected)


@pytest.mark.parametrize("op", INTEGER, ids=lambda op: op.__name__)
def test_operators_on_integers_resolve(op):
    numbers = np.array([1, 2, 3])
    x = Array(input_node(numbers))
    np.testing.assert_array_equal(op(x, 2)._node.value, INTEGER[op](numbers, 2))
    np.testing.assert_array_equal(op(2, x)._node.value, INTEGER[op](2, numbers))


def test_unary_operators_of_arrays_resolve():
    x, value = Array(NODE), NODE.value
    for result, expected in (
        (-x, -value), (+x, +value), (abs(x), abs(value)), (x @ x, value @ value),
        (~Array(input_node(np.array([1, 2]))), ~np.array([1, 2])),
        (divmod(x, 0.3)[0], divmod(value, 0.3)[0]), (divmod(1.0, x)[1], divmod(1.0, value)[1]),
    ):  # fmt: skip
        np.testing.assert_array_equal(result._node.value, expected)


def test_methods_of_arrays_are_numpys():
    """What ndarray offers, Array offers, or says why not."""
    left_out = {
        # memory, files and formats: a traced array has none
        "byteswap", "ctypes", "data", "dump", "dumps", "getfield", "setfield", "setflags",
        "strides", "tobytes", "tofile", "view", "base", "flags", "device", "to_device",
        # would change the array in its place without making a node
        "fill", "itemset", "partition", "put", "resize", "sort",
        # names that NumPy 2.0 keeps only to say that they are gone
        "newbyteorder", "ptp", "tostring",
    }  # fmt: skip
    there = {name for name in dir(np.ndarray) if not name.startswith("_")}
    missing = sorted(there - set(dir(Array)) - left_out)
    assert not missing


def test_what_is_not_on_the_list_raises():
    with pytest.raises(tw.errors.NoRuleError, match=r"np\.packbits"):
        tw.grad(lambda x: np.packbits(x))(1.0)
