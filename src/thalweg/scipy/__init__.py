"""SciPy's functions for plain and traced arrays. Imports SciPy; `import thalweg` does not."""

from thalweg.scipy import linalg, special

__all__ = ["linalg", "special"]
