"""`tw.fit(explore=…)`: pages of chosen steps, and the slider that runs through them."""

from __future__ import annotations

import re

import numpy as np
import pytest

import thalweg as tw
from tests.explorer_browser import AVAILABLE
from thalweg.training import Snapshots

X = np.linspace(-1, 1, 40)


def loss(p, x, *, step):
    error = p["a"] * x - np.sin(3 * x)
    return np.mean(error**2) + 0 * step


def run(folder, **options):
    options = {"epochs": 3, "batch_size": 8, "optimiser": tw.optim.SGD(0.1), **options}
    return tw.fit({"a": 0.0}, loss, X, explore=folder, **options)


def steps_in(folder):
    return [int(path.stem[5:]) for path in sorted(folder.glob("step-*.html"))]


def test_pages_of_chosen_steps_do_not_change_the_training(tmp_path):
    with_pages = run(tmp_path / "pages")
    assert steps_in(tmp_path / "pages") == [0, 1, 2, 5, 10]
    run(Snapshots(tmp_path / "chosen", steps=(0, 7)))
    assert steps_in(tmp_path / "chosen") == [0, 7]
    assert with_pages.history == run(None).history
    listed = re.findall(r"step-\d+\.html", (tmp_path / "pages" / "index.html").read_text())
    assert listed == [path.name for path in sorted((tmp_path / "pages").glob("step-*.html"))]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(tw.errors.DataError, match="cannot make the folder"):
        run(tmp_path / "file" / "below")


@pytest.mark.skipif(not AVAILABLE, reason="selenium, chromium or chromedriver not found")
@pytest.mark.xdist_group("browser")
def test_the_slider_runs_through_the_steps_and_keeps_what_is_selected(browser, tmp_path):
    run(tmp_path / "pages")
    browser.go((tmp_path / "pages" / "index.html").as_uri())
    driver = browser.driver

    def inside(code):
        driver.switch_to.frame("frame")
        found = driver.execute_async_script(
            "const done = arguments[0]; const look = () =>"
            " document.documentElement.dataset.ready === 'true'"
            f" ? done((() => {{ {code} }})()) : setTimeout(look, 20); look();"
        )
        driver.switch_to.default_content()
        return found

    first = inside("return document.querySelector('#title').textContent + document.body.innerText")
    assert browser.text("#shown") == "0 of 10"
    driver.switch_to.frame("frame")
    browser.click("#graph .card[data-node='2']")
    driver.switch_to.default_content()
    chosen = inside("return location.hash")
    assert "node=2" in chosen
    driver.find_element("id", "slider").send_keys("\ue010")  # End
    assert browser.text("#shown") == "10 of 10"
    last = inside("return document.querySelector('#title').textContent + document.body.innerText")
    assert last != first
    assert inside("return location.hash") == chosen
    driver.find_element("id", "slider").send_keys("\ue012")  # ArrowLeft
    assert browser.text("#shown") == "5 of 10"
    assert inside("return location.hash") == chosen
