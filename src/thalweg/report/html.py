"""The explorer: a trace as one HTML file that needs nothing else, no server and no network.

The page's parts are the files of `static/`. Its modules are joined into one, their imports taken
out; the policy in the page allows that script and that style by their hashes and nothing besides:
no request to anywhere, no other script. The data stands in the page as JSON in which no
character means anything to HTML, and the script only ever makes text nodes of it.
"""

from __future__ import annotations

import base64
import graphlib
import hashlib
import html
import json
import re
import tempfile
import webbrowser
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from thalweg.files import write_text
from thalweg.report.page import page_data
from thalweg.report.record import Record
from thalweg.report.text import cut, one_line

__all__ = ["compare", "fill", "frame", "page", "policy", "script_of", "show", "static"]

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) )", re.MULTILINE)
#: A tenth of a page; no text within backticks goes over a line.
_INDENTATION = re.compile(r"^ +", re.MULTILINE)
_TITLE = 80
#: Pictures that the explorer makes of itself, to be saved.
_SAVING = "img-src data: blob:"
#: What could end the script element, or start a comment in it.
_SCRIPT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def page(record: Record, limit: int | None = None, runs: Sequence[tuple[str, Record]] = ()) -> str:
    """The page of a trace.

    Parameters
    ----------
    record : Record
    limit : int, optional
        Arrays of more entries are summarised (default: what fits into 5 MB, at most 1024).
    runs : sequence of (label, Record), optional
        Several runs of the same graph, `record` the first of them.
    """
    # ASCII only: U+2028 and U+2029, which end lines in scripts, are escaped with all others.
    data = json.dumps(page_data(record, limit, runs), separators=(",", ":"), allow_nan=False)
    script, style = script_of("main"), static("page.css")
    return fill(
        "page.html",
        {
            "policy": policy([script], [style], _SAVING),
            "title": _title(record),
            "style": style,
            "data": data.translate(_SCRIPT),
            "script": script,
        },
    )


def compare(pages: Sequence[tuple[str, Record]], limit: int | None = None) -> str:
    """Pages of traces side by side, each below its label; what is chosen in one is in all."""
    script, style = script_of("compare"), static("compare.css")
    body = [
        f"<section><h2>{html.escape(label)}</h2>"
        f'<iframe sandbox="allow-scripts allow-downloads" title="{html.escape(label)}"'
        f' srcdoc="{html.escape(page(record, limit))}"></iframe></section>'
        for label, record in pages
    ]
    parts = {
        # The pages in the frames inherit the policy of the page around them.
        "policy": policy([script, script_of("main")], [style, static("page.css")], _SAVING),
        "title": _title(pages[0][1]),
        "style": style,
        "body": "\n".join(body),
        "script": script,
    }
    return fill("compare.html", parts)


def _title(record: Record) -> str:
    return html.escape(f"{cut(one_line(record.function), _TITLE)} - Thalweg")


def policy(scripts: Sequence[str], styles: Sequence[str], *allowed: str) -> str:
    """These scripts and styles, what is `allowed` besides, and nothing from anywhere else."""
    hashes = [
        " ".join([f"{kind}-src", *(f"'{_hash_of(text)}'" for text in texts)])
        for kind, texts in (("script", scripts), ("style", styles))
        if texts
    ]
    return "; ".join(
        ["default-src 'none'", *hashes, *allowed, "base-uri 'none'", "form-action 'none'"]
    )


def frame(text: str, height: int = 560) -> str:
    """A page inside another one (a notebook), in a sandbox of its own."""
    return (
        f'<iframe sandbox="allow-scripts allow-downloads" srcdoc="{html.escape(text)}"'
        f' style="width: 100%; height: {height}px; border: 1px solid #8886; border-radius: 6px"'
        ' title="Thalweg explorer"></iframe>'
    )


def show(text: str) -> Path:
    """Open a page in the browser; gives the file that it was written to."""
    path = Path(tempfile.mkdtemp(prefix="thalweg-")) / "explorer.html"
    write_text(path, text)
    webbrowser.open(path.as_uri())
    return path


def fill(name: str, parts: dict[str, str]) -> str:
    """A file of `static/` with its parts in place; what stands in a part is left as it is."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], static(name))


def _hash_of(text: str) -> str:
    """The hash by which the policy knows a script or a style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def static(name: str) -> str:
    """The text of a file of `static/`."""
    return resources.files("thalweg.report").joinpath("static", name).read_text(encoding="utf-8")


@cache
def script_of(entry: str) -> str:
    """A module of `static/` and all that it imports as one, each after those that it needs."""
    texts: dict[str, str] = {}
    needs: dict[str, list[Any]] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name not in texts:
            texts[name] = static(f"{name}.js")
            needs[name] = _IMPORT.findall(texts[name])
            waiting += needs[name]
    order = graphlib.TopologicalSorter(needs).static_order()
    joined = "\n".join(_EXPORT.sub("", _IMPORT.sub("", texts[name])) for name in order)
    return _INDENTATION.sub("", joined)
