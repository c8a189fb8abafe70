"""Which tests belong to the quick set (``-m "not slow"``)."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

# Before NumPy is there: two test processes with two BLAS threads each wait for one another.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Compiled code of the tests is kept beside pytest's own files, not among the user's.
os.environ.setdefault(
    "THALWEG_CACHE_DIR", str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "native")
)

import pytest
from hypothesis import settings

from tests import explorer_browser
from tests.explorer_pages import traces
from thalweg.execute.native import jit

jit.VERIFY = True

# The same examples in each run; `--hypothesis-profile=search` looks for others.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile("repeatable")

#: Tests of what stands beside the package, where only the tests have been copied.
collect_ignore = (
    [] if (Path(__file__).resolve().parents[1] / "bench").exists() else ["test_bench.py"]
)

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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How much of the op table was held against which law, and how many random programs."""
    laws: Counter[str] = Counter()
    operations = set()
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")
        path, _, name = report.nodeid.partition("::")
        if path.endswith("test_laws.py") and "[" in name:
            law, _, case = name.partition("[")
            laws[law.removeprefix("test_")] += 1
            operations.add(case.split("-")[0])
    if laws:
        counts = ", ".join(f"{law} {count}" for law, count in sorted(laws.items()))
        terminalreporter.write_line(
            f"op table: {len(operations)} operations, {sum(laws.values())} checks ({counts})"
        )


@pytest.fixture
def interruptible():
    """Ctrl-C acts, here and in processes that are started, as in a terminal.

    A shell's background job, which a test run may be, ignores it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def driver():
    """One Chromium for all tests of the explorer."""
    found = explorer_browser.start()
    yield found
    found.quit()


@pytest.fixture
def browser(driver, tmp_path):
    """A page in it; a test that leaves an error in the page's log fails."""
    driver.get("about:blank")
    for log in ("browser", "performance"):
        driver.get_log(log)
    page = explorer_browser.Browser(driver, tmp_path)
    yield page
    assert page.errors() == []


@pytest.fixture(scope="session")
def traced():
    """The traces of `explorer_pages`, by name."""
    return traces()
