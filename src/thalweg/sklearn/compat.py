"""What scikit-learn 1.5 names otherwise than its later versions."""

from __future__ import annotations

from typing import Any

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # 1.5: a private method of the estimators

    def validate_data(estimator: Any, /, *data: Any, **options: Any) -> Any:
        """X, or X and y, checked; feature names and their number are noted or compared."""
        return estimator._validate_data(*data, **options)


__all__ = ["validate_data"]
