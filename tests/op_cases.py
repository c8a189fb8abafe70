"""The op table: every primitive's cases, gathered from one file a family."""

from __future__ import annotations

import importlib
import pkgutil

from tests import cases
from tests.cases.case import Case

CASES: list[Case] = [
    case
    for module in sorted(m.name for m in pkgutil.iter_modules(cases.__path__) if m.name != "case")
    for case in importlib.import_module(f"tests.cases.{module}").CASES
]
