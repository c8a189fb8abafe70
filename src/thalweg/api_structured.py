"""`form="sparse"` and `form="operator"`: Jacobians and Hessians in the form of their structure."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from thalweg.api import Function, argument_positions, grad, is_single, tree_of
from thalweg.api_compile import Compiled, compile
from thalweg.api_dense import FORMS, Blocks, block_dtype
from thalweg.errors import SizeLimitError, TracingError
from thalweg.graph.node import Node
from thalweg.guards import depth
from thalweg.jacobian.compressed import Memory
from thalweg.jacobian.index_map import columns_of
from thalweg.jacobian.layout import Layout, cut, layout_of
from thalweg.jacobian.operator import Jacobian, Lazy, csr_of
from thalweg.jacobian.terms import Factor, Term, UnstructuredError
from thalweg.jacobian.ways import Found, Walk, blocks_of, entries_from
from thalweg.optimise.stabilise import stable_forms
from thalweg.tracing import Run, leave, run
from thalweg.transforms.forward import forward
from thalweg.transforms.reverse import live_nodes, reverse
from thalweg.tree import unflatten

__all__: list[str] = []

_NOTHING = Found({}, {}, "")


def _walk(traced: Run, order: int) -> Walk:
    outputs = [x if type(x) is Node else np.asarray(x) for x in traced.outputs]
    nodes = [x for x in outputs if type(x) is Node]
    between, live = live_nodes(nodes, traced.inputs, {}, traced.nested)
    dtypes = {
        (k, i): block_dtype(out, x)
        for k, out in enumerate(outputs)
        for i, x in enumerate(traced.inputs)
    }
    stable = stable_forms(between, live)
    return Walk(traced.inputs, outputs, between, live, stable, dtypes, order == 2)


def _operators(
    traced: Run, pattern: str, order: int, memory: Memory
) -> dict[tuple[int, int], Jacobian]:
    """Each block as an operator: by its structure, else from a dense block, else a lazy product."""
    walk = _walk(traced, order)
    found, structured, dense, reason = _NOTHING, _NOTHING, {}, ""
    try:
        found = blocks_of(walk, memory, as_graph=False)
        if _has_nan(found):
            # Where 0 · inf arises, the dense form tells zeros that are structural from others.
            found, structured, reason = _NOTHING, found, "NaN on the way"
    except UnstructuredError as error:
        reason = str(error)
    if reason:
        with contextlib.suppress(SizeLimitError):
            dense = Blocks(traced, prefer_forward=order == 2).all()
    own = _owner(traced, walk)
    made = {}
    for (k, i), dtype in walk.dtypes.items():
        out, x = walk.outputs[k], traced.inputs[i]
        shape = (out.size, x.size)
        options: dict[str, Any] = {
            "symmetric": order == 2 and k == i,
            "local": pattern == "local",
            "way": found.way,
        }
        if (k, i) in dense:
            options["way"] = f"computed densely, row by row or column by column: {reason}"
            block = np.reshape(dense[k, i], shape)
            matrix = _laid_out(block, structured, (k, i), pattern == "local")
            parts = _of_dense(block, out.shape) if matrix is None else []
            made[k, i] = Jacobian(parts, shape, dtype, matrix=matrix, **options)
        elif (k, i) in found.terms:
            made[k, i] = Jacobian(own(found.terms[k, i]), shape, dtype, **options)
        elif (k, i) in found.entries:
            layout, data = found.entries[k, i]
            matrix = csr_of(layout, np.array(data), shape, pattern == "local")
            made[k, i] = Jacobian((), shape, dtype, matrix=matrix, **options)
        else:
            options["way"] = f"{reason}, and dense it is above thalweg.config.dense_limit"
            made[k, i] = Jacobian((), shape, dtype, lazy=_lazy(traced, walk, k, i), **options)
    return made


def _root(array: Any) -> Any:
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array


def _owner(traced: Run, walk: Walk) -> Callable[[list[Term]], list[Term]]:
    """What makes terms independent of arrays that the caller may write to later."""
    theirs = [x.value for x in traced.inputs]
    theirs += [x for node in walk.order for x in node.operands if isinstance(x, np.ndarray)]
    roots = {id(_root(x)) for x in theirs}

    def own(terms: list[Term]) -> list[Term]:
        return [
            term._replace(
                factors=tuple(
                    Factor(np.array(f.values), f.routed) if id(_root(f.values)) in roots else f
                    for f in term.factors
                )
            )
            for term in terms
        ]

    return own


def _has_nan(found: Found) -> bool:
    numbers = [data for _, data in found.entries.values()]
    for parts in found.terms.values():
        for term in parts:
            numbers += [np.asarray(term.scale), *(f.values for f in term.factors)]
    return any(bool(np.isnan(np.sum(x)) and np.any(np.isnan(x))) for x in numbers)


def _laid_out(block: Any, structured: Found, which: tuple[int, int], local: bool) -> Any:
    """The numbers of a dense block where the structure has entries; None where it has others.

    So the pattern at a point with NaN is that of every other point.
    """
    if which in structured.entries:
        layout, _ = structured.entries[which]
    elif which in structured.terms:
        try:
            layout = layout_of(structured.terms[which], *block.shape)
        except UnstructuredError:  # too many entries
            return None
    else:
        return None
    rows = np.repeat(np.arange(len(block)), np.diff(layout.indptr))
    values = block[rows, layout.indices]
    if np.count_nonzero(values) != np.count_nonzero(block):
        return None
    return csr_of(layout, values, block.shape, local)


def _of_dense(block: Any, shape: tuple[int, ...]) -> list[Term]:
    m, n = block.shape
    if not m * n or not np.any(block):
        return []
    columns = columns_of((n,)).viewed(
        lambda a: np.broadcast_to(a.reshape((n,) + (1,) * len(shape)), (n, *shape))
    )
    return [Term(columns, 1, 1.0, (Factor(np.reshape(block.T, (n, *shape))),))]


def _lazy(traced: Run, walk: Walk, k: int, i: int) -> Lazy:
    """Products by one pass over the graph each."""
    out, x = walk.outputs[k], traced.inputs[i]
    rest = {"as_graph": False, **walk.rest}

    def push(v: Any) -> Any:
        t = np.reshape(v, x.shape).astype(x.dtype)[()]
        (found,) = forward([out], [x], [t], **rest) if type(out) is Node else [None]
        return np.zeros(out.size) if found is None else np.reshape(found, -1)

    def pull(u: Any) -> Any:
        c = np.reshape(u, out.shape).astype(out.dtype)[()]
        (found,) = reverse([out], [c], [x], **rest) if type(out) is Node else [None]
        return np.zeros(x.size) if found is None else np.reshape(found, -1)

    return Lazy(push, pull)


# ---- forms --------------------------------------------------------------------------------


def _sparse_block(block: Jacobian, last: Jacobian | None) -> Any:
    if last is not None:
        block.plan_like(last)
    return block.tosparse()


def _form(give: Callable[[Jacobian, Jacobian | None], Any]) -> Callable[..., Callable[..., Any]]:
    """A form from what it makes of each block, and of the same block of the call before."""

    def make(f: Function, argnums: Any, pattern: str, order: int) -> Callable[..., Any]:
        function = f if order == 1 else grad(f, argnums)
        single = is_single(argnums)
        before: dict[tuple[int, int], Jacobian] = {}
        memory = Memory()

        @functools.wraps(f)
        def differentiated(*args: Any, **kwargs: Any) -> Any:
            positions = argument_positions(argnums, args, f)
            traced = run(function, args, kwargs, positions)
            _refuse_nested(traced)
            blocks = _operators(traced, pattern, order, memory)
            if any(block.is_lazy for block in blocks.values()):  # they keep the graph
                blocks = _operators(
                    run(function, args, kwargs, positions, copy=True), pattern, order, memory
                )
            rows = []
            for k in range(len(traced.outputs)):
                row = []
                for i in range(len(traced.inputs)):
                    row.append(give(blocks[k, i], before.get((k, i))))
                    before[k, i] = blocks[k, i].without_numbers()
                rows.append(tree_of(traced, row, single))
            return unflatten(traced.out_structure, rows)

        return differentiated

    return make


def _refuse_nested(traced: Run) -> None:
    if traced.nested:
        raise TracingError(
            "a sparse Jacobian is no array of numbers: inside of another derivative, vmap or "
            'compiled function only form="dense" can be asked for.\n'
            '  A compiled one comes from thalweg.jacobian(thalweg.compile(f), form="sparse").'
        )


class _Plan(NamedTuple):
    """What stays the same when only values change: layouts of the blocks, and their tree."""

    layouts: list[Layout]
    shapes: list[tuple[int, int]]
    width: int  # blocks a row
    tree: Run  # without what belongs to the graph

    def rebuild(self, blocks: list[Any], single: bool) -> Any:
        """Blocks, row by row, into their trees."""
        rows = [
            tree_of(self.tree, blocks[start : start + self.width], single)
            for start in range(0, len(blocks), self.width)
        ]
        return unflatten(self.tree.out_structure, rows)


class _Entries:
    """The numbers of all blocks by one compiled function; the pattern is planned as it is traced.

    `compile` keeps a graph for each signature and branch. With its numbers each gives the number of
    its plan, a constant of the graph; graphs with equal plans give the same number, so that they
    are told apart by nothing. Where there is no structure, the reason stands for a plan.
    """

    def __init__(self, f: Compiled, argnums: Any, order: int) -> None:
        self._asked = f if order == 1 else grad(f, argnums), f, argnums
        self._order = order
        self._plans: list[_Plan | str] = []
        traced = functools.wraps(f)(lambda *args, **kwargs: self._traced(args, kwargs))
        self._run = compile(traced, backend=f.backend, threads=f.threads)

    def _traced(self, args: Any, kwargs: Any) -> Any:
        function, f, argnums = self._asked
        traced = run(function, args, kwargs, argument_positions(argnums, args, f))
        try:
            walk = _walk(traced, self._order)
            blocks = entries_from(blocks_of(walk, Memory(), as_graph=True), walk)
        except UnstructuredError as error:
            return self._number(str(error)), []
        found = [blocks[at] for at in walk.dtypes]
        numbers = [(leave(data, True), leave(np.sum(data), True)) for _, data in found]
        layouts = [layout for layout, _ in found]
        shapes = [(np.size(out), x.size) for out in traced.outputs for x in traced.inputs]
        tree = traced._replace(inputs=[], outputs=[], guards=[])
        return self._number(_Plan(layouts, shapes, len(traced.inputs), tree)), numbers

    def _number(self, plan: _Plan | str) -> int:
        if plan not in self._plans:
            self._plans.append(plan)
        return self._plans.index(plan)

    def __call__(self, args: Any, kwargs: Any, local: bool) -> Any:
        number, numbers = self._run(*args, **kwargs)
        plan = self._plans[number]
        if isinstance(plan, str):
            raise UnstructuredError(plan)
        made = []
        for layout, (data, total), shape in zip(plan.layouts, numbers, plan.shapes, strict=True):
            kept = cut(data, layout)
            if total != total and np.isnan(kept).any():
                raise UnstructuredError("NaN on the way")
            made.append(csr_of(layout, kept, shape, local))
        return plan.rebuild(made, is_single(self._asked[2]))


def _sparse(f: Function, argnums: Any, pattern: str, order: int) -> Callable[..., Any]:
    """Of a compiled function compiled too; another may use what has changed since the last call."""
    plain = _form(_sparse_block)(f, argnums, pattern, order)
    if not isinstance(f, Compiled):
        return plain
    entries = _Entries(f, argnums, order)

    @functools.wraps(f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        if not depth():
            with contextlib.suppress(UnstructuredError):
                return entries(args, kwargs, pattern == "local")
        return plain(*args, **kwargs)

    return differentiated


FORMS["sparse"] = _sparse
FORMS["operator"] = _form(lambda block, last: block)
