"""Draws small NumPy programs as source text, so that a failing one can be read and run.

A program is built line by line from the values it has so far (of the real run at fixed inputs):
every line fits the shapes at hand, stays bounded and keeps away from singular points.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

MAX_SIZE = 64
MAX_VALUE = 1e4

#: a, b: operands; k: an axis of a; n: length of a's first axis; s: a's shape.
ELEMENTWISE = (
    "np.sin({a})",
    "np.cos({a})",
    "np.tanh({a})",
    "np.arctan({a})",
    "np.exp(-{a} * {a})",
    "np.expm1(0.3 * {a})",
    "np.log1p({a} ** 2)",
    "np.sqrt(1 + {a} ** 2)",
    "1 / (1 + {a} ** 2)",
    "np.reciprocal(2 + {a} * {a})",
    "np.abs({a})",
    "-{a}",
    "{a} ** 3",
    "np.square({a})",
    "np.where({a} > 0.1, {a}, 0.5 * {a} ** 2)",
    "np.maximum({a}, 0.1)",
    "np.clip({a}, -0.7, 0.9)",
    "np.logaddexp({a}, 0.2)",
    "{a} if np.sum({a}) > 0 else 0.3 * {a}",
    "{a} if np.all({a} > -1) else np.sin({a})",
)
BROADCASTING = (
    "{a} + {b}",
    "{a} - {b}",
    "{a} * {b}",
    "{a} / (1 + {b} ** 2)",
    "np.maximum({a}, {b})",
    "np.minimum({a}, {b})",
    "np.where({a} > {b}, {a}, 2 * {b})",
    "np.logaddexp({a}, {b})",
    "(1 + {a} ** 2) ** np.tanh({b})",
)
ALONG_AN_AXIS = (
    "{a}.sum(axis={k})",
    "np.mean({a}, axis={k}, keepdims=True)",
    "np.max({a}, axis={k})",
    "np.min({a}, axis={k}, keepdims=True)",
    "np.prod({a}, axis={k})",
    "np.cumsum({a}, axis={k})",
    "np.cumprod({a}, axis={k})",
    "np.sort({a}, axis={k})",
    "np.flip({a}, axis={k})",
    "np.roll({a}, 1, axis={k})",
    "np.diff({a}, axis={k})",
    "np.repeat({a}, 2, axis={k})",
    "np.swapaxes({a}, 0, {k})",
    "np.take({a}, np.array([-1, 0]), axis={k})",
    "np.ptp({a}, axis={k})",
    "np.var({a}, axis={k}, keepdims=True)",
    "np.moveaxis({a}, {k}, 0)",
)
RESHAPING = (
    "{a}.reshape(-1)",
    "{a}.T",
    "{a}[None]",
    "{a}[..., None]",
    "np.sum({a})",
    "np.broadcast_to({a}, (2, *{s}))",
    "np.expand_dims({a}, -1)",
    "np.pad({a}, 1)",
    "np.tril({a})",
    "np.trace({a})",
    "np.tile({a}, 2)",
)
INDEXING = (
    "{a}[0]",
    "{a}[..., -1]",
    "{a}[::-1]",
    "{a}[1:]",
    "{a}[[0, -1, 0]]",
    "{a}[np.arange({n}) % 2 == 0]",
)
JOINING = ("np.concatenate([{a}, {b}])", "np.stack([{a}, {b}], axis=-1)")
CONTRACTIONS = (
    "{a} @ {b}",
    "np.dot({a}, {b})",
    "np.tensordot({a}, {b}, 1)",
    "np.einsum('i...,i...->...', {a}, {b})",
    "np.outer({a}, {b})",
    "np.inner({a}, {b})",
    "np.kron({a}, {b})",
    "np.linalg.solve({a} @ {a}.T + 3 * np.eye({n}), {a})",
    "np.linalg.inv({a} @ {a}.T + 3 * np.eye({n}))",
    "np.linalg.det({a} @ {a}.T + np.eye({n}))",
)
ASSIGNMENTS = (
    "{a}.copy()\n    {v}[0] = {b}",
    "{a}.copy()\n    {v}[..., -1] *= 0.5",
    "{a} * 1.0\n    {v} += {b}",
    "{a}.copy()\n    {v}[{v} > 0.4] = 0.25",
    "{a} * 1.0\n    {v}[[-1, 0]] *= 0.5",
    "{a}[::-1] * 1.0\n    {v}[[0, -1]] = np.cos({a}[:1])",
    "{a}.T * 1.0\n    np.add.at({v}, [0, 0, -1], 0.5)",
)
FAMILIES = (
    ELEMENTWISE,
    BROADCASTING,
    ALONG_AN_AXIS,
    RESHAPING,
    INDEXING,
    JOINING,
    CONTRACTIONS,
    ASSIGNMENTS,
)


class Program(NamedTuple):
    """Source of a function of `inputs`, and the values that it is tried at."""

    source: str
    inputs: tuple[Any, ...]

    def function(self, numpy: Any = np) -> Any:
        """The function, with `numpy` in the place of ``np``."""
        space: dict[str, Any] = {"np": numpy}
        exec(compile(self.source, "<program>", "exec"), space)
        return space["program"]

    def __repr__(self) -> str:
        shapes = ", ".join(str(np.shape(x)) for x in self.inputs)
        return f"inputs of shapes {shapes}:\n{self.source}"


def _bounded(value: Any) -> bool:
    return (
        isinstance(value, (np.ndarray, np.floating))
        and 0 < np.size(value) <= MAX_SIZE
        and np.ndim(value) <= 4
        and bool(np.all(np.abs(value) < MAX_VALUE))
    )


def _try_line(line: str, name: str, values: dict[str, Any]) -> Any:
    """The value that `line` gives, or None where it does not fit."""
    space = {key: np.array(value)[()] for key, value in values.items()} | {"np": np}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(line.replace("\n    ", "\n"), space)
    except (ValueError, TypeError, IndexError, RuntimeWarning, np.linalg.LinAlgError):
        return None
    return space[name] if _bounded(space[name]) else None


INPUT_SHAPES = ((), (1,), (3,), (2, 3), (3, 3), (2, 1, 3))


@st.composite
def programs(draw: st.DrawFn, longest: int = 9) -> Program:
    """Programs of up to `longest` lines on one to three inputs."""
    shapes = draw(st.lists(st.sampled_from(INPUT_SHAPES), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    inputs = tuple(rng.uniform(-1.5, 1.5, shape)[()] for shape in shapes)
    values: dict[str, Any] = {f"x{i}": x for i, x in enumerate(inputs)}
    lines: list[str] = []
    used: set[str] = set()
    for _ in range(draw(st.integers(2, longest))):
        template = draw(st.sampled_from(draw(st.sampled_from(FAMILIES))))
        names = list(values)
        a, b = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        shape = np.shape(values[a])
        axis = draw(st.integers(-2, 2))
        name = f"v{len(lines)}"
        text = template.format(a=a, b=b, k=axis, n=shape[0] if shape else 0, s=shape, v=name)
        line = f"{name} = {text}"
        value = _try_line(line, name, values)
        if value is None:
            continue
        lines.append(line)
        values[name] = value
        used |= {x for x in (a, b) if x in text}
    results = [x for x in values if x.startswith("v") and x not in used] or ["x0"]
    body = "\n    ".join([*lines, f"return ({', '.join(results)},)"])
    return Program(
        f"def program({', '.join(f'x{i}' for i in range(len(inputs)))}):\n    {body}\n", inputs
    )
