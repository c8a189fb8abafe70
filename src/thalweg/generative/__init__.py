"""Models of arbitrary distributions: fully visible belief networks."""

from thalweg.generative.fvbn import MADE, fvsbn

__all__ = ["MADE", "fvsbn"]
