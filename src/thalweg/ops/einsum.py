"""Einstein summation: np.einsum in every form, and the contraction that linear algebra needs.

Subscripts are brought to one plain form first: letters for ``...``, an explicit output, and no
letter twice in an operand (its diagonal is taken first). What is left is linear in each operand,
and the transpose of a contraction is a contraction again.
"""

from __future__ import annotations

import functools
import math
import string
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.errors import NoRuleError
from thalweg.graph.kinds import Chain, Contract, Kind, Take, Wirtinger
from thalweg.graph.node import Node
from thalweg.graph.primitive import Labels, Primitive, implements, register
from thalweg.ops.index import as_array
from thalweg.ops.shape import astype, laid_out

__all__ = ["EINSUM", "conjugated_product", "contract"]

#: `optimize` of a contraction that was not written by the user: matrix products, if possible.
_PRODUCTS = "products"


def _einsum_value(*operands: Any, inputs: tuple[str, ...], output: str, optimize: Any) -> Any:
    if optimize != _PRODUCTS:
        return np.einsum(f"{','.join(inputs)}->{output}", *operands, optimize=optimize)[()]
    if len(operands) == 2:
        return _two(inputs, output, np.asarray(operands[0]), np.asarray(operands[1]))
    subscripts = f"{','.join(inputs)}->{output}"
    return np.einsum(subscripts, *operands, optimize=len(operands) > 2)[()]


class _Plan(NamedTuple):
    """How two operands are contracted: which of their axes are summed first, in which order the
    rest comes, and the letters of the four groups of axes of the matrix product."""

    summed: tuple[tuple[int, ...], tuple[int, ...]]
    orders: tuple[tuple[int, ...], tuple[int, ...]]
    batch: str
    rows: str
    inner: str
    columns: str
    back: tuple[int, ...]


@functools.lru_cache(maxsize=1024)
def _plan(left: str, right: str, output: str) -> _Plan:
    kept = [
        "".join(k for k in mine if k in other or k in output)
        for mine, other in ((left, right), (right, left))
    ]
    a, b = kept
    batch = "".join(k for k in a if k in b and k in output)
    inner = "".join(k for k in a if k in b and k not in output)
    rows = "".join(k for k in a if k not in b)
    columns = "".join(k for k in b if k not in a)
    if inner:
        wanted = (batch + rows + inner, batch + inner + columns)
    else:  # a product entry by entry
        wanted = tuple("".join(k for k in output if k in letters) for letters in kept)  # type: ignore[assignment]
    made = batch + rows + columns
    return _Plan(
        tuple(
            tuple(i for i, k in enumerate(mine) if k not in letters)
            for mine, letters in zip((left, right), kept, strict=True)
        ),  # type: ignore[arg-type]
        tuple(
            tuple(letters.index(k) for k in order)
            for letters, order in zip(kept, wanted, strict=True)
        ),  # type: ignore[arg-type]
        batch,
        rows,
        inner,
        columns,
        tuple(made.index(k) for k in output),
    )


def _two(inputs: tuple[str, ...], output: str, a: Any, b: Any) -> Any:
    """A contraction of two operands as one (batched) matrix product, or as a plain one."""
    left, right = inputs
    plan = _plan(left, right, output)
    sizes = dict(zip(left, a.shape, strict=True))
    for letter, n in zip(right, b.shape, strict=True):
        if sizes.setdefault(letter, n) != n:  # a stretched axis of size 1
            return np.einsum(f"{left},{right}->{output}", a, b)[()]
    a = (a.sum(axis=plan.summed[0]) if plan.summed[0] else a).transpose(plan.orders[0])
    b = (b.sum(axis=plan.summed[1]) if plan.summed[1] else b).transpose(plan.orders[1])
    if not plan.inner:
        a = a.reshape([sizes[k] if k in left else 1 for k in output])
        return np.multiply(a, b.reshape([sizes[k] if k in right else 1 for k in output]))
    shape = [sizes[k] for k in plan.batch]
    n, m, k = (math.prod([sizes[k] for k in g]) for g in (plan.rows, plan.columns, plan.inner))
    product = np.matmul(a.reshape((*shape, n, k)), b.reshape((*shape, k, m)))
    product = product.reshape([sizes[k] for k in plan.batch + plan.rows + plan.columns])
    return product.transpose(plan.back)[()]


def _einsum_local(
    i: int, out: Any, *operands: Any, inputs: tuple[str, ...], output: str, optimize: Any
) -> Kind:
    return Contract(inputs, output, i, tuple(x for k, x in enumerate(operands) if k != i))


def _lower_two(b: Any, left: str, x: Any, right: str, y: Any, output: str) -> Any:
    """`_two` in native code; an axis of size 1 that the other operand stretches is left out.

    Not one that is summed: c Σ x is not Σ c x, where c is infinite or there is nothing to sum.
    """
    sizes = dict(zip(left, x.shape, strict=True))
    sizes.update((k, n) for k, n in zip(right, y.shape, strict=True) if sizes.get(k, 1) == 1)
    left, x = _unstretched(b, left, x, sizes, output)
    right, y = _unstretched(b, right, y, sizes, output)
    plan = _plan(left, right, output)
    x = b.transpose(_summed(b, x, plan.summed[0]), plan.orders[0])
    y = b.transpose(_summed(b, y, plan.summed[1]), plan.orders[1])
    if not plan.inner:
        x = b.reshape(x, [sizes[k] if k in left else 1 for k in output])
        y = b.reshape(y, [sizes[k] if k in right else 1 for k in output])
        return b.broadcast(b.multiply(x, y), [sizes[k] for k in output])
    shape = [sizes[k] for k in plan.batch]
    n, m, k = (math.prod([sizes[k] for k in g]) for g in (plan.rows, plan.columns, plan.inner))
    product = b.matmul(b.reshape(x, (*shape, n, k)), b.reshape(y, (*shape, k, m)))
    product = b.reshape(product, [sizes[k] for k in plan.batch + plan.rows + plan.columns])
    return b.transpose(product, plan.back)


def _unstretched(
    b: Any, letters: str, x: Any, sizes: dict[str, int], output: str
) -> tuple[str, Any]:
    shape = [n if k in output else sizes[k] for k, n in zip(letters, x.shape, strict=True)]
    x = b.broadcast(x, shape)
    kept = [i for i, k in enumerate(letters) if x.shape[i] == sizes[k]]
    return "".join(letters[i] for i in kept), b.reshape(x, [x.shape[i] for i in kept])


def _summed(b: Any, x: Any, axes: tuple[int, ...]) -> Any:
    return b.reduce("add", x, axes) if axes else x


def _lower_einsum(
    b: Any, out: Any, *operands: Any, inputs: tuple[str, ...], output: str, optimize: Any
) -> Any:
    """Pairs of operands, in the order that np.einsum_path finds cheapest."""
    terms = [(k, b.tensor(x, out.dtype)) for k, x in zip(inputs, operands, strict=True)]
    if len(terms) == 1:
        letters, x = terms[0]
        x = _summed(b, x, tuple(i for i, k in enumerate(letters) if k not in output))
        kept = [k for k in letters if k in output]
        return b.transpose(x, [kept.index(k) for k in output])
    order: list[Any] = [(0, 1)]
    if len(terms) > 2:
        models = [np.broadcast_to(np.empty(()), x.shape) for _, x in terms]
        subscripts = f"{','.join(inputs)}->{output}"
        order = np.einsum_path(subscripts, *models, optimize="greedy")[0][1:]
    for places in order:
        chosen = [terms.pop(place) for place in sorted(places, reverse=True)]
        while len(chosen) > 1:
            (left, x), (right, y) = chosen.pop(), chosen.pop()
            elsewhere = output + "".join(letters for letters, _ in (*terms, *chosen))
            last = not terms and not chosen
            made = "".join(k for k in _distinct(left + right) if k in elsewhere)
            made = output if last else made
            chosen.append((made, _lower_two(b, left, x, right, y, made)))
        terms += chosen
    return terms[0][1]


def _unused(inputs: Sequence[str], output: str) -> str:
    taken = set(output).union(*inputs)
    letter = next((k for k in string.ascii_letters if k not in taken), None)
    if letter is None:
        raise NoRuleError("an einsum of 52 letters has none left for the batch axis")
    return letter


def _batch_einsum(operands: Any, batched: Any, params: dict[str, Any]) -> Any:
    letter = _unused(params["inputs"], params["output"])
    inputs = tuple(
        letter + s if mark else s for s, mark in zip(params["inputs"], batched, strict=True)
    )
    output = letter + params["output"]
    return EINSUM(*operands, inputs=inputs, output=output, optimize=params["optimize"])


EINSUM = register(
    Primitive(
        name="einsum",
        value=_einsum_value,
        local=_einsum_local,
        labels=Labels("einsum", r"\operatorname{{einsum}}({args})"),
        batch=_batch_einsum,
        lower=_lower_einsum,
    )
)


def contract(inputs: tuple[str, ...], output: str, operands: tuple[Any, ...]) -> Any:
    """The contraction of values or nodes, by matrix products where it can be."""
    return EINSUM(*operands, inputs=inputs, output=output, optimize=_PRODUCTS)


# ---- the diagonal of a repeated letter ----------------------------------------------------


def _distinct(letters: str) -> str:
    return "".join(dict.fromkeys(letters))


def _diagonal_local(i: int, out: Any, x: Any, letters: str) -> Kind:
    kept = _distinct(letters)
    index = tuple(
        np.reshape(np.arange(n), [n if k == letter else 1 for k in kept])
        for letter, n in zip(letters, x.shape, strict=True)
    )
    return Take(index, True)


def _lower_diagonal(b: Any, out: Any, x: Any, letters: str) -> Any:
    base, strides, offset = b.placed(x)
    together = [
        sum(s for k, s in zip(letters, strides, strict=True) if k == letter)
        for letter in _distinct(letters)
    ]
    return b.view(base, out.shape, together, offset)


EINSUM_DIAGONAL: Primitive = register(
    Primitive(
        name="einsum_diagonal",
        value=lambda x, letters: np.einsum(f"{letters}->{_distinct(letters)}", x),
        local=_diagonal_local,
        labels=Labels("diagonal", r"\operatorname{{diag}}({0})"),
        batch=lambda operands, batched, params: EINSUM_DIAGONAL(
            operands[0], letters=_unused([params["letters"]], "") + params["letters"]
        ),
        lower=_lower_diagonal,
    )
)

# ---- reading the subscripts ---------------------------------------------------------------


def _sublists(arguments: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """``einsum(x, [0, 1], y, [1, 2], [0, 2])`` as a string and operands."""

    def letters(sublist: Any) -> str:
        return "".join("..." if k is Ellipsis else string.ascii_letters[k] for k in sublist)

    pairs = len(arguments) // 2
    subscripts = ",".join(letters(arguments[2 * k + 1]) for k in range(pairs))
    if len(arguments) % 2:
        subscripts += "->" + letters(arguments[-1])
    return subscripts, tuple(arguments[2 * k] for k in range(pairs))


@functools.lru_cache(maxsize=1024)
def _explicit(subscripts: str, ndims: tuple[int, ...]) -> tuple[list[str], str]:
    """One string of letters an operand and one for the output, ``...`` and all else spelled out."""
    subscripts = subscripts.replace(" ", "")
    left, arrow, right = subscripts.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ndims):
        raise ValueError(f"einsum: {len(inputs)} subscripts '{left}' for {len(ndims)} operands")
    free = [k for k in string.ascii_letters if k not in subscripts]
    spelled, longest = [], 0
    for part, ndim in zip(inputs, ndims, strict=True):
        covered = ndim - len(part.replace("...", ""))
        if covered < 0 or (covered > 0 and "..." not in part):
            raise ValueError(f"einsum: subscripts '{part}' do not fit an operand of {ndim} axes")
        longest = max(longest, covered)
        spelled.append((part, covered))
    if longest > len(free):
        raise ValueError("einsum: more than 52 axes")
    # The last letters belong to the last axes: `...` broadcasts from the right.
    dots = "".join(free[:longest])
    inputs = [part.replace("...", dots[longest - covered :]) for part, covered in spelled]
    if arrow:
        output = right.replace("...", dots)
    else:
        joined = left.replace("...", "").replace(",", "")
        output = dots + "".join(sorted(k for k in set(joined) if joined.count(k) == 1))
    if len(set(output)) != len(output) or not set(output) <= set("".join(inputs)):
        raise ValueError(f"einsum: the output '{right}' repeats a letter or has one of its own")
    return inputs, output


@implements(np.einsum)
def einsum(
    *arguments: Any,
    out: Any = None,
    optimize: Any = False,
    dtype: Any = None,
    order: Any = "K",
    casting: Any = "safe",
    **keywords: Any,
) -> Any:
    if keywords:
        raise TypeError(f"einsum got unexpected keyword arguments {sorted(keywords)}")
    if isinstance(arguments[0], str):
        subscripts, operands = arguments[0], arguments[1:]
    else:
        subscripts, operands = _sublists(arguments)
    operands = tuple(as_array(x) for x in operands)
    if dtype is not None:
        operands = tuple(x if x.dtype == dtype else _cast(x, dtype, casting) for x in operands)
    found = _einsum(subscripts, operands, optimize)
    return found if order == "K" else laid_out(found, order)


def _cast(x: Any, dtype: Any, casting: Any) -> Any:
    if not np.can_cast(x.dtype, dtype, casting):
        raise TypeError(
            f"einsum: {x.dtype} cannot be cast to {np.dtype(dtype)} by casting={casting!r}"
        )
    return astype(x, dtype)


def _einsum(subscripts: str, operands: tuple[Any, ...], optimize: Any) -> Any:
    spelled, output = _explicit(subscripts, tuple([len(x.shape) for x in operands]))
    inputs = list(spelled)
    if isinstance(optimize, (list, tuple)):
        optimize = tuple(optimize)
    plain = []
    for k, letters in enumerate(inputs):
        x = operands[k]
        if len(set(letters)) < len(letters):
            inputs[k] = _distinct(letters)
            if len({*zip(letters, x.shape, strict=True)}) > len(inputs[k]):
                # NumPy reads beyond an operand of shape (0, 3).
                raise ValueError(f"einsum: '{letters}' wants equal axes, not those of {x.shape}")
            x = EINSUM_DIAGONAL(x, letters=letters)
        plain.append(x)
    if len(plain) == 1:
        kept = [inputs[0].index(k) for k in inputs[0] if k in output]
        if len(kept) == len(inputs[0]):  # nothing is summed: a view, as in NumPy
            return np.transpose(plain[0], [inputs[0].index(k) for k in output])
    return EINSUM(*plain, inputs=tuple(inputs), output=output, optimize=optimize)


@implements(np.einsum_path)
def einsum_path(*arguments: Any, optimize: Any = "greedy", einsum_call: Any = False) -> Any:
    plain = [x.value if type(x) is Node else x for x in arguments]
    return np.einsum_path(*plain, optimize=optimize, einsum_call=einsum_call)


# ---- products over the last axes, with broadcasting axes in front ---------------------------


def conjugated_product(name: str, ufunc: Any, letters: tuple[str, str, str], tex: str) -> Any:
    """Declare np.vecdot, np.matvec or np.vecmat; the first operand of the outer two is conjugated.

    `letters` are the core axes of the operands and of the result; those in front broadcast.
    """
    conjugates = name in ("vecdot", "vecmat")

    def local(i: int, out: Any, a: Any, b: Any) -> Kind:
        front = string.ascii_uppercase
        extra = [len(x.shape) - len(core) for x, core in zip((a, b), letters, strict=False)]
        longest = max(extra)
        inputs = tuple(
            front[longest - n : longest] + core for n, core in zip(extra, letters, strict=False)
        )
        output = front[:longest] + letters[2]
        if i == 1:
            return Contract(inputs, output, 1, (np.conj(a) if conjugates else a,))
        kind = Contract(inputs, output, 0, (b,))
        if conjugates and np.iscomplexobj(a):
            return Chain(kind, Wirtinger(0.0, 1.0), a)
        return kind

    def batch(operands: Any, batched: Any, params: dict[str, Any]) -> Any:
        ndims = [
            len(x.shape) - mark - len(core)
            for x, mark, core in zip(operands, batched, letters, strict=False)
        ]
        aligned = [
            np.reshape(x, (x.shape[0], *(1,) * (max(ndims) - n), *x.shape[1:])) if mark else x
            for x, mark, n in zip(operands, batched, ndims, strict=True)
        ]
        return primitive(*aligned)

    def lower(b: Any, out: Any, x: Any, y: Any) -> Any:
        x, y = b.tensor(x, out.dtype), b.tensor(y, out.dtype)
        if name == "vecdot":
            return b.reduce("add", b.multiply(x, y), (-1,))
        x = b.reshape(x, (*x.shape[:-1], 1, x.shape[-1])) if name == "vecmat" else x
        y = b.reshape(y, (*y.shape, 1)) if name == "matvec" else y
        return b.reshape(b.matmul(x, y), out.shape)

    primitive = Primitive(
        name=name, value=ufunc, local=local, labels=Labels(name, tex), batch=batch, lower=lower
    )
    return register(primitive, ufunc)
