"""The page that runs through a training: a slider above the explorer's pages of its steps."""

from __future__ import annotations

import json
from collections.abc import Mapping

from thalweg.report.html import fill, hash_of, script_of, static

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
    policy = [
        "default-src 'none'",
        f"script-src '{hash_of(script)}'",
        f"style-src '{hash_of(style)}'",
        "frame-src 'self' file:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    parts = {"policy": "; ".join(policy), "style": style, "data": data, "script": script}
    return fill("training.html", parts)
