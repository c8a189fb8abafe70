"""Every law on every row of the op table."""

from __future__ import annotations

import pytest

from tests import laws
from tests.op_cases import CASES
from thalweg.graph.primitive import PRIMITIVES

ALL = pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
COMPLEX = pytest.mark.parametrize("case", [c for c in CASES if c.complex], ids=lambda c: c.id)


@ALL
def test_value(case):
    laws.value_is_numpys(case)


@ALL
def test_float32(case):
    laws.float32_stays(case)


@ALL
def test_first_order(case):
    laws.forward_is_reverse_is_differences(case)


@pytest.mark.parametrize("case", [c for c in CASES if c.order > 1], ids=lambda c: c.id)
def test_second_order(case):
    laws.second_order(case)


@ALL
def test_nothing_is_mutated(case):
    laws.nothing_is_mutated(case)


@pytest.mark.parametrize("case", [c for c in CASES if c.batched], ids=lambda c: c.id)
def test_batch(case):
    laws.batch_is_loop(case)


@COMPLEX
def test_complex(case):
    laws.value_is_numpys(case, complex_=True)
    laws.forward_is_reverse_is_differences(case, complex_=True)
    if case.order > 1:
        laws.second_order(case, complex_=True)


def _elementwise():
    """One case an elementwise operation, of operands that can be anything."""
    found = {}
    for case in CASES:
        primitive = PRIMITIVES[case.op]
        if len(primitive.rules) == len(case.shapes) and case.make is None:
            found.setdefault(case.op, case)
    return list(found.values())


@pytest.mark.parametrize("case", _elementwise(), ids=lambda c: c.id)
def test_special_values(case):
    laws.special_values(case)


@ALL
def test_layout(case):
    laws.any_layout(case)
