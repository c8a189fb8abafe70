"""`jacobian` and `hessian`: all derivatives, as arrays or in the form of their structure.

Forms other than dense are made by `thalweg.api_structured`, which needs SciPy and is loaded when
the first of them is asked for.

Dense: the pull (or push) is built once as a graph that is linear in its cotangent, and run over the
basis vectors in batches. Which of the two is cheaper is a matter of sizes: a pull gives a row, a
push a column.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.api import (
    Function,
    argument_positions,
    check_asked,
    grad,
    is_single,
    needs_graph,
    tree_of,
)
from thalweg.config import config
from thalweg.errors import DtypeError, SizeLimitError
from thalweg.graph.graph import between
from thalweg.graph.node import Node, input_node
from thalweg.jacobian.structure import bytes_text
from thalweg.ops.compare import WHERE
from thalweg.ops.shape import astype
from thalweg.optimise.stabilise import stable_forms
from thalweg.tracing import Run, leave, run
from thalweg.transforms.batch import batch, chunk_of
from thalweg.transforms.forward import forward
from thalweg.transforms.reverse import live_nodes, reverse
from thalweg.tree import unflatten

__all__ = ["FORMS", "LOADERS", "Blocks", "block_dtype", "hessian", "jacobian"]

#: Called when a form other than dense is first asked for: it imports the module that enters them
#: into `FORMS` (and SciPy with it). The package's `__init__` fills it.
LOADERS: list[Callable[[], Any]] = []
#: Name of a form → ``(f, argnums, pattern, order)`` to the function that gives it; `order` is 2
#: for Hessians.
FORMS: dict[str, Callable[[Function, Any, str, int], Callable[..., Any]]] = {}
_PATTERNS = ("global", "local")


def jacobian(
    f: Function,
    argnums: int | Sequence[int] = 0,
    form: str = "dense",
    pattern: str = "global",
) -> Callable[..., Any]:
    """Make a function that gives the Jacobian of `f`, an array of shape output + input.

    Trees give trees: the tree of the output, with the tree of the argument (a tuple of such for a
    sequence of argnums) in place of each leaf, and an array of shape out + in in place of each
    pair. Forward or reverse mode is chosen by size.

    A real function of complex z = x + iy gives ∂u/∂x − i ∂u/∂y, as `grad`; a complex function of
    real variables plain derivatives; a complex function of complex variables must be holomorphic.

    Parameters
    ----------
    f : callable
        A NumPy function; its output may be an array or a tree of arrays.
    argnums : int or sequence of int
        Positional arguments to differentiate: arrays, floats, or trees of them.
    form : {"dense", "sparse", "operator"}
        ``"sparse"`` gives each block as a ``scipy.sparse.csr_array`` of the flattened sizes,
        with the entries that can be other than zero; ``"operator"`` as a `Jacobian`, a SciPy
        ``LinearOperator`` in the form of its structure. Neither fills in zeros.
    pattern : {"global", "local"}
        Which entries a sparse form has: those that can be other than zero at any point of the
        same shapes (both branches of a ``where`` count), or those that are so at this one.

    Returns
    -------
    callable
        Takes what `f` takes and gives arrays of shape ``out.shape + in.shape``, or what `form`
        says.

    Raises
    ------
    SizeLimitError
        If the result would take more than ``thalweg.config.dense_limit`` bytes.
    DtypeError
        If a complex function of complex variables is not holomorphic.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> tw.jacobian(lambda x: np.array([x[0] * x[1], x[0]], like=x))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [1., 0.]])
    """
    check_asked("jacobian", f, argnums)
    if _other(form, pattern, "jacobian"):
        return FORMS[form](f, argnums, pattern, 1)
    single = is_single(argnums)

    @functools.wraps(f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        traced = run(f, args, kwargs, argument_positions(argnums, args, f))
        return _assemble(traced, single, prefer_forward=False)

    return differentiated


def hessian(
    f: Function,
    argnums: int | Sequence[int] = 0,
    form: str = "dense",
    pattern: str = "global",
) -> Callable[..., Any]:
    """Make a function that gives the Hessian of the scalar function `f`, of shape in + in.

    Trees, and several argnums, give trees of blocks as in `jacobian`. Forward over reverse.

    Parameters
    ----------
    f : callable
        A NumPy function whose output is one real number.
    argnums : int or sequence of int
        Positional arguments to differentiate: arrays, floats, or trees of them.
    form, pattern : str
        As in `jacobian`.

    Returns
    -------
    callable
        Takes what `f` takes and gives arrays of shape ``in.shape + in.shape``, or what `form`
        says.

    Raises
    ------
    SizeLimitError
        If the result would take more than ``thalweg.config.dense_limit`` bytes.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> tw.hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 5.0]))
    array([[10.,  6.],
           [ 6.,  0.]])
    """
    check_asked("hessian", f, argnums)
    if _other(form, pattern, "hessian"):
        return FORMS[form](f, argnums, pattern, 2)
    single = is_single(argnums)
    gradient = grad(f, argnums)

    @functools.wraps(f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        traced = run(gradient, args, kwargs, argument_positions(argnums, args, f))
        return _assemble(traced, single, prefer_forward=True)

    return differentiated


def _other(form: str, pattern: str, name: str) -> bool:
    """Whether another form than dense is asked for, which then is there."""
    if pattern not in _PATTERNS:
        raise ValueError(f"{name}: pattern={pattern!r}; it must be one of {', '.join(_PATTERNS)}")
    if form == "dense":
        return False
    for load in LOADERS:
        load()
    if form not in FORMS:
        known = ", ".join(("dense", *FORMS))
        raise ValueError(f"{name}: form={form!r}; it must be one of {known}")
    return True


def _assemble(traced: Run, single: bool, prefer_forward: bool) -> Any:
    """The blocks of a run in their trees."""
    blocks = Blocks(traced, prefer_forward).all()
    rows = []
    for k in range(len(traced.outputs)):
        row = [leave(blocks[k, i], traced.nested) for i in range(len(traced.inputs))]
        rows.append(tree_of(traced, row, single))
    return unflatten(traced.out_structure, rows)


class Blocks:
    """Computes the block ∂output k/∂input i for every pair of leaves of a run."""

    def __init__(self, traced: Run, prefer_forward: bool) -> None:
        self.inputs = traced.inputs
        self.outputs: list[Any] = [x if type(x) is Node else np.asarray(x) for x in traced.outputs]
        _refuse_too_big(self.outputs, self.inputs)
        nodes = [x for x in self.outputs if type(x) is Node]
        self.order, self.live = live_nodes(nodes, self.inputs, {}, traced.nested)
        self.as_graph = needs_graph(traced, self.order)
        self.replacements = stable_forms(self.order, self.live)
        rows = sum(x.size for x in self.outputs)
        columns = sum(x.size for x in self.inputs)
        self.given: list[Any] = []
        self.forward_first = columns <= rows if prefer_forward else columns < rows

    def all(self) -> dict[tuple[int, int], Any]:
        """Every block, of shape out + in."""
        self._refuse_non_holomorphic()
        blocks: dict[tuple[int, int], Any] = {}
        columns: dict[int, list[int]] = {}
        for k, out in enumerate(self.outputs):
            rows = []
            for i, x in enumerate(self.inputs):
                if type(out) is not Node or out not in self.live:
                    blocks[k, i] = np.zeros(out.shape + x.shape, block_dtype(out, x))[()]
                elif self._by_columns(out, x):
                    columns.setdefault(i, []).append(k)
                else:
                    rows.append(i)
            if rows:
                self._pull_rows(k, rows, blocks)
        for i, outs in columns.items():
            self._push_columns(i, outs, blocks)
        self._mend(blocks)
        return blocks

    def _mend(self, blocks: dict[tuple[int, int], Any]) -> None:
        """Blocks with NaN again by rows, where 0 · inf can be told from a zero that is structural.

        An output that does not depend on an entry has derivative 0 there, also where the local
        Jacobian of another output's path is infinite (sqrt at 0).
        """
        for (k, i), block in list(blocks.items()):
            if type(block) is Node or not np.any(np.isnan(block)):
                continue
            if (self.outputs[k].dtype.kind == "c") == (self.inputs[i].dtype.kind == "c"):
                self._pull_rows(k, [i], blocks, masked=True)

    def _by_columns(self, out: Any, x: Any) -> bool:
        """Whether a pair is done by pushes. Between real and complex only one mode is right."""
        if (out.dtype.kind == "c") != (x.dtype.kind == "c"):
            return bool(out.dtype.kind == "c")
        return self.forward_first

    def _pull_rows(
        self,
        k: int,
        wanted: list[int],
        blocks: dict[tuple[int, int], Any],
        masked: bool = False,
    ) -> None:
        """Blocks of output k by pulling its basis covectors back.

        `masked`: each covector's zeros are structural, as behind a branch that was not taken.
        """
        out = self.outputs[k]
        c = input_node(np.zeros(out.shape, out.dtype)[()])
        seeds = [c]
        end, order, live = out, self.order, self.live
        if masked:
            seeds.append(input_node(np.ones(out.shape, bool)[()]))
            end = WHERE(seeds[1], out, 0.0)
            order, live = [*order, end], {*live, end}
        pulled = reverse(
            [end],
            [c],
            [self.inputs[i] for i in wanted],
            as_graph=True,
            replacements=self.replacements,
            order=order,
            live=live,
        )
        ends = [self.inputs[i] for i in wanted]
        for i, x, rows in zip(wanted, ends, self._over_basis(seeds, pulled, ends), strict=True):
            block = np.reshape(rows, out.shape + x.shape)
            blocks[k, i] = self._own(block, block_dtype(out, x))

    def _push_columns(self, i: int, wanted: list[int], blocks: dict[tuple[int, int], Any]) -> None:
        """Blocks of input i by pushing its basis vectors forward."""
        x = self.inputs[i]
        t = input_node(np.zeros(x.shape, x.dtype)[()])
        ends = [self.outputs[k] for k in wanted]
        pushed = forward(
            ends,
            [x],
            [t],
            as_graph=True,
            replacements=self.replacements,
            order=self.order,
            live=self.live,
        )
        for k, out, columns in zip(wanted, ends, self._over_basis([t], pushed, ends), strict=True):
            ndim = len(out.shape)
            turned = np.transpose(columns, (*range(1, ndim + 1), 0))
            block = np.reshape(turned, out.shape + x.shape)
            blocks[k, i] = self._own(block, block_dtype(out, x))

    def _own(self, block: Any, dtype: np.dtype[Any]) -> Any:
        if type(block) is Node:
            return astype(block, dtype) if block.dtype != dtype else block
        if block.shape == ():
            return block.astype(dtype)[()]
        block = np.ascontiguousarray(block, dtype)
        if not block.flags.writeable or any(np.may_share_memory(block, x) for x in self.given):
            block = np.array(block)
        self.given.append(block)
        return block

    def _over_basis(
        self, seeds: Sequence[Node], results: Sequence[Any], ends: Sequence[Any]
    ) -> list[Any]:
        """Results, linear in the first seed, for each basis vector in its place along axis 0.

        A second seed gets the basis vector's pattern.
        """
        seed = seeds[0]
        size = seed.size
        given: list[Any] = [
            None if r is not None else np.zeros((size, *end.shape), end.dtype)
            for r, end in zip(results, ends, strict=True)
        ]
        open_ = [n for n, value in enumerate(given) if value is None]
        graph = between(seeds, [results[n] for n in open_])
        chunk = max(size, 1) if self.as_graph else chunk_of(graph, size)
        for start in range(0, size, chunk):
            stop = min(start + chunk, size)
            basis = np.zeros((stop - start, size), bool)
            basis[np.arange(stop - start), np.arange(start, stop)] = True
            basis = basis.reshape(stop - start, *seed.shape)
            operands = [basis.astype(x.dtype) for x in seeds]
            with np.errstate(all="ignore"):
                values, carried = batch(
                    graph, operands, [True] * len(seeds), stop - start, as_graph=self.as_graph
                )
            for n, value, flag in zip(open_, values, carried, strict=True):
                full = value if flag else np.broadcast_to(value, (stop - start, *ends[n].shape))
                if chunk == size:
                    given[n] = full
                    continue
                if given[n] is None:
                    given[n] = np.empty((size, *full.shape[1:]), full.dtype)
                given[n][start:stop] = full
        if size == 0:
            for n in open_:
                given[n] = np.zeros((0, *ends[n].shape), ends[n].dtype)
        return given

    def _refuse_non_holomorphic(self) -> None:
        """For complex → complex, J(i t) = i J(t) is tried in one random direction."""
        ends = [x for x in self.outputs if type(x) is Node and x.dtype.kind == "c"]
        starts = [x for x in self.inputs if x.dtype.kind == "c"]
        if not ends or not starts:
            return
        rng = np.random.default_rng(0)
        tangents = [
            (rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape)).astype(x.dtype)
            for x in starts
        ]
        plain, turned = (
            forward(
                ends,
                starts,
                [factor * t for t in tangents],
                as_graph=False,
                replacements=self.replacements,
                order=self.order,
                live=self.live,
            )
            for factor in (1, 1j)
        )
        for out, a, b in zip(ends, plain, turned, strict=True):
            if a is None:
                continue
            scale = np.max(np.abs(a), initial=0.0) + np.max(np.abs(b), initial=0.0)
            if np.any(np.abs(b - 1j * a) > 1e3 * np.finfo(out.dtype).eps * scale):
                raise DtypeError(
                    "jacobian: this complex function of complex variables is not holomorphic, so "
                    "one complex number an entry cannot say its derivative.\n  Differentiate "
                    "lambda x, y: f(x + 1j * y) with respect to the real x and y "
                    "(docs/derivatives.md)."
                )


def block_dtype(out: Any, x: Any) -> np.dtype[Any]:
    """The dtype of a block; an integer output has a zero block of the input's."""
    return x.dtype if out.dtype.kind not in "fc" else np.result_type(out.dtype, x.dtype)


def _refuse_too_big(outputs: Sequence[Any], inputs: Sequence[Any]) -> None:
    total = sum(out.size * x.size * block_dtype(out, x).itemsize for out in outputs for x in inputs)
    if total <= config.dense_limit:
        return
    rows, columns = sum(x.size for x in outputs), sum(x.size for x in inputs)
    raise SizeLimitError(
        f"the dense result would be {rows:,} x {columns:,}, {bytes_text(total)}; "
        f"thalweg.config.dense_limit is {bytes_text(config.dense_limit)}.\n"
        '  form="sparse" gives only the entries that can be other than zero, form="operator" a '
        "linear\n  operator in the form of the structure.\n"
        "  Products with it need no such array: thalweg.vjp (row times Jacobian), thalweg.jvp "
        "(Jacobian times column), thalweg.hvp (Hessian times vector)."
    )
