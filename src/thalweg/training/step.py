"""One step of training, and one batch of validation, as functions to compile."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from thalweg.api import value_and_grad
from thalweg.errors import DataError, TreeError
from thalweg.optim.base import Updating, match
from thalweg.random import key as make_key
from thalweg.training.batches import Source
from thalweg.tree import Structure, flatten, learned, unflatten

__all__ = [
    "MODEL",
    "TRAIN",
    "VALIDATION",
    "Options",
    "answer",
    "check",
    "counted",
    "fits",
    "measures_of",
    "on_leaves",
    "step",
    "valuation",
]

#: Names of the losses in the history.
TRAIN, VALIDATION = "loss", "validation"

#: The name under which a loss returns the model with its running statistics moved on.
MODEL = "model"

#: What a loss can ask for, as arguments that can be given by keyword only.
_NAMES = ("key", "step", "train")


def counted(**counts: Any) -> None:
    """Refuse counts that are no integers ≥ 1.

    Raises
    ------
    DataError
        With the name and the value.
    """
    for name, number in counts.items():
        whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
        if not whole or number < 1:
            raise DataError(f"{name} must be 1 or more, an integer, got {number!r}")


def check(rule: Any, seed: Any, **counts: Any) -> None:
    """Refuse an optimiser that is none, a seed below 0, and counts as `counted` does.

    Raises
    ------
    DataError
        With the name and the value.
    """
    counted(**counts)
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise DataError(f"seed must be an integer, 0 or more, got {seed!r}")
    if not isinstance(rule, Updating):
        raise DataError(f"optimiser must be one of thalweg.optim, as Adam(0.001), got {rule!r}")


def measures_of(metrics: Any, *taken: str) -> dict[str, Callable[..., Any]]:
    """`metrics` as a dict, none of them with a name that the history has already.

    Raises
    ------
    DataError
        If it is no dict of functions, or a name is taken.
    """
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping) or not all(map(callable, metrics.values())):
        raise DataError(
            f"metrics must be a dict of functions, as {{'error': function}}, got {metrics!r}"
        )
    if odd := [name for name in metrics if not isinstance(name, str)]:
        raise DataError(f"a metric's name must be a str, got {odd[0]!r}")
    if twice := sorted(metrics.keys() & set(taken)):
        raise DataError(f"a metric cannot be named {twice[0]!r}: the history has it already")
    return dict(metrics)


def fits(function: Any, source: Source, what: str) -> None:
    """Refuse what is no function of a model and a batch, as far as that can be told beforehand.

    Raises
    ------
    DataError
        With what it takes.
    """
    if not callable(function):
        raise DataError(
            f"{what} must be a function of a model and the arrays of a batch, got {function!r}"
        )
    signature, arrays = _signature(function), source.arrays
    if signature is None or arrays is None:
        return
    try:
        signature.bind(None, *[None] * arrays, **dict.fromkeys(_asked(signature)))
    except TypeError as error:
        told = f"{arrays} array{'' if arrays == 1 else 's'}"
        if source.rows is None:
            told += ": a list is one of batches; arrays of all rows are a tuple, as (x, y)"
        raise DataError(
            f"{what} {_name(function)}{signature} is called with the model and the arrays of a "
            f"batch: {error}.\n  A batch of {source.what} has {told}."
        ) from None


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # a builtin: it takes nothing by keyword only
        return None


def _asked(signature: inspect.Signature) -> list[str]:
    """What a loss asks for."""
    parameters, only = signature.parameters, inspect.Parameter.KEYWORD_ONLY
    return [name for name in _NAMES if name in parameters and parameters[name].kind is only]


class Options:
    """What a loss asks for besides model and batch: ``key``, ``step``, ``train``.

    Parameters
    ----------
    function : callable
        Its keyword-only parameters of these names are the ones it gets.
    seed : int
        Of the keys.
    """

    def __init__(self, function: Callable[..., Any], seed: int) -> None:
        signature = _signature(function)
        self.names = [] if signature is None else _asked(signature)
        self._train = make_key((seed, 0))
        self._held = make_key((seed, 1))

    def __call__(self, step: int, batch: int | None = None) -> dict[str, Any]:
        """Arrays for the step after `step` others; with a batch's number, for validation.

        In validation, the keys are those of the batches, in every epoch the same.
        """
        given: dict[str, Any] = {}
        if "key" in self.names:
            base, number = (self._train, step) if batch is None else (self._held, batch)
            given["key"] = base + np.array([0, number], np.uint64)
        if "step" in self.names:
            given["step"] = np.array(step)
        if "train" in self.names:
            given["train"] = batch is None
        return given


def answer(result: Any) -> tuple[Any, dict[str, Any], Any]:
    """What a loss returned: value, metrics, and the model moved on, or None.

    Raises
    ------
    DataError
        If it is neither a number nor a pair of a number and a dict of numbers.
    """
    if not isinstance(result, tuple):
        return result, {}, None
    if len(result) != 2 or not isinstance(result[1], Mapping):
        raise DataError(
            "a loss returns a number, or a pair: the number and a dict of metrics "
            f"(and {MODEL!r}: the model with its running statistics moved on); "
            f"got a tuple of {', '.join(type(item).__name__ for item in result) or 'nothing'}"
        )
    value, metrics = result[0], dict(result[1])
    moved = metrics.pop(MODEL, None)
    for name, metric in metrics.items():
        if not isinstance(name, str):
            raise DataError(f"a metric's name must be a str, got {name!r}")
        if name in (TRAIN, VALIDATION):
            raise DataError(f"a metric cannot be named {name!r}")
        if np.shape(metric) != ():
            raise DataError(f"the metric {name!r} must be one number, got shape {np.shape(metric)}")
    return value, metrics, moved


def step(loss: Callable[..., Any], rule: Updating) -> Callable[..., Any]:
    """``(state, params, options, *batch)`` → the next state and parameters, value, metrics, fine.

    Where the loss, a gradient, or what the update makes is not finite, state and parameters are
    what they were.
    """

    def objective(params: Any, options: dict[str, Any], *batch: Any) -> Any:
        value, metrics, moved = answer(loss(params, *batch, **options))
        return value, (metrics, moved)

    # Messages name it as the user does.
    objective.__name__ = str(getattr(loss, "__name__", None) or "the loss")

    def step(state: Any, params: Any, options: dict[str, Any], *batch: Any) -> Any:
        (value, (metrics, moved)), grads = value_and_grad(objective, has_aux=True)(
            params, options, *batch
        )
        begin = params
        if moved is not None:
            leaves, structure = flatten(params)
            match(moved, structure, leaves, f"the loss's {MODEL!r}")
            begin = moved
        new_state, new_params = rule.update(state, grads, begin)
        # A branch of the record: it is asked before anything is written.
        if _nothing(value, new_params, grads, new_state) != 0:
            return state, params, value, metrics, False
        return new_state, new_params, value, metrics, True

    return step


def on_leaves(step: Callable[..., Any], state: Structure, params: Structure) -> Callable[..., Any]:
    """`step` with tuples of leaves in place of the trees of state and parameters.

    A compiled call makes tuples by itself, and dataclasses by way of Python, which takes longer
    than a small step does.
    """

    def flat(begun: Any, before: Any, options: dict[str, Any], *batch: Any) -> Any:
        trees = unflatten(state, begun), unflatten(params, before)
        new_state, new_params, *others = step(*trees, options, *batch)
        return (
            _leaves(new_state, state, "the optimiser's next state"),
            _leaves(new_params, params, "the optimiser's next parameters"),
            *others,
        )

    return flat


def _leaves(tree: Any, structure: Structure, what: str) -> tuple[Any, ...]:
    leaves, own = flatten(tree)
    if own != structure:
        raise TreeError(f"{what} must have the form of the last\n  {structure!r}\ngot\n  {own!r}")
    return tuple(leaves)


def _nothing(value: Any, params: Any, grads: Any, state: Any) -> Any:
    """0 where every number is finite, else nan; a buffer may hold others, a mask of −inf, say.

    Sums of 0 · x run in the loops that make the x, where asking each x would be loops of its own.
    """
    total = value * 0
    leaves, structure = flatten(params)
    pairs = zip(leaves, flatten(grads)[0], learned(structure), strict=True)
    asked = [leaf for p, slope, moves in pairs if moves for leaf in (p, slope)]
    with np.errstate(invalid="ignore"):
        for leaf in [*asked, *flatten(state)[0]]:
            if leaf.dtype.kind in "fc":
                total = total + np.sum((leaf * 0).real)
    return total


def valuation(measure: Callable[..., Any]) -> Callable[..., Any]:
    """``(model, options, *batch)`` → value and metrics.

    Raises
    ------
    DataError
        If the value is not one number.
    """

    def valuation(model: Any, options: dict[str, Any], *batch: Any) -> Any:
        value, metrics, _ = answer(measure(model, *batch, **options))
        if np.shape(value) != ():
            raise DataError(
                f"a validation loss or a metric must be one number: {_name(measure)} gave shape "
                f"{np.shape(value)}. Reduce it, for example by np.mean."
            )
        return value, metrics

    return valuation
