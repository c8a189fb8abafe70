"""Penalties on parameters, which hold overfitting back: add them to the loss.

Each takes a tree and gives one number. `choose` picks the leaves: ``choose(path, leaf)`` with the
leaf's place as text (``layers.0.W``); by default the leaves with two axes or more, so biases and
scales are left alone. Buffers, such as the running statistics of BatchNorm, are never counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.tree import flatten_with_paths, learned

__all__ = ["elastic_net", "l1", "l2"]

_Choose = Callable[[str, Any], bool]


def _matrices(path: str, leaf: Any) -> bool:
    return np.ndim(leaf) >= 2


def _total(params: Any, strength: float, choose: _Choose, of: Callable[[Any], Any]) -> Any:
    if not strength >= 0:
        raise ValueError(f"strength={strength!r}: it must be a number ≥ 0")
    leaves, structure = flatten_with_paths(params)
    chosen = [
        leaf
        for (path, leaf), moves in zip(leaves, learned(structure), strict=True)
        if moves and choose(".".join(map(str, path)), leaf)
    ]
    if not chosen:
        raise ValueError(
            "no leaf is chosen, so nothing would be penalised: by default those with two axes or "
            "more are. Pass choose=lambda path, leaf: True for all."
        )
    return strength * sum(np.sum(of(leaf)) for leaf in chosen)


def l2(params: Any, strength: float, choose: _Choose = _matrices) -> Any:
    """½ · strength · Σ |w|²: its gradient is strength · w.

    Raises
    ------
    ValueError
        If no leaf is chosen, or the strength is negative.

    Examples
    --------
    >>> import numpy as np, thalweg as tw
    >>> from thalweg.nn.regularise import l2
    >>> params = {"W": np.array([[3.0, 4.0]]), "b": np.array([100.0])}
    >>> float(l2(params, 0.1))
    1.25
    """
    return _total(params, strength, choose, lambda w: 0.5 * (w * np.conj(w)).real)


def l1(params: Any, strength: float, choose: _Choose = _matrices) -> Any:
    """strength · Σ |w|; the gradient at 0 is 0.

    Raises
    ------
    ValueError
        If no leaf is chosen, or the strength is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.nn.regularise import l1
    >>> float(l1({"W": np.array([[3.0, -4.0]]), "b": np.array([100.0])}, 0.5))
    3.5
    """
    return _total(params, strength, choose, np.abs)


def elastic_net(
    params: Any, strength: float, l1_ratio: float = 0.5, choose: _Choose = _matrices
) -> Any:
    """strength · (l1_ratio · Σ |w| + ½ (1 − l1_ratio) · Σ |w|²).

    Source: Zou, Hastie, Regularization and variable selection via the elastic net (2005).

    Raises
    ------
    ValueError
        If no leaf is chosen, the strength is negative, or l1_ratio outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from thalweg.nn.regularise import elastic_net
    >>> float(elastic_net({"W": np.array([[3.0, -4.0]])}, 0.5, l1_ratio=0.5))
    4.875
    """
    if not 0 <= l1_ratio <= 1:
        raise ValueError(f"l1_ratio={l1_ratio!r}: it must be in [0, 1]")
    lasso = l1(params, strength * l1_ratio, choose)
    return lasso + l2(params, strength * (1 - l1_ratio), choose)
