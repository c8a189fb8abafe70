"""Why families of operations have no native code: `lower` of their records."""

from __future__ import annotations

__all__ = ["BITS", "FFT", "INTEGER", "LAPACK", "OPEN_SHAPE", "SCAN", "SEARCH", "SORTING", "SPECIAL"]

SORTING = "sorting is NumPy's"
SEARCH = "searching is NumPy's"
OPEN_SHAPE = "the shape of its result depends on values"
LAPACK = "LAPACK does it"
FFT = "fast transforms are NumPy's"
SCAN = "each entry needs the one before it along an axis"
SPECIAL = "SciPy's special function"
BITS = "it looks at the bits of floating numbers"
INTEGER = "a rare function of integers or bits"
