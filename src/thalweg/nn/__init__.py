"""What stands around a model: `losses` and `regularise`, plain functions on arrays and trees."""

from thalweg.nn import losses, regularise

__all__ = ["losses", "regularise"]
