"""Which tests belong to the quick set (``-m "not slow"``)."""

from __future__ import annotations

import pytest

#: Laws that the quick set tries on the first case of every operation; the others wait.
_QUICK_LAWS = frozenset(["test_value", "test_first_order", "test_second_order"])

#: Elsewhere: what takes seconds, or runs over the whole op table.
_SLOW = frozenset(
    """
    test_a_hundred_thousand_nodes test_adding_a_builtin_touches_one_file
    test_every_edge_of_every_operation test_random_programs test_ten_thousand_nodes
    """.split()
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every law on every case is the whole set; the quick one has one case an operation."""
    seen: set[tuple[str, str]] = set()
    for item in items:
        if getattr(item, "originalname", "") in _SLOW:
            item.add_marker(pytest.mark.slow)
        if item.path.name != "test_laws.py" or not hasattr(item, "callspec"):
            continue
        case = item.callspec.params["case"]
        key = (item.originalname, case.op)
        if item.originalname not in _QUICK_LAWS or key in seen:
            item.add_marker(pytest.mark.slow)
        seen.add(key)
