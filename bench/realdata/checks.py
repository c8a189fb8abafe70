"""scikit-learn's own checks of estimators, counted."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from typing import Any

from sklearn.mixture import GaussianMixture
from sklearn.neural_network import MLPClassifier
from sklearn.utils.estimator_checks import check_estimator

from thalweg.sklearn import MADEDensity, NetClassifier, NetRegressor, VAETransformer

__all__ = ["checks"]


def checks(seed: int) -> dict[str, dict[str, float]]:
    """How many passed, were skipped, are expected to fail, failed (scikit-learn 1.6 or newer)."""
    del seed  # the checks have seeds of their own
    found = {}
    estimators: list[Any] = [NetClassifier(), NetRegressor(), MADEDensity(), VAETransformer()]
    for estimator in [*estimators, MLPClassifier(), GaussianMixture()]:
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = check_estimator(estimator, on_fail=None)
        count = Counter(result["status"] for result in results)
        found[type(estimator).__name__] = {
            "seconds": time.perf_counter() - start,
            **{name: count[name] for name in ("passed", "skipped", "xfail", "failed")},
        }
    return found
