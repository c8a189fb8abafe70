"""The rules: what one step does to a leaf. g is its gradient, p the parameters, t the step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from thalweg.optim.base import Optimiser, cast, check_fraction, check_positive
from thalweg.tree import static

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Lion", "Momentum", "Nesterov", "RMSprop"]

_Rule = Callable[..., tuple[Any, ...]]


def _square(g: Any) -> Any:
    """g², of complex numbers |g|²."""
    return g.real * g.real + g.imag * g.imag if np.iscomplexobj(g) else g * g


@dataclass(frozen=True)
class SGD(Optimiser):
    """Gradient descent: p ← p − rate · g.

    Parameters
    ----------
    rate : float or callable
        The learning rate, or a schedule ``step -> rate``.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> opt = tw.optim.SGD(0.1)
    >>> params = {"w": np.array([1.0, -2.0])}
    >>> state = opt.init(params)
    >>> grads = tw.grad(lambda p: np.sum(p["w"] ** 2))(params)
    >>> state, params = opt.update(state, grads, params)
    >>> params["w"]
    array([ 0.8, -1.6])
    """

    def _rule(self, rate: Any, count: Any) -> _Rule:
        return lambda p, g: (p - cast(rate, p) * g,)


@dataclass(frozen=True)
class Momentum(Optimiser):
    """The heavy ball: v ← μ v + g, p ← p − rate · v.

    Source: Polyak, Some methods of speeding up the convergence of iteration methods (1964).

    Parameters
    ----------
    rate : float or callable
        The learning rate, or a schedule ``step -> rate``.
    momentum : float
        μ, in [0, 1).
    """

    _moments: ClassVar[tuple[str, ...]] = ("velocity",)
    momentum: float = static(default=0.9)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("momentum", self.momentum)

    def _rule(self, rate: Any, count: Any) -> _Rule:
        def rule(p: Any, g: Any, v: Any) -> tuple[Any, ...]:
            v = self.momentum * v + g
            return p - cast(rate, p) * v, v

        return rule


@dataclass(frozen=True)
class Nesterov(Momentum):
    """Nesterov's momentum, looked ahead: v ← μ v + g, p ← p − rate · (g + μ v).

    Source: Sutskever, Martens, Dahl, Hinton, On the importance of initialization and momentum in
    deep learning (ICML 2013), in the variable that is looked ahead to.

    Parameters
    ----------
    rate : float or callable
        The learning rate, or a schedule ``step -> rate``.
    momentum : float
        μ, in [0, 1).
    """

    def _rule(self, rate: Any, count: Any) -> _Rule:
        def rule(p: Any, g: Any, v: Any) -> tuple[Any, ...]:
            v = self.momentum * v + g
            return p - cast(rate, p) * (g + self.momentum * v), v

        return rule


class _Squares(Optimiser):
    """Optimisers with a moment of squares: real, for complex parameters too."""

    def _start(self, name: str, leaf: Any) -> Any:
        return np.zeros_like(leaf.real if name == "square" else leaf)


@dataclass(frozen=True)
class Adagrad(_Squares):
    """Steps that shrink with the squares seen: s ← s + g², p ← p − rate · g / (√s + ε).

    Source: Duchi, Hazan, Singer, Adaptive subgradient methods (JMLR 12, 2011).

    Parameters
    ----------
    rate : float or callable
        The learning rate, or a schedule ``step -> rate``.
    epsilon : float
        ε > 0.
    """

    _moments: ClassVar[tuple[str, ...]] = ("square",)
    rate: Any = static(default=0.01)
    epsilon: float = static(default=1e-10)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("epsilon", self.epsilon)

    def _rule(self, rate: Any, count: Any) -> _Rule:
        def rule(p: Any, g: Any, s: Any) -> tuple[Any, ...]:
            s = s + _square(g)
            return p - cast(rate, p) * g / (np.sqrt(s) + self.epsilon), s

        return rule


@dataclass(frozen=True)
class RMSprop(_Squares):
    """Steps over a running root of squares: s ← ρ s + (1 − ρ) g², p ← p − rate · g / (√s + ε).

    Source: Tieleman, Hinton, Lecture 6.5 of Neural Networks for Machine Learning (2012).

    Parameters
    ----------
    rate : float or callable
        The learning rate, or a schedule ``step -> rate``.
    decay : float
        ρ, in [0, 1).
    epsilon : float
        ε > 0.
    """

    _moments: ClassVar[tuple[str, ...]] = ("square",)
    rate: Any = static(default=0.01)
    decay: float = static(default=0.99)
    epsilon: float = static(default=1e-8)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("decay", self.decay)
        check_positive("epsilon", self.epsilon)

    def _rule(self, rate: Any, count: Any) -> _Rule:
        def rule(p: Any, g: Any, s: Any) -> tuple[Any, ...]:
            s = self.decay * s + (1 - self.decay) * _square(g)
            return p - cast(rate, p) * g / (np.sqrt(s) + self.epsilon), s

        return rule


@dataclass(frozen=True)
class Adam(_Squares):
    """Momentum over a running root of squares, both corrected for their start at 0.

    m ← β₁ m + (1 − β₁) g, s ← β₂ s + (1 − β₂) g²,
    p ← p − rate · m/(1 − β₁ᵗ) / (√(s/(1 − β₂ᵗ)) + ε).

    Source: Kingma, Ba, Adam: a method for stochastic optimization (ICLR 2015).

    Parameters
    ----------
    rate : float or callable
        The learning rate, or a schedule ``step -> rate``.
    beta1, beta2 : float
        Decay of the mean and of the squares, in [0, 1).
    epsilon : float
        ε > 0.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> opt = tw.optim.Adam(0.1)
    >>> w = np.array([1.0, -2.0])
    >>> state, w = opt.update(opt.init(w), np.array([10.0, -0.1]), w)
    >>> np.round(w, 6)  # the first step has length rate in every direction
    array([ 0.9, -1.9])
    """

    _moments: ClassVar[tuple[str, ...]] = ("mean", "square")
    rate: Any = static(default=0.001)
    beta1: float = static(default=0.9)
    beta2: float = static(default=0.999)
    epsilon: float = static(default=1e-8)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("beta1", self.beta1)
        check_fraction("beta2", self.beta2)
        check_positive("epsilon", self.epsilon)

    def _rule(self, rate: Any, count: Any) -> _Rule:
        # √s/√c + ε over 1/b as scalars: rate · √c/b · m / (√s + ε √c), two divisions a leaf less.
        root = np.sqrt(1 - self.beta2**count)
        length = rate * (root / (1 - self.beta1**count))
        epsilon = self.epsilon * root

        def rule(p: Any, g: Any, m: Any, s: Any) -> tuple[Any, ...]:
            m = self.beta1 * m + (1 - self.beta1) * g
            s = self.beta2 * s + (1 - self.beta2) * _square(g)
            step = cast(length, p) * m / (np.sqrt(s) + cast(epsilon, p))
            return self._decayed(p, rate) - step, m, s

        return rule

    def _decayed(self, p: Any, rate: Any) -> Any:
        return p


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weight decay beside the gradient: also p ← p − rate · λ p.

    Source: Loshchilov, Hutter, Decoupled weight decay regularization (ICLR 2019). Which leaves
    decay is chosen with `Groups`.

    Parameters
    ----------
    rate, beta1, beta2, epsilon
        As of `Adam`.
    decay : float
        λ ≥ 0.
    """

    decay: float = static(default=0.01)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("decay", self.decay, zero=True)

    def _decayed(self, p: Any, rate: Any) -> Any:
        return p - cast(rate * self.decay, p) * p


@dataclass(frozen=True)
class Lion(Optimiser):
    """Steps of one length, by sign alone.

    p ← p − rate · (sign(β₁ m + (1 − β₁) g) + λ p), m ← β₂ m + (1 − β₂) g.

    Source: Chen et al., Symbolic discovery of optimization algorithms (NeurIPS 2023). Rates are 3
    to 10 times smaller than those of Adam.

    Parameters
    ----------
    rate : float or callable
        The learning rate, or a schedule ``step -> rate``.
    beta1, beta2 : float
        In [0, 1).
    decay : float
        λ ≥ 0.
    """

    _moments: ClassVar[tuple[str, ...]] = ("mean",)
    rate: Any = static(default=1e-4)
    beta1: float = static(default=0.9)
    beta2: float = static(default=0.99)
    decay: float = static(default=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("beta1", self.beta1)
        check_fraction("beta2", self.beta2)
        check_positive("decay", self.decay, zero=True)

    def _rule(self, rate: Any, count: Any) -> _Rule:
        def rule(p: Any, g: Any, m: Any) -> tuple[Any, ...]:
            step = np.sign(self.beta1 * m + (1 - self.beta1) * g)
            if self.decay:
                step = step + self.decay * p
            return p - cast(rate, p) * step, self.beta2 * m + (1 - self.beta2) * g

        return rule
