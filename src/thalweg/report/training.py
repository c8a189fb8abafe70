"""The page that runs through a training: a slider above the explorer's pages of its steps."""

from __future__ import annotations

import json
from collections.abc import Mapping

from thalweg.report.html import fill, policy, script_of, static

__all__ = ["index"]


def index(files: Mapping[int, str]) -> str:
    """The page for the files of steps, which stand in the same folder.

    Parameters
    ----------
    files : dict of int to str
        Step → name of its page: letters, digits, dots and hyphens only.
    """
    data = json.dumps([{"step": step, "file": files[step]} for step in sorted(files)])
    script, style = script_of("training"), static("training.css")
    parts = {
        "policy": policy([script], [style], "frame-src 'self' file:"),
        "style": style,
        "data": data,
        "script": script,
    }
    return fill("training.html", parts)
