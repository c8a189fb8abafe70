"""`form="sparse"` and `form="operator"`: Jacobians and Hessians in the form of their structure."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.api import Function, argument_positions, grad, is_single, tree_of
from thalweg.api_compile import Compiled, compile
from thalweg.api_dense import FORMS, Blocks, block_dtype
from thalweg.errors import SizeLimitError, TracingError
from thalweg.graph.node import Node
from thalweg.guards import depth
from thalweg.jacobian.accumulate import accumulate
from thalweg.jacobian.blocks import Entries, entries_of
from thalweg.jacobian.index_map import columns_of
from thalweg.jacobian.layout import Layout, arranged, data_of, layout_at, layout_of
from thalweg.jacobian.operator import Jacobian, Lazy, csr_of
from thalweg.jacobian.terms import Factor, ManyTermsError, Term, UnstructuredError
from thalweg.optimise.stabilise import stable_forms
from thalweg.tracing import Run, leave, run
from thalweg.transforms.forward import forward
from thalweg.transforms.reverse import live_nodes, reverse
from thalweg.tree import unflatten

__all__: list[str] = []


class _Walk(NamedTuple):
    """What stands between the inputs and outputs of a run."""

    outputs: list[Any]
    order: list[Node]
    live: set[Node]
    replacements: Mapping[Node, Node]


def _walk(traced: Run) -> _Walk:
    outputs = [x if type(x) is Node else np.asarray(x) for x in traced.outputs]
    nodes = [x for x in outputs if type(x) is Node]
    order, live = live_nodes(nodes, traced.inputs, {}, traced.nested)
    return _Walk(outputs, order, live, stable_forms(order, live))


def _terms(
    traced: Run, walk: _Walk, as_graph: bool, write_out: bool = True
) -> dict[tuple[int, int], list[Term]]:
    """The terms of each block.

    Raises
    ------
    UnstructuredError
        Where they are not known.
    """
    nodes = [x for x in walk.outputs if type(x) is Node]
    blocks: dict[tuple[int, int], list[Term]] = {}
    for i, x in enumerate(traced.inputs):
        found = iter(
            accumulate(
                x,
                nodes,
                as_graph=as_graph,
                replacements=walk.replacements,
                order=walk.order,
                live=walk.live,
                write_out=write_out,
            )
        )
        for k, out in enumerate(walk.outputs):
            blocks[k, i] = next(found) if type(out) is Node else []
    return blocks


def _operators(traced: Run, pattern: str, order: int) -> dict[tuple[int, int], Jacobian]:
    """Each block as an operator: from terms, else from a dense block, else a lazy product."""
    walk = _walk(traced)
    dense: dict[tuple[int, int], Any] = {}
    reason = ""
    terms: dict[tuple[int, int], list[Term]] = {}
    try:
        terms = _terms(traced, walk, as_graph=False)
        if _has_nan(terms):
            # Where 0 · inf arises, the dense form tells zeros that are structural from others.
            reason = "NaN on the way"
    except UnstructuredError as error:
        reason = str(error)
    if reason:
        with contextlib.suppress(SizeLimitError):
            dense = Blocks(traced, prefer_forward=order == 2).all()
    own = _owner(traced, walk)
    made = {}
    for k, out in enumerate(walk.outputs):
        for i, x in enumerate(traced.inputs):
            shape = (out.size, x.size)
            dtype = block_dtype(out, x)
            options: dict[str, Any] = {
                "symmetric": order == 2 and k == i,
                "local": pattern == "local",
            }
            if (k, i) in dense:
                parts = _of_dense(np.reshape(dense[k, i], shape), out.shape)
                made[k, i] = Jacobian(parts, shape, dtype, reason=reason, **options)
            elif terms:
                made[k, i] = Jacobian(own(terms[k, i]), shape, dtype, **options)
            else:
                lazy = _lazy(traced, walk, k, i)
                made[k, i] = Jacobian((), shape, dtype, lazy=lazy, reason=reason, **options)
    return made


def _root(array: Any) -> Any:
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array


def _owner(traced: Run, walk: _Walk) -> Callable[[list[Term]], list[Term]]:
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


def _has_nan(terms: Mapping[Any, Sequence[Term]]) -> bool:
    return any(
        bool(np.isnan(np.sum(f.values)) and np.any(np.isnan(f.values)))
        for parts in terms.values()
        for term in parts
        for f in (*term.factors, Factor(np.asarray(term.scale)))
    )


def _of_dense(block: Any, shape: tuple[int, ...]) -> list[Term]:
    m, n = block.shape
    if not m * n or not np.any(block):
        return []
    columns = columns_of((n,)).viewed(
        lambda a: np.broadcast_to(a.reshape((n,) + (1,) * len(shape)), (n, *shape))
    )
    return [Term(columns, 1, 1.0, (Factor(np.reshape(block.T, (n, *shape))),))]


def _lazy(traced: Run, walk: _Walk, k: int, i: int) -> Lazy:
    """Products by one pass over the graph each."""
    out, x = walk.outputs[k], traced.inputs[i]
    rest: dict[str, Any] = {
        "as_graph": False,
        "replacements": walk.replacements,
        "order": walk.order,
        "live": walk.live,
    }

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

        @functools.wraps(f)
        def differentiated(*args: Any, **kwargs: Any) -> Any:
            positions = argument_positions(argnums, args, f)
            traced = run(function, args, kwargs, positions)
            _refuse_nested(traced)
            blocks = _operators(traced, pattern, order)
            if any(block.kind == "lazy" for block in blocks.values()):  # they keep the graph
                blocks = _operators(
                    run(function, args, kwargs, positions, copy=True), pattern, order
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


def _compiled_blocks(traced: Run, walk: _Walk) -> dict[tuple[int, int], tuple[Layout, Any]]:
    """Of each block the places of its entries, and their numbers as a node.

    Terms, where they stay a few; else batched blocks, where the graph has that form; else terms
    with their sums written out.
    """
    pairs = {
        (k, i): (out.size, x.size, block_dtype(out, x))
        for k, out in enumerate(walk.outputs)
        for i, x in enumerate(traced.inputs)
    }
    terms: Any = None
    try:
        terms = _terms(traced, walk, as_graph=True, write_out=False)
    except ManyTermsError:
        with contextlib.suppress(UnstructuredError):
            blocks = entries_of(traced.inputs, walk.outputs, walk.order, as_graph=True)
            return {at: _laid_out(blocks[at], *pair) for at, pair in pairs.items()}
        terms = _terms(traced, walk, as_graph=True)
    made = {}
    for at, (m, n, dtype) in pairs.items():
        layout = layout_of(terms[at], m, n)
        made[at] = layout, data_of(terms[at], layout, dtype)
    return made


def _laid_out(entries: Sequence[Entries], m: int, n: int, dtype: Any) -> tuple[Layout, Any]:
    if not entries:
        return layout_of((), m, n), np.zeros(0, dtype)
    rows = np.concatenate([part.rows for part in entries])
    columns = np.concatenate([part.columns for part in entries])
    layout = layout_at(rows, columns, m, n, bool(np.any(columns < 0)))
    return layout, arranged(np.concatenate([part.values for part in entries]), layout, dtype)


class _Plan(NamedTuple):
    """What stays the same when only values change: layouts of the blocks, and their tree."""

    layouts: list[Layout]
    shapes: list[tuple[int, int]]
    rebuild: Callable[[list[Any]], Any]


class _Entries:
    """The numbers of all blocks by one compiled function; the pattern is planned as it is traced.

    `compile` keeps a graph for each signature and branch. With its numbers each gives the number of
    its plan, a constant of the graph.
    """

    def __init__(self, function: Function, f: Function, argnums: Any) -> None:
        self._asked = function, f, argnums
        self._plans: list[_Plan] = []
        self._run = compile(functools.wraps(f)(lambda *args, **kwargs: self._traced(args, kwargs)))
        self._why = ""

    def _traced(self, args: Any, kwargs: Any) -> Any:
        function, f, argnums = self._asked
        traced = run(function, args, kwargs, argument_positions(argnums, args, f))
        try:
            found = _compiled_blocks(traced, _walk(traced))
        except UnstructuredError as error:
            self._why = str(error)
            raise
        numbers = [(leave(data, True), leave(np.sum(data), True)) for _, data in found.values()]
        layouts = [layout for layout, _ in found.values()]
        shapes = [(np.size(out), x.size) for out in traced.outputs for x in traced.inputs]
        rebuild = _rebuilding(traced, is_single(argnums))
        self._plans.append(_Plan(layouts, shapes, rebuild))
        return len(self._plans) - 1, numbers

    def __call__(self, args: Any, kwargs: Any, local: bool) -> Any:
        if self._why:
            raise UnstructuredError(self._why)
        number, numbers = self._run(*args, **kwargs)
        plan = self._plans[number]
        made = []
        for layout, (data, total), shape in zip(plan.layouts, numbers, plan.shapes, strict=True):
            if total != total and np.isnan(data).any():
                raise UnstructuredError("NaN on the way")
            made.append(csr_of(layout, data, shape, local))
        return plan.rebuild(made)


def _rebuilding(traced: Run, single: bool) -> Callable[[list[Any]], Any]:
    """What puts blocks, row by row, into their trees; it keeps nothing of the graph."""
    n_in, out_structure = len(traced.inputs), traced.out_structure
    slim = traced._replace(inputs=[], outputs=[], guards=[])

    def rebuild(blocks: list[Any]) -> Any:
        rows = [
            tree_of(slim, blocks[start : start + n_in], single)
            for start in range(0, len(blocks), n_in)
        ]
        return unflatten(out_structure, rows)

    return rebuild


def _sparse(f: Function, argnums: Any, pattern: str, order: int) -> Callable[..., Any]:
    """Of a compiled function compiled too; another may use what has changed since the last call."""
    plain = _form(_sparse_block)(f, argnums, pattern, order)
    if not isinstance(f, Compiled):
        return plain
    entries = _Entries(f if order == 1 else grad(f, argnums), f, argnums)

    @functools.wraps(f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        if not depth():
            with contextlib.suppress(UnstructuredError):
                return entries(args, kwargs, pattern == "local")
        return plain(*args, **kwargs)

    return differentiated


FORMS["sparse"] = _sparse
FORMS["operator"] = _form(lambda block, last: block)
