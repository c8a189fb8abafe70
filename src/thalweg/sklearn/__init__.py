"""Estimators with scikit-learn's conventions: networks that predict whole distributions.

They work in `Pipeline`, `GridSearchCV`, `cross_val_score`, with `clone`, `pickle`, sample weights,
`partial_fit`, `warm_start` and feature names. Needs scikit-learn 1.5 or newer:
``pip install 'thalweg[sklearn]'``.

Examples
--------
>>> import numpy as np
>>> from thalweg.sklearn import NetRegressor
>>> rng = np.random.default_rng(0)
>>> X = rng.uniform(-1, 1, (400, 1))
>>> y = X[:, 0] ** 2 + 0.1 * rng.standard_normal(400)
>>> net = NetRegressor((32,), learning_rate="cosine", random_state=0).fit(X, y)
>>> low, high = net.predict_interval(np.array([[0.0], [1.0]]), 0.9)
>>> bool(np.all(low < [0.0, 1.0]) and np.all(high > [0.0, 1.0]))
True
"""

try:
    import sklearn  # noqa: F401 - said here, before anything below fails on it
except ImportError as error:
    raise ImportError(
        "thalweg.sklearn needs scikit-learn 1.5 or newer: pip install 'thalweg[sklearn]'"
    ) from error

from thalweg.sklearn.classifier import NetClassifier
from thalweg.sklearn.density import MADEDensity
from thalweg.sklearn.regressor import NetRegressor
from thalweg.sklearn.scores import neg_crps, neg_nll
from thalweg.sklearn.transformer import VAETransformer

__all__ = ["MADEDensity", "NetClassifier", "NetRegressor", "VAETransformer", "neg_crps", "neg_nll"]
