"""The public names: exported one by one, documented, and none besides."""

from __future__ import annotations

import importlib
import inspect
import re
from importlib import metadata
from pathlib import Path

import pytest

import thalweg as tw

ROOT = Path(__file__).resolve().parents[1]
API = ROOT / "docs" / "api.md"
NAMES = sorted(tw.__all__)


def test_all_names_exist_once():
    assert len(set(tw.__all__)) == len(tw.__all__)
    for name in tw.__all__:
        assert hasattr(tw, name), name


def test_the_docs_list_exactly_the_public_names():
    listed = re.findall(r"^### `tw\.(\w+)`", API.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == NAMES
    assert len(listed) == len(set(listed))


def test_tab_offers_what_is_public():
    """It had `LOADERS`, `importlib` and every file inside of the package, too."""
    offered = {name for name in dir(tw) if not name.startswith("_")}
    assert set(NAMES) <= offered
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    for name in offered - set(NAMES):
        assert inspect.ismodule(getattr(tw, name)), name
        assert re.search(rf"\b(?:thalweg|tw)\.{name}\b", pages), name


@pytest.mark.parametrize("name", NAMES)
def test_public_names_have_a_docstring(name):
    thing = getattr(tw, name)
    if inspect.ismodule(thing) or inspect.isclass(thing) or inspect.isroutine(thing):
        assert thing.__doc__
        assert len(thing.__doc__.strip()) > 20


@pytest.mark.parametrize("name", [n for n in NAMES if inspect.isfunction(getattr(tw, n))])
def test_public_functions_have_hints_and_an_example(name):
    function = getattr(tw, name)
    signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter
    assert signature.return_annotation is not inspect.Signature.empty
    assert ">>>" in function.__doc__


#: Functions of modules beside the names of `tw`; those of `tw.scipy` have SciPy's signatures.
INNER = [
    pytest.param(thing, id=f"{module}.{name}")
    for module in ("generative", "heads.evaluate", "nn.losses", "optim", "random", "testing")
    for name, thing in vars(importlib.import_module(f"thalweg.{module}")).items()
    if name in importlib.import_module(f"thalweg.{module}").__all__ and inspect.isfunction(thing)
]


@pytest.mark.parametrize("function", INNER)
def test_functions_of_public_modules_have_hints_and_an_example(function):
    signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter
    assert signature.return_annotation is not inspect.Signature.empty
    assert ">>>" in function.__doc__


def test_version_and_typing_marker():
    assert metadata.version("thalweg") == tw.__version__
    assert (Path(tw.__file__).parent / "py.typed").exists()
