"""Write the generated pages of the documentation, or compare them: ``python -m tools.pages``."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

import numpy as np

from tools import numpy_functions, operations, public_names

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = {
    "api.md": public_names.page,
    "numpy.md": numpy_functions.page,
    "operations.md": operations.page,
}


def differences(name: str) -> list[str]:
    """Lines in which a page differs from what would be generated now."""
    path = DOCS / name
    there = path.read_text(encoding="utf-8") if path.exists() else ""
    now = PAGES[name]()
    return list(difflib.unified_diff(there.splitlines(), now.splitlines(), "docs", "now", n=0))


def comparable() -> bool:
    """The pages name the functions of one NumPy version; other versions have others."""
    version = ".".join(np.__version__.split(".")[:2])
    path = DOCS / "numpy.md"
    return not path.exists() or f"NumPy {version} " in path.read_text(encoding="utf-8")


def main() -> int:
    """Write the pages; with --check only compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    status = 0
    for name, page in PAGES.items():
        if not check:
            (DOCS / name).write_text(page(), encoding="utf-8")
            continue
        changed = differences(name)
        if changed:
            status = 1
            sys.stderr.write("\n".join(changed[:40]) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
