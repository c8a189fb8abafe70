"""Which entries of a factor can be other than zero, whatever the inputs are.

A matrix that does not depend on what is differentiated has the same zeros at every point, and so
has a product with a mask. Its zeros stay out of the pattern, as do those of products of such
matrices: the Jacobian of a masked network is as sparse as its masks say.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.graph.node import Node
from thalweg.ops.arithmetic import MULTIPLY

__all__ = ["support"]


def support(x: Any) -> np.ndarray[Any, Any] | None:
    """True where `x` may be other than zero; None where that is everywhere, or not known."""
    if type(x) is not Node:
        found = np.not_equal(x, 0)
        return None if found.all() else found
    if x.primitive is not MULTIPLY:
        return None
    masks = [support(operand) for operand in x.operands if type(operand) is not Node]
    return None if not masks or masks[0] is None else np.broadcast_to(masks[0], x.shape)
