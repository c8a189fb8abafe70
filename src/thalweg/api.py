"""The composer: trace, stabilise, differentiate, hand back NumPy arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from thalweg.array import Array
from thalweg.errors import DtypeError, NonScalarOutputError, ShapeError, TreeError
from thalweg.execute.interpret import interpret
from thalweg.graph.constants import as_numbers, beside
from thalweg.graph.graph import between, reaches_older
from thalweg.graph.node import Node, input_node
from thalweg.guards import depth
from thalweg.ops.structural import detach_node
from thalweg.optimise.stabilise import stable_forms
from thalweg.tracing import Run, check_function, leave, own, run
from thalweg.transforms.forward import forward
from thalweg.transforms.linear import conform, zeros_like
from thalweg.transforms.reverse import live_nodes, reverse
from thalweg.tree import flatten, tree_map, unflatten

__all__ = ["detach", "grad", "hvp", "jvp", "value_and_grad", "vjp"]

Function = Callable[..., Any]


def is_single(argnums: Any) -> bool:
    """Whether argnums is one position, so that the result is one gradient and not a tuple."""
    return isinstance(argnums, (int, np.integer))


def check_asked(name: str, function: Any, argnums: Any) -> None:
    """Refuse what is no function, and what are no positions, before anything is called."""
    check_function(function, f"{name}(f)(x)")
    positions = (argnums,) if is_single(argnums) else argnums
    if not isinstance(positions, (tuple, list, range)) or not all(map(is_single, positions)):
        raise TypeError(
            f"argnums must be an int or a tuple of ints: what is differentiated, by position; got "
            f"{argnums!r}.\n  The arguments themselves go to the function that comes back: "
            f"thalweg.{name}(f)(x)."
        )


def argument_positions(
    argnums: int | Sequence[int], args: Sequence[Any], function: Function
) -> list[int]:
    """argnums as a list of non-negative positions, checked against the call."""
    given: list[Any] = [argnums] if is_single(argnums) else list(argnums)  # type: ignore[arg-type]
    positions = []
    for number in given:
        position = number + len(args) if number < 0 else number
        if not 0 <= position < len(args):
            name = _name(function)
            raise TypeError(
                f"argnums={argnums!r}, but {name} was called with {len(args)} positional "
                "arguments; pass what is differentiated by position"
            )
        if args[position] is None:
            raise DtypeError(f"argument {position} is None, which has no derivative")
        positions.append(position)
    if len(set(positions)) != len(positions):
        raise TypeError(f"argnums={argnums!r} names an argument twice")
    return positions


def _pull_run(traced: Run, cotangents: Sequence[Any], as_graph: bool | None = None) -> list[Any]:
    """Cotangents of the inputs of a run, zeros filled in."""
    outputs = [node for node in traced.outputs if type(node) is Node]
    given = [c for node, c in zip(traced.outputs, cotangents, strict=True) if type(node) is Node]
    order, live = live_nodes(outputs, traced.inputs, {}, traced.nested)
    if as_graph is None:
        as_graph = needs_graph(traced, order) or any(type(c) is Node for c in given)
    replacements = stable_forms(order, live, in_numbers=not as_graph)
    pulled = reverse(
        outputs,
        given,
        traced.inputs,
        as_graph=as_graph,
        replacements=replacements,
        order=order,
        live=live,
    )
    return [zeros_like(x) if c is None else c for x, c in zip(traced.inputs, pulled, strict=True)]


def needs_graph(traced: Run, order: Sequence[Node]) -> bool:
    """Whether results must be graph: an outer trace is under way and something of it is used.

    An integer of the outer trace counts too: it carries no derivative, but may be batched.
    """
    if not traced.nested:
        return False
    if any(node.operands for node in traced.inputs):
        return True
    return reaches_older(order, min((node.sequence for node in traced.inputs), default=0))


def _give(traced: Run, values: Sequence[Any]) -> list[Any]:
    """Gradients as they go out: of the inputs' form, owned by the caller, never aliased."""
    seen = {id(node.value) for node in traced.inputs}
    given = []
    for x, value in zip(traced.inputs, values, strict=True):
        if type(value) is Node:  # a pull may be used in a later trace than it was made in
            given.append(leave(value, depth() > 0))
            continue
        if isinstance(x.value, np.ndarray) and not isinstance(value, np.ndarray):
            value = np.asarray(value)
        elif not isinstance(x.value, np.ndarray):
            value = value[()]
        given.append(own(value, seen))
    return given


def tree_of(traced: Run, leaves: list[Any], single: bool) -> Any:
    """Leaves back into the trees of the differentiated arguments."""
    trees = []
    rest = iter(leaves)
    for structure in traced.structures:
        trees.append(unflatten(structure, [next(rest) for _ in range(structure.n_leaves)]))
    return trees[0] if single else tuple(trees)


def _name(function: Function) -> str:
    """For messages; not the repr, which for a partial prints the arrays that it holds."""
    return str(getattr(function, "__name__", None) or type(function).__name__)


def _scalar_output(traced: Run, function: Function) -> Node | None:
    """The output node of a scalar function (None: it does not depend on anything)."""
    name = _name(function)
    if traced.out_structure.kind is type(None):
        raise NonScalarOutputError(
            f"grad needs a function with one number as its output; {name} returned None: is a "
            "return missing?"
        )
    if len(traced.outputs) != 1:
        raise NonScalarOutputError(
            f"grad needs a function with one number as its output; {name} returned a tree of "
            f"{len(traced.outputs)} leaves.\n  Return the loss alone, (loss, aux) with "
            "has_aux=True, or use thalweg.jacobian / thalweg.vjp."
        )
    (output,) = traced.outputs
    shape = output.shape if type(output) is Node else np.shape(output)
    if shape != ():
        raise NonScalarOutputError(
            f"grad needs a function with one number as its output; {name} returned shape {shape}."
            "\n  Reduce it (for example np.sum), or use thalweg.jacobian for all derivatives "
            "(thalweg.vjp for a product)."
        )
    if type(output) is not Node:
        return None
    if output.dtype.kind == "c":
        raise NonScalarOutputError(
            f"grad needs a real output; {name} returned {output.dtype}.\n  Take np.real or np.abs "
            "of it, or use thalweg.jacobian / thalweg.vjp (docs/complex.md states the convention)."
        )
    return output


def value_and_grad(
    f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Make a function that gives the value of `f` and its gradient.

    Parameters
    ----------
    f : callable
        A NumPy function whose output is one real number.
    argnums : int or sequence of int
        Positional arguments to differentiate; each may be an array, a float, or a tree of them.
    has_aux : bool
        `f` returns ``(output, aux)``; the result is then ``((value, aux), gradient)``.

    Returns
    -------
    callable
        ``(value, gradient)`` with the gradient in the form of the argument (a tuple of such for
        a sequence of argnums).

    Raises
    ------
    DtypeError
        If a differentiated leaf is an integer or boolean.
    NonScalarOutputError
        If the output is not one real number.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> value, gradient = tw.value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    >>> float(value), gradient
    (5.0, array([2., 4.]))
    """
    check_asked("grad", f, argnums)
    single = is_single(argnums)

    @functools.wraps(f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        traced = run(f, args, kwargs, argument_positions(argnums, args, f), has_aux=has_aux)
        output = _scalar_output(traced, f)
        if output is None:
            pulled = [zeros_like(x) for x in traced.inputs]
            value = traced.outputs[0]
        else:
            pulled = _pull_run(traced, [output.dtype.type(1)])
            value = leave(output, traced.nested)
        gradient = tree_of(traced, _give(traced, pulled), single)
        return ((value, traced.aux), gradient) if has_aux else (value, gradient)

    return differentiated


def grad(
    f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Make a function that gives the gradient of `f`, by one backward pass.

    Parameters
    ----------
    f : callable
        A NumPy function whose output is one real number (shape ``()``).
    argnums : int or sequence of int
        Positional arguments to differentiate; each may be an array, a float, or a tree of them
        (tuple, list, dict, named tuple, dataclass).
    has_aux : bool
        `f` returns ``(output, aux)``; the result is then ``(gradient, aux)``.

    Returns
    -------
    callable
        Takes what `f` takes and gives the gradient: the shapes, dtypes and trees of the argument
        (a tuple of such for a sequence of argnums).

    Raises
    ------
    DtypeError
        If a differentiated leaf is no float or complex number.
    NonScalarOutputError
        If the output is not one real number; see `jacobian` and `vjp`.
    TracingError
        If `f` takes a traced value out of the graph: ``float(x)``, ``math.sin(x)``, ….

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> float(tw.grad(np.sin)(0.0))
    1.0
    >>> float(tw.grad(tw.grad(lambda x: x**3))(2.0))
    12.0
    """
    both = value_and_grad(f, argnums, has_aux)

    @functools.wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def vjp(f: Function, *args: Any, has_aux: bool = False) -> tuple[Any, Callable[[Any], Any]]:
    """The value of ``f(*args)`` and the function that pulls cotangents back.

    Returns
    -------
    out : tree
        The pull goes on needing its values: an array above 256 KiB is read-only.
    pull : callable
        ``pull(cotangent)``, with the cotangent in the form of `out`, gives a tuple with one
        cotangent an argument. It can be called again and again. (With `has_aux`, a third item.)

    Raises
    ------
    ShapeError, TreeError
        If a cotangent does not have the form of the output.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> out, pull = tw.vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> pull(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    check_function(f, "vjp(f, x)")
    traced = run(f, args, {}, range(len(args)), has_aux=has_aux, copy=True)

    def pull_back(cotangent: Any) -> Any:
        leaves = match_output(cotangent, traced, "cotangent")
        now = _run_again(traced) if any(type(c) is Node for c in leaves) else traced
        pulled = _pull_run(now, leaves)
        seen = {id(leaf) for leaf in leaves}
        return tree_of(now, [own(g, seen) for g in _give(now, pulled)], False)

    leaves = [leave(value, traced.nested) for value in traced.outputs]
    kept = [beside(x) if isinstance(x, np.ndarray) else x for x in leaves]
    out = unflatten(traced.out_structure, kept)
    return (out, pull_back, traced.aux) if has_aux else (out, pull_back)  # type: ignore[return-value]


def _run_again(traced: Run) -> Run:
    """A finished run as part of the trace that is under way now, whose cotangents it is to pull."""
    if traced.nested:
        return traced
    inputs = [input_node(x.value) for x in traced.inputs]
    outputs = interpret(between(traced.inputs, traced.outputs), inputs)
    return traced._replace(inputs=inputs, outputs=list(outputs), nested=True)


def match_output(tree: Any, traced: Run, what: str) -> list[Any]:
    """Leaves of a cotangent, each with the shape and dtype of its output."""
    leaves, structure = flatten(tree)
    if structure != traced.out_structure:
        raise TreeError(
            f"the {what} must have the form of the output, {traced.out_structure!r}; "
            f"got {structure!r}"
        )
    return [
        _fit(leaf, node.value if type(node) is Node else np.asarray(node), what)
        for leaf, node in zip(leaves, traced.outputs, strict=True)
    ]


def _fit(leaf: Any, end: Any, what: str) -> Any:
    value = leaf._node if type(leaf) is Array else as_numbers(leaf)
    if value.shape != end.shape:
        raise ShapeError(
            f"the {what} has shape {value.shape}; it belongs to a value of shape {end.shape}"
        )
    if value.dtype.kind not in "fciub":
        raise DtypeError(f"the {what} has dtype {value.dtype}; it must be numbers")
    if value.dtype.kind == "c" and end.dtype.kind != "c":
        raise DtypeError(
            f"the {what} is complex; it belongs to a real value (dtype {end.dtype}), where its "
            "imaginary part would be lost. Pass np.real of it."
        )
    if end.dtype.kind not in "fc":
        return value
    return conform(value if type(value) is Node else value[()], end)


def jvp(f: Function, args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of ``f(*args)`` and its derivative in the direction `tangents`: J t.

    Parameters
    ----------
    f : callable
        A NumPy function; its output may be an array or a tree of arrays.
    args, tangents : tuple
        One item an argument; a tangent has the form and shapes of its argument.

    Returns
    -------
    out, tangent_out : tree
        Both of the form and shapes of the output. The cost is about that of two runs of `f`.

    Raises
    ------
    ShapeError, TreeError
        If a tangent does not have the form of its argument.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> out, tangent = tw.jvp(np.exp, (0.0,), (2.0,))
    >>> float(out), float(tangent)
    (1.0, 2.0)
    """
    check_function(f, "jvp(f, (x,), (t,))")
    _check_tuples("jvp", args, tangents)
    if len(args) != len(tangents):
        raise TreeError(f"jvp: {len(args)} arguments, but {len(tangents)} tangents")
    traced = run(f, args, {}, range(len(args)))
    leaves, structure = flatten(tuple(tangents))
    if structure.children != tuple(traced.structures):
        raise TreeError(
            f"the tangents must have the form of the arguments, {traced.structures!r}; "
            f"got {structure.children!r}"
        )
    given = [_fit(t, x.value, "tangent") for t, x in zip(leaves, traced.inputs, strict=True)]
    outputs = [node for node in traced.outputs if type(node) is Node]
    order, live = live_nodes(outputs, traced.inputs, {}, traced.nested)
    as_graph = needs_graph(traced, order) or any(type(t) is Node for t in given)
    pushed = iter(
        forward(
            outputs,
            traced.inputs,
            given,
            as_graph=as_graph,
            replacements=stable_forms(order, live, in_numbers=not as_graph),
            order=order,
            live=live,
        )
    )
    seen = {id(leaf) for leaf in leaves}
    out_tangents = []
    for value in traced.outputs:
        end = value.value if type(value) is Node else np.asarray(value)
        t = next(pushed) if type(value) is Node else None
        if t is None:
            t = zeros_like(end)[()]
        out_tangents.append(leave(t, traced.nested) if type(t) is Node else own(t, seen))
    return (
        unflatten(traced.out_structure, [leave(v, traced.nested) for v in traced.outputs]),
        unflatten(traced.out_structure, out_tangents),
    )


def _check_tuples(name: str, args: Any, tangents: Any) -> None:
    for what, items in (("args", args), ("tangents", tangents)):
        if not isinstance(items, (tuple, list)):
            raise TreeError(
                f"{what} must be a tuple with one item an argument, not "
                f"{type(items).__name__}: thalweg.{name}(f, (x,), (t,))"
            )


def hvp(f: Function, args: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of the scalar function `f` applied to `tangents` (forward over reverse).

    Parameters
    ----------
    f : callable
        A NumPy function whose output is one real number.
    args, tangents : tuple
        One item an argument; a tangent has the form and shapes of its argument.

    Returns
    -------
    tree or tuple of trees
        The derivative of the gradient in the direction of the tangents: in the form of the
        argument for one argument, else a tuple.

    Raises
    ------
    NonScalarOutputError
        If the output is not one real number.
    ShapeError, TreeError
        If a tangent does not have the form of its argument.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> tw.hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
    array([ 6., 12.])
    """
    check_function(f, "hvp(f, (x,), (t,))")
    _check_tuples("hvp", args, tangents)
    argnums = tuple(range(len(args)))
    gradient = grad(f, argnums if len(argnums) > 1 else 0)
    return jvp(gradient, args, tangents)[1]


def detach(x: Any) -> Any:
    """`x` as a constant: the value stays, no derivative flows. Trees are detached leaf by leaf.

    Parameters
    ----------
    x : array, number or tree
        Traced or not; what is not traced stays as it is.

    Returns
    -------
    array, number or tree
        Of the same form, shapes and dtypes.

    Examples
    --------
    >>> import thalweg as tw
    >>> float(tw.grad(lambda x: x * tw.detach(x))(3.0))
    3.0
    """
    return tree_map(lambda leaf: Array(detach_node(leaf._node)) if type(leaf) is Array else leaf, x)
