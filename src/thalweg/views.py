"""Views: handles that share an array, as NumPy's views share memory.

In NumPy ``y = x[1:3]; y[0] = 5`` writes x, and a later ``x[1] = 7`` changes y. Nodes never change,
so here the *handles* move together. A handle made by a view operation knows its root (the handle
whose array it looks at), the root knows its views weakly. How a view came about stands in the graph
already: its node leads by view operations to the root's node. A write to a view is carried back
along this path to the root, then the path of every living view is walked forward again.

A handle's slot ``_link`` is unset, a root handle (for a view), or a list of weak references (for a
root that has had views).
"""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from thalweg.errors import TracingError
from thalweg.graph.kinds import Identity, Reshape, Take, Transpose
from thalweg.graph.node import Node, apply, describe_origin
from thalweg.ops.index import index_of, setitem

__all__ = ["VIEW_FUNCTIONS", "link", "move", "root_of", "shares_memory"]

#: NumPy functions whose result is a view where NumPy can make one.
VIEW_FUNCTIONS = frozenset(
    getattr(module, name)
    for module, names in (
        (
            np,
            "reshape ravel transpose permute_dims matrix_transpose swapaxes moveaxis rollaxis "
            "squeeze expand_dims atleast_1d atleast_2d atleast_3d diagonal diag broadcast_to "
            "broadcast_arrays flip fliplr flipud rot90 split array_split hsplit vsplit dsplit "
            "unstack real imag real_if_close einsum trim_zeros array asarray asanyarray "
            "ascontiguousarray astype meshgrid diff",
        ),
        (np.linalg, "diagonal matrix_transpose matrix_power"),
        (np.lib.stride_tricks, "sliding_window_view"),
    )
    for name in names.split()
    if hasattr(module, name)  # the oldest NumPy 2 lacks np.unstack
)


def shares_memory(value: Any, base: Any) -> bool:
    """Whether `value` is `base` or a view of the array that `base` looks at."""
    if not (isinstance(value, np.ndarray) and isinstance(base, np.ndarray)):
        return False
    owner = base.base
    while value is not None:
        if value is base or value is owner:
            return True
        value = getattr(value, "base", None)
    return False


def link(view: Any, base: Any) -> None:
    """Note that the handle `view` looks at the array of the handle `base`."""
    try:
        links = base._link
    except AttributeError:
        links = base._link = []
    if type(links) is not list:  # base is itself a view: both look at its root
        base = links
        links = base._link
    view._link = base
    links.append(ref(view))
    if not len(links) & 1023:
        links[:] = [reference for reference in links if reference() is not None]


def root_of(handle: Any) -> Any:
    """The handle whose array `handle` looks at (None: it is not a view)."""
    root = getattr(handle, "_link", None)
    return None if type(root) is list else root


def move(handle: Any, node: Any) -> None:
    """Let `handle`, whose entries have been written, stand for `node`; its relatives follow.

    Raises
    ------
    ValueError
        If the view is read-only, as in NumPy.
    TracingError
        If the write cannot be carried to what the view looks at.
    """
    links = getattr(handle, "_link", None)
    if links is None:
        handle._node = _laid_out(node, handle._node)
        return
    root = handle if type(links) is list else links
    before = root._node
    if root is not handle:
        if before.value.flags.writeable and not handle._node.value.flags.writeable:
            raise ValueError("assignment destination is read-only")
        for step in reversed(_path(handle._node, before)):
            node = _write_through(step, node)
    node = _laid_out(node, before)
    views = [view for reference in root._link if (view := reference()) is not None]
    moved = []
    for view in views:
        current: Any = node
        for step in _path(view._node, before):
            current = apply(step.primitive, (current, *step.operands[1:]), step.params)
        moved.append(current)
    root._node = node
    for view, current in zip(views, moved, strict=True):
        view._node = current


def _laid_out(node: Any, before: Any) -> Any:
    """`node` with the memory order of `before`: whether a later ravel is a view hangs on it."""
    value, old = node.value, before.value
    if old.ndim < 2 or value.flags.c_contiguous == old.flags.c_contiguous:
        return node
    return setitem(before, ..., node) if value.shape == old.shape else node


def _path(node: Any, root: Node) -> list[Node]:
    """The nodes after `root` up to `node`."""
    path: list[Node] = []
    end = node
    while node is not root:
        if node.sequence < root.sequence or not node.operands or type(node.operands[0]) is not Node:
            raise _no_way(end)
        path.append(node)
        node = node.operands[0]
    return path[::-1]


def _no_way(node: Node) -> TracingError:
    return TracingError(
        f"the view made by gate '{node.primitive.labels.gate}' at {describe_origin(node.origin)} "
        "shares an array that is written; this kind of view cannot follow.\n"
        "  Take a copy where the view is made: y = y.copy()."
    )


def _write_through(step: Node, value: Any) -> Any:
    """What stands before the view operation `step`, when its result has been set to `value`."""
    base, name = step.operands[0], step.primitive.name
    if name == "getitem":
        return setitem(base, index_of(step), value)
    if name == "reshape":
        return np.reshape(value, base.shape)
    if name == "transpose":
        return np.transpose(value, np.argsort(step.params["axes"]))
    if name == "real" and base.dtype.kind == "c":
        return value + 1j * np.imag(base)
    if name == "imag" and base.dtype.kind == "c":
        return np.real(base) + 1j * value
    operands = [x.value if type(x) is Node else x for x in step.operands]
    kind = step.primitive.local(0, step.value, *operands, **step.params)
    if type(kind) not in (Identity, Reshape, Transpose, Take):
        raise _no_way(step)
    # Any other reindexing: where its entries come from is seen by sending the positions through.
    operands[0] = np.reshape(np.arange(base.size), base.shape)
    positions = step.primitive.value(*operands, **step.params)
    flat = setitem(np.reshape(base, (base.size,)), positions, value)
    return np.reshape(flat, base.shape)
