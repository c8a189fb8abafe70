"""``thalweg lecture --html``: the lecture as linked pages, each part with its explorable graphs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from thalweg.files import make_folder, write_text
from thalweg.lecture import Exhibit, Part, Table
from thalweg.report.html import fill, policy, static

__all__ = ["write_pages"]


def write_pages(folder: Path, parts: Sequence[Part]) -> list[Path]:
    """Write a page for each part, and one beside it for each of its graphs.

    Returns
    -------
    list of Path
        The parts' pages, in order.

    Raises
    ------
    DataError
        If the folder cannot be made or written to.
    """
    make_folder(folder)
    return [_write_part(folder, part, parts) for part in parts]


def _name(part: Part) -> str:
    return f"part{part.number}.html"


def _title(part: Part) -> str:
    return f"{part.number}  {part.title}"


def _write_part(folder: Path, part: Part, parts: Sequence[Part]) -> Path:
    body = [f"<p>{escape(paragraph)}</p>" for paragraph in part.text]
    graphs = 0
    for item in part.show():
        if isinstance(item, Exhibit):
            graphs += 1
            name = f"part{part.number}-graph{graphs}.html"
            item.trace().to_html(folder / name)
            body.append(_exhibit(item, name))
        else:
            body.append(_table(item) if isinstance(item, Table) else f"<p>{escape(item)}</p>")
    style = static("lecture.css")
    links = [
        f'<a href="{_name(other)}"{" aria-current=page" if other is part else ""}>'
        f"{escape(_title(other))}</a>"
        for other in parts
    ]
    place = parts.index(part)
    turn = [
        f'<a href="{_name(other)}">{arrow}</a>' if other else "<span></span>"
        for other, arrow in (
            (parts[place - 1] if place else None, "← the part before"),
            (parts[place + 1] if place + 1 < len(parts) else None, "the next part →"),
        )
    ]
    path = folder / _name(part)
    page = {
        "policy": policy([], [style], "frame-src 'self' file:"),
        "title": escape(_title(part)),
        "style": style,
        "links": "\n".join(links),
        "body": "\n".join(body),
        "turn": "\n".join(turn),
    }
    write_text(path, fill("lecture.html", page))
    return path


def _exhibit(exhibit: Exhibit, name: str) -> str:
    caption = escape(exhibit.caption)
    program = "\n".join(exhibit.program.split("; "))
    return (
        f"<h2>{caption}</h2>\n<pre>{escape(program)}</pre>\n"
        f'<p><a href="{name}">the graph on a page of its own</a></p>\n'
        f'<iframe src="{name}" title="{caption}"></iframe>'
    )


def _table(table: Table) -> str:
    heading = "".join(f"<th>{escape(title)}</th>" for title in table.heading)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return f"<table>\n<tr>{heading}</tr>\n{rows}\n</table>"
