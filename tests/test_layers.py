"""The shape of the source: imports go down the list of docs/architecture.md, and nothing hides."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "thalweg"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
MODULES = {
    ".".join(("thalweg", *path.relative_to(PACKAGE).with_suffix("").parts)): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
SOURCES = sorted(
    path
    for folder in ("src", "tests", "bench", "tools", "examples")
    for path in (ROOT / folder).rglob("*.py")
)

pytestmark = pytest.mark.skipif(not PACKAGE.exists(), reason="needs the source tree")


def layers() -> dict[str, int]:
    """Layer → its place in the table of docs/architecture.md, 0 at the top."""
    ranks: dict[str, int] = {}
    place = 0
    for line in ARCHITECTURE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("| `"):
            continue
        for name in re.findall(r"`(\w+)/?`", line.split("|")[1]):
            ranks[name] = place
        place += 1
    return ranks


def layer_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(path: Path) -> list[tuple[str, int]]:
    """Modules of ours that a file imports at its top level, with the line."""
    found = []
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Import):
            found += [(alias.name, statement.lineno) for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, f"{path}:{statement.lineno}: write the import in full"
            for alias in statement.names:
                inner = f"{statement.module}.{alias.name}"
                module = inner if is_module(inner) else statement.module
                found.append((str(module), statement.lineno))
    return [(name, line) for name, line in found if name.split(".")[0] == "thalweg"]


def is_module(name: str) -> bool:
    return name in MODULES or f"{name}.__init__" in MODULES


def test_the_table_names_every_layer_and_no_other():
    there = {layer_of(module) for module in MODULES}
    assert there == set(layers())


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module):
    ranks = layers()
    own = layer_of(module)
    wrong = [
        f"{MODULES[module]}:{line}: {own} imports {layer_of(name)}, which stands above it"
        for name, line in imports(MODULES[module])
        if ranks[layer_of(name)] < ranks[own]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_cycles():
    graph = {}
    for module, path in MODULES.items():
        name = module.removesuffix(".__init__")
        graph[name] = {target for target, _ in imports(path)} - {name}
    tuple(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_import_inside_a_function(path):
    lazy = {PACKAGE / "__init__.py"}  # the only lazy place
    hidden = [
        f"{path}:{inner.lineno}"
        for outer in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for inner in ast.walk(outer)
        if isinstance(inner, (ast.Import, ast.ImportFrom))
    ]
    assert not hidden or path in lazy, hidden


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_sizes_and_marks(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 500, f"{path} has {len(lines)} lines: does it still have one subject?"
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    left = [f"{path}:{n}" for n, line in enumerate(lines, 1) if any(m in line for m in marks)]
    assert not left, left


def test_import_leaves_the_heavy_modules_alone():
    code = (
        "import sys, thalweg; "
        "print([m for m in ('scipy', 'rich', 'sklearn', 'llvmlite') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
