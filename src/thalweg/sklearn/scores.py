"""Scores for ``scoring=``: how good the predicted distributions are, not only their means."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.heads import evaluate

__all__ = ["neg_crps", "neg_nll"]


def neg_nll(estimator: Any, X: Any, y: Any) -> float:
    """Mean log-likelihood in nats: for ``scoring=neg_nll``; larger is better.

    Parameters
    ----------
    estimator : NetRegressor or NetClassifier
        Fitted.
    X : array of shape (n, features)
    y : array of shape (n,) or (n, outputs)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import cross_val_score
    >>> from thalweg.sklearn import NetRegressor, neg_nll
    >>> X = np.linspace(-1, 1, 60)[:, None]
    >>> y = X[:, 0] + 0.1 * np.random.default_rng(0).standard_normal(60)
    >>> net = NetRegressor((8,), learning_rate="cosine", random_state=0)
    >>> scores = cross_val_score(net, X[::-1], y[::-1], cv=3, scoring=neg_nll)
    >>> scores.shape
    (3,)
    """
    return -evaluate.nll(estimator.predict_dist(X), estimator.encode(y))


def neg_crps(estimator: Any, X: Any, y: Any) -> float:
    """Mean continuous ranked probability score, its sign changed; in the units of `y`.

    Parameters
    ----------
    estimator : NetRegressor
        Fitted, with a head whose CRPS has a closed form.
    X : array of shape (n, features)
    y : array of shape (n,) or (n, outputs)
    """
    return -float(np.mean(evaluate.crps(estimator.predict_dist(X), estimator.encode(y))))
