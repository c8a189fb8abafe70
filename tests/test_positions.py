"""What the numbers of positions say."""

import numpy as np
import pytest

from thalweg.ops._positions import distinct


@pytest.mark.parametrize(
    "positions",
    [[], [3], [3, 3], [0, 2, 1], [-5, 7, -5], [0, 10**12], [10**12, 0, 10**12], [[1, 2], [2, 3]]],
)
def test_distinct(positions):
    numbers = np.array(positions, np.int64)
    assert distinct(numbers) == (len(set(numbers.ravel().tolist())) == numbers.size)
