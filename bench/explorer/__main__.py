"""The command ``python -m bench.explorer``: pages of graphs from three nodes to ten thousand.

Processor times of the drawing and of the page in Python, the page's size, and in headless
Chromium: the time until the graph is first drawn, and the intervals between frames while it is
moved and zoomed, at a size that can be read and as a whole. Without a screen Chromium draws 60
frames a second at most.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.report import machine
from tests import explorer_browser
from tests.explorer_pages import gallery
from thalweg.report import html, page
from thalweg.report.trace import Trace

#: One event a frame; gives the milliseconds from each frame to the next.
_MOVE = """
    const [kind, done] = arguments;
    const stage = document.getElementById("stage");
    const { left, top, width, height } = stage.getBoundingClientRect();
    const at = { clientX: left + width / 2, clientY: top + height / 2, bubbles: true };
    const times = [];
    let x = 0;
    if (kind === "pan") stage.dispatchEvent(new PointerEvent("pointerdown", { ...at, pointerId: 1 }));
    const step = (now) => {
      times.push(now);
      if (times.length > 90) {
        if (kind === "pan") stage.dispatchEvent(new PointerEvent("pointercancel", { ...at, pointerId: 1 }));
        done(times.slice(1).map((t, i) => t - times[i]));
        return;
      }
      x += times.length % 40 < 20 ? 9 : -9;
      if (kind === "pan") {
        stage.dispatchEvent(new PointerEvent("pointermove", { ...at, clientX: at.clientX + x, pointerId: 1 }));
      } else {
        stage.dispatchEvent(new WheelEvent("wheel", { ...at, deltaY: times.length % 40 < 20 ? 30 : -30 }));
      }
      requestAnimationFrame(step);
    };
    stage.setPointerCapture = () => {};
    requestAnimationFrame(step);
"""  # noqa: E501


def _best(run: Callable[[], object], times: int = 3) -> float:
    """The least processor time of some runs, in milliseconds."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        run()
        taken.append(time.process_time() - started)
    return 1000 * min(taken)


def _row(name: str, trace: Trace, browser: explorer_browser.Browser) -> list[str]:
    cards = [page._card(node) for node in trace.nodes]
    layout = _best(lambda: page._draw(trace.record, cards))
    made = _best(lambda: html.page(trace.record), 1 if len(trace) > 1000 else 3)
    paints, frames = [], {}
    for _ in range(3):
        path = browser.open(trace)
        paints.append(browser.driver.execute_async_script(explorer_browser.DRAWN))
    for view, keys in (("near", []), ("whole", ["0"])):
        for key in keys:
            browser.key(key)
        for kind in ("pan", "zoom"):
            intervals = browser.driver.execute_async_script(_MOVE, kind)
            frames[view, kind] = np.percentile(intervals, [50, 95])
    return [
        name,
        str(len(trace)),
        f"{layout:.0f}",
        f"{made:.0f}",
        f"{path.stat().st_size / 1e6:.2f}",
        f"{min(paints):.0f}",
        *(f"{median:.0f} / {late:.0f}" for median, late in frames.values()),
    ]


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(prog="python -m bench.explorer", description=__doc__).parse_args()
    if not explorer_browser.AVAILABLE:
        raise SystemExit("selenium, chromium or chromedriver not found")
    head = ["graph", "nodes", "layout ms", "page ms", "page MB", "drawn after ms"]
    head += [f"{view}: {kind}, frame ms" for view in ("near", "whole") for kind in ("pan", "zoom")]
    print(f"{machine()}\n")
    print(" | ".join(["", *head, ""]).strip())
    print("|" + "---|" * len(head))
    driver = explorer_browser.start()
    try:
        driver.set_script_timeout(120)
        with tempfile.TemporaryDirectory() as folder:
            browser = explorer_browser.Browser(driver, Path(folder))
            for name, make in gallery().items():
                print(" | ".join(["", *_row(name, make(), browser), ""]).strip(), flush=True)
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
