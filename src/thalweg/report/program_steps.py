"""A graph as steps for the page's interpreter: few operations, shapes and places worked out here.

Everything that only moves entries (reshape, transpose, slices, gathers, concatenate, …) is done
once on the numbers 1, 2, 3, …: NumPy itself says which entry goes where. Products of all kinds are
one contraction over strides.
"""

from __future__ import annotations

import base64
import itertools
import math
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.errors import UserError
from thalweg.graph.graph import Graph
from thalweg.graph.node import Node
from thalweg.ops.index import GETITEM
from thalweg.report.describe import number

__all__ = ["ELEMENTWISE", "Steps", "UnknownStepError"]

#: Arrays of so many entries are written as numbers, larger ones as bytes.
_WRITTEN = 24
#: Entries that the constants may have together.
_MOST_ENTRIES = 150_000
#: How the bytes of each dtype are written: the page has no 64-bit integers.
_BYTES = {"float64": "<f8", "float32": "<f4", "bool": "|u1", "int64": "<f8", "int32": "<i4"}
_SAFE = 2**53

#: What the interpreter computes entry by entry, under the same names.
ELEMENTWISE = frozenset(
    """add subtract multiply divide negative power float_power square reciprocal sqrt cbrt
    absolute fabs maximum minimum fmax fmin clip sign floor_divide remainder fmod less less_equal
    greater greater_equal equal not_equal logical_and logical_or logical_xor logical_not isnan
    isinf isfinite signbit floor ceil trunc rint where exp exp2 expm1 log log2 log10 log1p sin cos
    tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh hypot arctan2 logaddexp
    logaddexp2 sigmoid softplus log_sigmoid heaviside copysign xlogy xlog1py erf erfc
    ndtr entr logit""".split()
)
_OTHER_NAMES = {
    "expit": "sigmoid",
    "log_expit": "log_sigmoid",
    "special.log1p": "log1p",
    "special.expm1": "expm1",
    "special.exp2": "exp2",
    "special.cbrt": "cbrt",
}

#: Name of the interpreter's operation, its operands, and what else it needs to know.
Encoded = tuple[str, Sequence[Any], Sequence[Any]]


class UnknownStepError(UserError):
    """The page's interpreter cannot compute this."""


class Steps:
    """The steps of a graph; each gives one array, in the slot of its number.

    Slots are counted through: inputs, then steps, then constants.
    """

    def __init__(self, graph: Graph) -> None:
        self._types: dict[tuple[str, tuple[int, ...]], int] = {}
        self._constants: list[Any] = []
        self._known: dict[Any, tuple[int, Any]] = {}
        self._entries = 0
        #: The slot of each input and node.
        self.slots = {node: slot for slot, node in enumerate((*graph.inputs, *graph.nodes))}
        self._steps = []
        for node in graph.nodes:
            name, operands, more = _encode(self, node)
            slots = [self._slot(x) for x in operands]
            self._steps.append([name, slots, self._type(node.value), *more])

    def depends(self, x: Any) -> bool:
        """Whether `x` is a node that varies with the inputs."""
        return type(x) is Node and x in self.slots

    def constant(self, value: Any) -> int:
        """The number of a constant among the constants."""
        array = np.asarray(value)
        key = (array.dtype, array.tobytes()) if array.ndim == 0 else id(value)
        if key not in self._known:
            self._known[key] = len(self._constants), value
            self._constants.append([self._type(array), self._data(array)])
        return self._known[key][0]

    def places(self, found: Any, owner: Any) -> list[Any]:
        """Where the entries of `found` (numbers of those of `owner`, from 1; 0: none) come from.

        ``[shape, first, steps]`` where they lie at fixed distances, else ``[shape, constant]``.
        """
        found = np.asarray(found)
        shape = list(found.shape)
        if found.ndim == 0:
            return [shape, int(found) - 1, []]
        if found.size and owner is not None and np.may_share_memory(found, owner):
            distances = [step // found.itemsize for step in found.strides]
            return [shape, int(found.flat[0]) - 1, distances]
        return [shape, self.constant(found.astype(np.int32))]

    def data(self) -> dict[str, Any]:
        """Types, constants and steps as plain data."""
        types = [[dtype, list(shape)] for dtype, shape in self._types]
        return {"types": types, "constants": self._constants, "steps": self._steps}

    def _slot(self, x: Any) -> int:
        return self.slots[x] if self.depends(x) else len(self.slots) + self.constant(plain(x))

    def _type(self, value: Any) -> int:
        dtype = str(value.dtype)
        if dtype not in _BYTES:
            raise UnknownStepError(f"arrays of dtype {dtype} are not computed again")
        return self._types.setdefault((dtype, value.shape), len(self._types))

    def _data(self, array: Any) -> Any:
        if array.dtype.kind == "i" and array.size and np.abs(array).max() > _SAFE:
            raise UnknownStepError("an integer is larger than 2⁵³")
        if array.size <= _WRITTEN:
            return [number(x) for x in array.ravel().tolist()]
        first = array.flat[0]
        if (array == first).all():
            return {"all": number(first.item())}
        self._entries += array.size
        if self._entries > _MOST_ENTRIES:
            raise UnknownStepError("inputs and constants are too large to be kept in the page")
        return base64.b64encode(array.astype(_BYTES[str(array.dtype)]).tobytes()).decode()


def plain(x: Any) -> Any:
    """The value of a node; anything else as it is."""
    return x.value if type(x) is Node else x


def _encode(steps: Steps, node: Node) -> Encoded:
    name = node.primitive.name
    name = _OTHER_NAMES.get(name, name)
    if name in ELEMENTWISE:
        return name, node.operands, ()
    rule = _RULES.get(name)
    if rule is None:
        raise UnknownStepError(f"the gate {node.primitive.labels.gate} is not computed again")
    return rule(steps, node)


# ---- entries that move --------------------------------------------------------------------


def _numbered(shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """Arrays of these shapes whose entries are 1, 2, 3, … from the first to the last."""
    ends = list(itertools.accumulate(map(math.prod, shapes), initial=1))
    return [np.arange(a, b).reshape(s) for a, b, s in zip(ends, ends[1:], shapes, strict=False)]


def _moved(steps: Steps, node: Node) -> Encoded:
    numbered = _numbered([np.shape(plain(x)) for x in node.operands])
    found = node.primitive.value(*numbered, **node.params)
    owner = numbered[0] if len(numbered) == 1 else None
    return "move", node.operands, steps.places(found, owner)


def _padded(steps: Steps, node: Node) -> Encoded:
    if np.any(np.asarray(node.params["constants"]) != 0):
        raise UnknownStepError("padding with other numbers than 0 is not computed again")
    return _moved(steps, node)


def _indexed(steps: Steps, shape: tuple[int, ...], arrays: Sequence[Any], index: Any) -> list[Any]:
    if any(map(steps.depends, arrays)):
        raise UnknownStepError("an index that depends on the inputs is not computed again")
    (numbers,) = _numbered([shape])
    return steps.places(GETITEM.value(numbers, *map(plain, arrays), index=index), numbers)


def _read(steps: Steps, node: Node) -> Encoded:
    x, *arrays = node.operands
    return "move", (x,), _indexed(steps, np.shape(plain(x)), arrays, node.params["index"])


def _written(steps: Steps, node: Node) -> Encoded:
    x, value, *arrays = node.operands
    places = _indexed(steps, np.shape(plain(x)), arrays, node.params["index"])
    return node.primitive.name, (x, value), places


# ---- along axes ---------------------------------------------------------------------------


def _along_axes(steps: Steps, node: Node) -> Encoded:
    return node.primitive.name, node.operands, (node.params["axes"],)


def _spread(steps: Steps, node: Node) -> Encoded:
    return node.primitive.name, node.operands, (node.params["axes"], node.params["ddof"])


def _along_axis(steps: Steps, node: Node) -> Encoded:
    return node.primitive.name, node.operands, (node.params["axis"],)


def _counted(steps: Steps, node: Node) -> Encoded:
    """A reduction to integers or booleans, with NumPy's own parameters."""
    known = {"names", "axis", "keepdims"}
    if len(node.operands) != 1 or not known.issuperset(node.params):
        raise UnknownStepError(f"{node.primitive.name} with where= is not computed again")
    axis, ndim = node.params.get("axis"), np.ndim(plain(node.operands[0]))
    axes = range(ndim) if axis is None else np.atleast_1d(axis).tolist()
    return node.primitive.name, node.operands, ([a % ndim for a in axes],)


def _norm(steps: Steps, node: Node) -> Encoded:
    order, axes = node.params["ord"], node.params["axes"]
    if order in (None, "f", "fro") or (order == 2 and len(axes) == 1):
        return "norm", node.operands, (axes, 2)
    if isinstance(order, str) or len(axes) != 1:
        raise UnknownStepError(f"the norm of order {order} of a matrix is not computed again")
    return "norm", node.operands, (axes, number(float(order)))


# ---- products -----------------------------------------------------------------------------


def _contract(operands: Sequence[Any], inputs: Sequence[str], output: str) -> Encoded:
    """Loops over the letters of the output, then over those that are summed."""
    shapes = [np.shape(plain(x)) for x in operands]
    sizes: dict[str, int] = dict.fromkeys(output, 1)
    for letters, shape in zip(inputs, shapes, strict=True):
        for letter, n in zip(letters, shape, strict=True):
            sizes[letter] = n if sizes.get(letter, 1) == 1 else sizes[letter]
    strides = []
    for letters, shape in zip(inputs, shapes, strict=True):
        mine = dict.fromkeys(sizes, 0)
        for axis, letter in enumerate(letters):
            if shape[axis] != 1:
                mine[letter] += math.prod(shape[axis + 1 :])
        strides.append(list(mine.values()))
    return "contract", operands, (list(sizes.values()), len(output), strides)


def _einsum(steps: Steps, node: Node) -> Encoded:
    return _contract(node.operands, node.params["inputs"], node.params["output"])


def _product(left: str, right: str, output: str) -> Callable[[Steps, Node], Encoded]:
    """A product of the last axes, over leading ones that broadcast."""

    def rule(steps: Steps, node: Node) -> Encoded:
        ndims = [np.ndim(plain(x)) for x in node.operands]
        # matmul: a vector has no rows, or no columns.
        given = zip((left, right), ndims, strict=True)
        cores = [core[-n:] if n < len(core) else core for core, n in given]
        if left == "mk" and ndims[1] == 1:
            cores[1] = "k"
        missing = {*left, *right}.difference(*cores)
        many = max(n - len(core) for core, n in zip(cores, ndims, strict=True))
        batch = string.ascii_uppercase[:many]
        inputs = [
            batch[len(batch) - (n - len(core)) :] + core
            for core, n in zip(cores, ndims, strict=True)
        ]
        kept = "".join(letter for letter in output if letter not in missing)
        return _contract(node.operands, inputs, batch + kept)

    return rule


def _dot(steps: Steps, node: Node) -> Encoded:
    a, b = (np.ndim(plain(x)) for x in node.operands)
    if not a or not b:
        return "multiply", node.operands, ()
    left = string.ascii_lowercase[: a - 1] + "z"
    others = string.ascii_uppercase[: b - 1]
    right = others[:-1] + "z" + others[-1:]
    return _contract(node.operands, (left, right), left[:-1] + others)


def _same(steps: Steps, node: Node) -> Encoded:
    return "cast", node.operands, ()


def _scaled(factor: float) -> Callable[[Steps, Node], Encoded]:
    return lambda steps, node: ("multiply", (*node.operands, factor), ())


def _rounded(steps: Steps, node: Node) -> Encoded:
    return "round", node.operands, (node.params["decimals"],)


def _logical(steps: Steps, node: Node) -> Encoded:
    """An operation on bits, where they are truth values."""
    if node.dtype != np.bool_:
        raise UnknownStepError("operations on the bits of integers are not computed again")
    name = node.primitive.name
    return f"logical_{'not' if name == 'invert' else name[8:]}", node.operands, ()


_Rule = Callable[[Steps, Node], Encoded]
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(("cast", "astype", "layout", "input", "detach"), _same),
    **dict.fromkeys(("positive", "real", "conjugate"), _same),
    **dict.fromkeys(("reshape", "transpose", "broadcast_to", "diagonal", "diag", "roll"), _moved),
    **dict.fromkeys(("concatenate", "stack", "sliding_windows", "einsum_diagonal"), _moved),
    **dict.fromkeys(("sum", "prod", "max", "min", "mean"), _along_axes),
    **dict.fromkeys(("masked_sum", "masked_prod", "masked_max", "masked_min"), _along_axes),
    **dict.fromkeys(("softmax", "log_softmax", "logsumexp"), _along_axes),
    **dict.fromkeys(("all", "any", "argmax", "argmin", "count_nonzero"), _counted),
    **dict.fromkeys(("var", "std"), _spread),
    **dict.fromkeys(("cumsum", "cumprod", "linear_recurrence"), _along_axis),
    **dict.fromkeys(("maximum_accumulate", "minimum_accumulate"), _along_axis),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor", "invert"), _logical),
    **dict.fromkeys(("deg2rad", "radians"), _scaled(math.pi / 180)),
    **dict.fromkeys(("rad2deg", "degrees"), _scaled(180 / math.pi)),
    "pad": _padded,
    "getitem": _read,
    "setitem": _written,
    "add_at": _written,
    "logaddexp_reduce": lambda steps, node: ("logsumexp", node.operands, (node.params["axes"],)),
    "norm": _norm,
    "round": _rounded,
    "einsum": _einsum,
    "matmul": _product("mk", "kn", "mn"),
    "vecdot": _product("k", "k", ""),
    "matvec": _product("mk", "k", "m"),
    "vecmat": _product("k", "kn", "n"),
    "dot": _dot,
}
