"""The documentation tells the truth: every example runs and prints what stands there."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import linecache
import pkgutil
import re
import shlex
from pathlib import Path

import pytest

import thalweg
from thalweg.array_callbacks import CALLBACKS
from thalweg.cli import main, parser
from thalweg.ops.assignment import REWRITES
from tools import pages

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
MODULES = ["thalweg"] + [
    module.name for module in pkgutil.walk_packages(thalweg.__path__, "thalweg.")
]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path):
    """(language, text, line) of the fenced blocks; not of those that a comment leads.

    ``<!-- … -->`` before a block says that it is an excerpt, which another test holds.
    """
    text = path.read_text(encoding="utf-8")
    return [
        (found[1], found[2], text.count("\n", 0, found.start()) + 2)
        for found in _BLOCK.finditer(text)
        if not text[: found.start()].rstrip().endswith("-->")
    ]


def name_of(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    failures, _ = doctest.testmod(
        importlib.import_module(name),
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
    )
    assert failures == 0


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_examples_on_the_pages(path):
    """Blocks of Python run one after another; where a text block follows, they print it."""
    namespace = {"__name__": "__main__"}
    found = blocks(path)
    for position, (language, code, line) in enumerate(found):
        if language in ("python", "pycon") and ">>> " in code:
            _run_session(code, namespace, path, line)
        elif language == "python":
            printed = _run_program(code, namespace, path, line)
            after = found[position + 1] if position + 1 < len(found) else ("", "", 0)
            if after[0] == "text":
                assert printed.rstrip() == after[1].rstrip(), f"{path}:{line}"


def _run_session(code, namespace, path, line):
    parsed = doctest.DocTestParser().get_doctest(code, namespace, str(path), str(path), line)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    printed = io.StringIO()
    failed, _ = runner.run(parsed, out=printed.write, clear_globs=False)
    assert failed == 0, printed.getvalue()
    namespace.update(parsed.globs)


def _run_program(code, namespace, path, line):
    """What it prints; its source can be looked up, so that traces name its variables."""
    source = "\n" * (line - 1) + code
    filename = str(path)
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, filename, "exec"), namespace)
    return printed.getvalue()


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_console_sessions_on_the_pages(path, capsys, monkeypatch, tmp_path):
    """Blocks of `console`: each `$ thalweg …` prints the lines below it (… stands for any)."""
    monkeypatch.chdir(tmp_path)
    for language, text, line in blocks(path):
        if language != "console":
            continue
        for session in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, expected = session.partition("\n")
            words = shlex.split(command)
            assert words[0] == "thalweg", f"{path}:{line}"
            main(words[1:])
            captured = capsys.readouterr()
            shown = "\n".join(s.rstrip() for s in (captured.out + captured.err).splitlines())
            pattern = re.escape(expected.strip()).replace(re.escape("…\n"), r"(.*\n)*?")
            pattern = pattern.replace("…", ".*")
            assert re.fullmatch(pattern, shown.strip()), f"{path}:{line}\n{shown}"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path):
    prose = re.sub(r"`[^`]*`", "", _BLOCK.sub("", path.read_text(encoding="utf-8")))
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", prose):
        if "://" not in target:
            assert (path.parent / target).exists() or not (ROOT / "src").exists(), target


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_places_within_pages_are_there(path):
    prose = _BLOCK.sub("", path.read_text(encoding="utf-8"))
    for target, place in re.findall(r"\]\(([^)#:]*\.md)?#([^)]+)\)", prose):
        text = ((path.parent / target) if target else path).read_text(encoding="utf-8")
        titles = re.findall(r"^#+ (.+)$", _BLOCK.sub("", text), re.MULTILINE)
        plain = (re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)
        assert place in plain, f"{path}: {target}#{place}"


def test_every_page_can_be_reached_from_the_index():
    index = ROOT / "docs" / "index.md"
    text = index.read_text(encoding="utf-8")
    linked = {(index.parent / t).resolve() for t in re.findall(r"\]\(([^)#]+)", text)}
    pages_there = {p.resolve() for p in (ROOT / "docs").rglob("*.md")} - {index.resolve()}
    assert pages_there <= linked, sorted(map(str, pages_there - linked))


@pytest.mark.slow
@pytest.mark.parametrize("name", pages.PAGES)
def test_generated_pages_are_up_to_date(name):
    if not pages.comparable():
        pytest.skip("generated with another version of NumPy")
    changed = pages.differences(name)
    assert not changed, "python -m tools.pages writes them anew:\n" + "\n".join(changed[:20])


def test_what_arrays_take_by_themselves_is_not_called_without_a_rule():
    """np.piecewise, np.apply_along_axis, np.copyto and others worked, and the page denied it."""
    text = (ROOT / "docs" / "numpy.md").read_text(encoding="utf-8")
    for function in (*CALLBACKS, *REWRITES):
        (state,) = re.findall(rf"^\| `np\.{function.__name__}` \| ([a-z ]+) \|", text, re.MULTILINE)
        assert state in ("composite", "in place"), function


def test_the_manual_names_every_option():
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    commands = next(a for a in parser()._actions if a.choices).choices
    for name, command in commands.items():
        assert f"## thalweg {name}" in text
        for action in command._actions:
            for option in action.option_strings:
                if option.startswith("--") and option != "--help":
                    assert f"`{option}" in text, f"{name} {option}"


def test_the_readme_has_its_two_commands():
    found = [text for language, text, _ in blocks(ROOT / "README.md") if language == "bash"]
    assert len(found) == 2
    assert all(len(text.strip().splitlines()) == 1 for text in found)
    assert "thalweg explain" in found[0]
    assert "pytest" in found[1]
