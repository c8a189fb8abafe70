"""Layers: frozen dataclasses that are trees of their weights, called like functions.

A layer is an argument of what is differentiated or compiled, like any other tree; configuration
(activations, sizes) is part of its form. Nothing is remembered between calls.
"""

from __future__ import annotations

import contextlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg.array import Array
from thalweg.errors import DtypeError, ShapeError, UserError
from thalweg.nn.activations import elu, gelu, leaky_relu, relu, silu
from thalweg.nn.initialisers import Initialiser, glorot_uniform, he_normal
from thalweg.random import generator, split
from thalweg.tree import flatten, static

__all__ = ["MLP", "Activation", "Affine", "Layer", "Sequential"]

_RECTIFIERS = (relu, leaky_relu, elu, gelu, silu)


class Layer(ABC):
    """What every layer has: a call, a number of parameters, and a form worth reading."""

    #: Whether its call takes ``train=`` and ``key=``.
    has_modes: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, x: Any) -> Any:
        """The outputs for inputs `x`, whose first axes are a batch of any shape."""

    def advance(self, x: Any, *, key: Any = None) -> tuple[Any, Any]:
        """The outputs in training, and the layer with its running statistics moved on.

        Only layers with such statistics, and those that hold them, differ in the result.
        """
        return run(self, x, train=True, key=key), self

    @abstractmethod
    def _form(self) -> str:
        """Sizes and configuration in a few words."""

    @property
    def n_parameters(self) -> int:
        """How many numbers its leaves hold."""
        return sum(int(np.size(leaf)) for leaf in flatten(self)[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._form()}, {counted(self)})"


def counted(layer: Layer) -> str:
    """The number of parameters in words."""
    n = layer.n_parameters
    return f"{n} parameter" if n == 1 else f"{n} parameters"


def features(layer: Layer, x: Any, n: int) -> Any:
    """`x` as an array whose last axis has `n` features.

    Raises
    ------
    ShapeError
        If it has not; it names the layer.
    """
    x = x if isinstance(x, Array) else np.asarray(x)
    if x.ndim == 0 or x.shape[-1] != n:
        raise ShapeError(
            f"{layer!r}: x has shape {x.shape}, expected (…, {n}): the last axis holds the features"
        )
    return x


def size(owner: str, **sizes: Any) -> list[int]:
    """Sizes as positive integers.

    Raises
    ------
    UserError
        For one that is none.
    """
    for name, n in sizes.items():
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise UserError(f"{owner}: {name} is a positive integer, got {n!r}")
    return [int(n) for n in sizes.values()]


def vectors(owner: str, **arrays: Any) -> None:
    """Vectors of one length.

    Raises
    ------
    ShapeError
        If one of them has another.
    """
    shapes = {name: np.shape(x) for name, x in arrays.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ShapeError(f"{owner}: {told}; they are vectors of one length, a number a feature")


def floating(owner: str, dtype: Any) -> np.dtype[Any]:
    """A dtype that weights can have.

    Raises
    ------
    DtypeError
        For any other.
    """
    found = np.dtype(dtype)
    if found.kind != "f":
        raise DtypeError(f"{owner}: weights are floating numbers, not {found}")
    return found


def drawn(
    owner: str, init: Initialiser, rng: np.random.Generator, shape: tuple[int, ...], dtype: Any
) -> Any:
    """Weights by an initialiser, which may be the user's own: their shape is looked at."""
    if not callable(init):
        raise UserError(f"{owner}: init is a function (rng, shape, dtype), got {init!r}")
    weights = init(rng, shape, dtype)
    if np.shape(weights) != shape:
        raise ShapeError(f"{owner}: init gave shape {np.shape(weights)}, asked for {shape}")
    return np.asarray(weights, dtype)


@dataclass(frozen=True, repr=False)
class Affine(Layer):
    """Q = X W + b, the affine layer. Make one with `Affine.create`.

    Backwards ∂L/∂X = ∂L/∂Q Wᵀ, ∂L/∂W = Xᵀ ∂L/∂Q, and ∂L/∂b sums ∂L/∂Q over the batch.

    Parameters
    ----------
    W : array of shape (n_in, n_out)
    b : array of shape (n_out,), or None

    Raises
    ------
    ShapeError
        If these do not fit each other or, when called, `x` of shape (…, n_in) does not fit them.

    Examples
    --------
    ``f = ‖x W‖²`` with the numbers of the lecture (there W x, so transposed here):

    >>> import numpy as np, thalweg as tw
    >>> from thalweg.nn import Affine
    >>> layer = Affine(np.array([[0.1, -0.3], [0.5, 0.8]]))
    >>> x = np.array([0.2, 0.4])
    >>> layer(x)
    array([0.22, 0.26])
    >>> slope = tw.grad(lambda layer: np.sum(layer(x) ** 2))(layer)
    >>> slope.W.T
    array([[0.088, 0.176],
           [0.104, 0.208]])
    """

    W: Any
    b: Any = None

    def __post_init__(self) -> None:
        shape = np.shape(self.W)
        if len(shape) != 2 or (self.b is not None and np.shape(self.b) != shape[1:]):
            told = "" if self.b is None else f", b {np.shape(self.b)}"
            raise ShapeError(
                f"Affine: W has shape {shape}{told}; W is (n_in, n_out), b is (n_out,)"
            )

    @classmethod
    def create(
        cls,
        rng: np.random.Generator | int,
        n_in: int,
        n_out: int,
        *,
        init: Initialiser = glorot_uniform,
        bias: bool = True,
        dtype: Any = np.float64,
    ) -> Affine:
        """A layer with random weights, and biases of 0.

        Parameters
        ----------
        rng : numpy.random.Generator or int
        n_in, n_out : int
        init : callable
            Of `thalweg.nn.initialisers`, or ``init(rng, shape, dtype)`` of your own.
        bias : bool
        dtype : {float64, float32}

        Raises
        ------
        UserError, DtypeError, ShapeError
            For sizes, a dtype or an initialiser that will not do.
        """
        n_in, n_out = size("Affine", n_in=n_in, n_out=n_out)
        dtype = floating("Affine", dtype)
        W = drawn("Affine", init, generator(rng), (n_in, n_out), dtype)
        return cls(W, np.zeros(n_out, dtype) if bias else None)

    def _form(self) -> str:
        if np.ndim(self.W) != 2:  # a batch of layers under vmap, or a tree of something else
            return f"W of shape {np.shape(self.W)}"
        n_in, n_out = np.shape(self.W)
        return f"{n_in} → {n_out}" + (", no bias" if self.b is None else "")

    def __call__(self, x: Any) -> Any:
        q = features(self, x, np.shape(self.W)[0]) @ self.W
        return q if self.b is None else q + self.b


@dataclass(frozen=True, repr=False)
class Activation(Layer):
    """A function without parameters as a layer; `Sequential` makes them of plain functions.

    Parameters
    ----------
    function : callable
        Elementwise or not: ``np.tanh``, one of `thalweg.nn.activations`, one of your own.
    """

    function: Callable[[Any], Any] = static()

    def _form(self) -> str:
        return _named(self.function)

    def __repr__(self) -> str:
        return self._form()

    def __call__(self, x: Any) -> Any:
        return self.function(x)


def as_layer(part: Any) -> Layer:
    """A layer as it is, a function as `Activation`.

    Raises
    ------
    UserError
        For anything else.
    """
    if isinstance(part, type) or not callable(part):
        raise UserError(f"a layer or a function is wanted, got {part!r}")
    return part if isinstance(part, Layer) else Activation(part)


def _named(function: Any) -> str:
    return str(getattr(function, "__name__", repr(function)))


@dataclass(frozen=True, repr=False)
class Sequential(Layer):
    """Layers one after another.

    Parameters
    ----------
    layers : sequence of layers and functions
        Functions become `Activation`.

    Called with ``train=True`` and a `key` of `thalweg.random`, it hands them on: a key of its own
    to each layer. `advance` also gives the layers with their running statistics moved on.

    Raises
    ------
    UserError
        If one is neither.
    ShapeError
        When called, where a layer does not fit what comes; it says which.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.nn import Affine, Sequential
    >>> net = Sequential([Affine.create(0, 2, 8), np.tanh, Affine.create(1, 8, 1)])
    >>> net
    Sequential(3 layers, 33 parameters)
      0: Affine(2 → 8, 24 parameters)
      1: tanh
      2: Affine(8 → 1, 9 parameters)
    >>> net(np.zeros((5, 2))).shape
    (5, 1)
    """

    layers: tuple[Any, ...]
    has_modes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.layers, (tuple, list)):
            raise UserError(f"Sequential takes a list of layers, not {self.layers!r}")
        object.__setattr__(self, "layers", tuple(map(as_layer, self.layers)))

    def _form(self) -> str:
        return f"{len(self.layers)} layer" + "s" * (len(self.layers) != 1)

    def __repr__(self) -> str:
        lines = [super().__repr__()]
        for k, layer in enumerate(self.layers):
            lines.append(f"  {k}: " + repr(layer).replace("\n", "\n  "))
        return "\n".join(lines)

    def __call__(self, x: Any, *, train: bool = False, key: Any = None) -> Any:
        for k, (layer, own) in enumerate(zip(self.layers, self._keys(key), strict=True)):
            with standing(f"layer {k} of Sequential"):
                x = run(layer, x, train=train, key=own)
        return x

    def advance(self, x: Any, *, key: Any = None) -> tuple[Any, Any]:
        moved = []
        for k, (layer, own) in enumerate(zip(self.layers, self._keys(key), strict=True)):
            with standing(f"layer {k} of Sequential"):
                x, layer = layer.advance(x, key=own)
            moved.append(layer)
        return x, Sequential(tuple(moved))

    def _keys(self, key: Any) -> Any:
        """A key for each layer, by its place."""
        n = len(self.layers)
        return [None] * n if key is None or n == 0 else split(key, n)


def run(layer: Layer, x: Any, *, train: bool, key: Any) -> Any:
    """The outputs of a layer, told about training if it wants to know."""
    return layer(x, train=train, key=key) if layer.has_modes else layer(x)  # type: ignore[call-arg]


@contextlib.contextmanager
def standing(place: str) -> Iterator[None]:
    """An error about shapes says where the layer stands."""
    try:
        yield
    except ShapeError as error:
        raise ShapeError(f"{place}: {error}") from error


@dataclass(frozen=True, repr=False)
class MLP(Layer):
    """A multilayer perceptron: affine layers with an activation between them, none at the end.

    Its outputs are raw (logits, say), for a loss of `thalweg.nn.losses` or a head of
    `thalweg.heads`. Make one with `MLP.create`.

    Parameters
    ----------
    layers : tuple of Affine
    activation : callable

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.nn import MLP
    >>> from thalweg.nn.losses import cross_entropy
    >>> net = MLP.create(0, (4, 16, 3))
    >>> net
    MLP(4 → 16 → 3, relu, 131 parameters)
    >>> x, y = np.ones((5, 4)), np.array([0, 1, 2, 0, 1])
    >>> tw.grad(lambda net: cross_entropy(net(x), y))(net).layers[0].W.shape
    (4, 16)
    """

    layers: tuple[Affine, ...]
    activation: Callable[[Any], Any] = static(default=relu)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not all(isinstance(layer, Affine) for layer in self.layers):
            raise UserError("MLP: layers are Affine; Sequential takes any")
        if not callable(self.activation):
            raise UserError(f"MLP: activation is a function, got {self.activation!r}")

    @classmethod
    def create(
        cls,
        rng: np.random.Generator | int,
        sizes: Sequence[int],
        *,
        activation: Callable[[Any], Any] = relu,
        init: Initialiser | None = None,
        bias: bool = True,
        dtype: Any = np.float64,
    ) -> MLP:
        """A perceptron with random weights, and biases of 0.

        Parameters
        ----------
        rng : numpy.random.Generator or int
        sizes : sequence of int
            Inputs, hidden units layer by layer, outputs.
        activation : callable
        init : callable, optional
            By default `he_normal` before ReLU and its like, `glorot_uniform` elsewhere.
        bias : bool
        dtype : {float64, float32}

        Raises
        ------
        UserError, DtypeError, ShapeError
            For sizes, a dtype or an initialiser that will not do.
        """
        if isinstance(sizes, (int, np.integer)) or len(sizes) < 2:
            raise UserError(f"MLP: sizes are inputs, hidden units and outputs, got {sizes!r}")
        rng = generator(rng)
        hidden = init or (he_normal if activation in _RECTIFIERS else glorot_uniform)
        pairs = list(itertools.pairwise(sizes))
        inits = [hidden] * (len(pairs) - 1) + [init or glorot_uniform]
        layers = [
            Affine.create(rng, *pair, init=one, bias=bias, dtype=dtype)
            for pair, one in zip(pairs, inits, strict=True)
        ]
        return cls(tuple(layers), activation)

    def _form(self) -> str:
        shapes = [np.shape(layer.W) for layer in self.layers]
        if any(len(shape) != 2 for shape in shapes):
            return f"{len(shapes)} layers, {_named(self.activation)}"
        sizes = [shapes[0][0], *(shape[1] for shape in shapes)]
        return f"{' → '.join(map(str, sizes))}, {_named(self.activation)}"

    def __call__(self, x: Any) -> Any:
        for k, layer in enumerate(self.layers):
            with standing(f"layer {k} of MLP"):
                x = layer(x if k == 0 else self.activation(x))
        return x
