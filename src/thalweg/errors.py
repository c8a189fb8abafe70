"""Every exception that Thalweg raises, on one page.

::

    ThalwegError
    ├── UserError                  a mistake in the calling code; the message says how to mend it
    │   ├── ShapeError             (ValueError)           operands or results do not fit
    │   ├── DtypeError             (TypeError)            integer or boolean where a float is needed
    │   ├── NonScalarOutputError   (TypeError)            grad of something that is not one number
    │   ├── TracingError           (TypeError)            an operation would cut the graph silently
    │   ├── NoRuleError            (NotImplementedError)  a NumPy function without a derivative rule
    │   ├── TreeError              (TypeError)            trees of arguments that do not match
    │   ├── SizeLimitError         (MemoryError)          a dense result above the memory limit
    │   ├── ConvergenceError       (RuntimeError)         a solver that has not solved
    │   ├── SingularError          (LinAlgError)          no derivative: a singular linear system
    │   ├── NonFiniteError       (FloatingPointError)  NaN or Inf in a training loss or gradient
    │   ├── ExpressionError        (ValueError)           text that is not an allowed expression
    │   └── DataError              (ValueError)           a file that cannot be used
    ├── GradientCheckError         (AssertionError)       a derivative disagrees with differences
    └── InternalError              (RuntimeError)         a bug in Thalweg: please report it

Warnings, for what goes on, but not as it was meant to::

    ThalwegWarning                 (UserWarning)
    ├── RecompilationWarning       a compiled function is traced again and again
    ├── NativeUnavailableWarning   compiled functions run in NumPy, and why
    └── CheckpointWarning          a damaged checkpoint was passed over
"""

from __future__ import annotations

from typing import Any

from numpy.linalg import LinAlgError

__all__ = [
    "CheckpointWarning",
    "ConvergenceError",
    "DataError",
    "DtypeError",
    "ExpressionError",
    "GradientCheckError",
    "InternalError",
    "NativeUnavailableWarning",
    "NoRuleError",
    "NonFiniteError",
    "NonScalarOutputError",
    "RecompilationWarning",
    "ShapeError",
    "SingularError",
    "SizeLimitError",
    "ThalwegError",
    "ThalwegWarning",
    "TracingError",
    "TreeError",
    "UserError",
]


class ThalwegError(Exception):
    """Root of every exception that Thalweg raises on purpose."""


class UserError(ThalwegError):
    """A mistake in the calling code; the message says what to do."""


class ShapeError(UserError, ValueError):
    """Operands or results whose shapes do not fit."""


class DtypeError(UserError, TypeError):
    """A dtype that has no derivative (integer, boolean, object) where one is asked for."""


class NonScalarOutputError(UserError, TypeError):
    """`grad` of a function whose output is not one number."""


class TracingError(UserError, TypeError):
    """An operation on a traced value that would cut the graph without a word."""


class NoRuleError(UserError, NotImplementedError):
    """A NumPy function, or a part of one, for which no derivative rule exists."""


class TreeError(UserError, TypeError):
    """Trees (tuples, lists, dicts, dataclasses) that do not match."""


class SizeLimitError(UserError, MemoryError):
    """A dense result that would exceed `thalweg.config.dense_limit`."""


class ConvergenceError(UserError, RuntimeError):
    """A solver's result that is no solution, or an iteration that did not converge."""


class SingularError(UserError, LinAlgError):
    """A linear system without a unique solution where a derivative needs it."""


class NonFiniteError(UserError, FloatingPointError):
    """A training loss or gradient that is NaN or Inf; ``result`` has everything before it."""

    result: Any = None


class ExpressionError(UserError, ValueError):
    """Text that is not an expression of the allowed names and operations."""


class DataError(UserError, ValueError):
    """A file or a data set that cannot be used as asked."""


class GradientCheckError(ThalwegError, AssertionError):
    """A derivative that disagrees with differences; the message names the culprit node."""


class InternalError(ThalwegError, RuntimeError):
    """A broken invariant of Thalweg itself: a bug, please report it."""


class ThalwegWarning(UserWarning):
    """Root of every warning: the results are right, but it went another way than was meant."""


class RecompilationWarning(ThalwegWarning):
    """A compiled function is traced again and again; the message names the cause."""


class NativeUnavailableWarning(ThalwegWarning):
    """Compiled functions run in NumPy here; the message gives the reason."""


class CheckpointWarning(ThalwegWarning):
    """A damaged checkpoint was passed over; training goes on from the one before it."""
