"""A page of the explorer in headless Chromium, for the tests that click and type in it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

try:
    from selenium import webdriver
except ImportError:
    webdriver = None

#: Seconds that a page may take to be ready where other work has the processors.
PATIENCE = 30
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
#: `npm install` in tools/page brings it.
AXE = Path(__file__).resolve().parents[1] / "tools/page/node_modules/axe-core/axe.min.js"
AVAILABLE = bool(webdriver and CHROMIUM and DRIVER)
OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --window-size=1400,860"
    " --no-first-run --disable-background-networking --disable-component-update"
)


class Browser:
    """A page under test."""

    def __init__(self, driver, folder):
        self.driver = driver
        self.folder = folder
        self.opened = 0

    def open(self, trace, fragment="", **options):
        self.opened += 1
        path = trace.to_html(self.folder / f"page{self.opened}.html", **options)
        self.go(path.as_uri() + fragment)
        return path

    def go(self, address):
        self.driver.get(address)
        # On a busy machine the driver comes back before a page of megabytes has run its script.
        until = time.monotonic() + PATIENCE
        while self.js("return document.documentElement.dataset.ready") != "true":
            assert time.monotonic() < until, self.errors()
            time.sleep(0.05)
        self.settle()

    def settle(self):
        """Wait for the frame in which the drawing is made."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestAnimationFrame(() => done()));"
        )

    def js(self, code, *args):
        return self.driver.execute_script(code, *args)

    def key(self, *keys):
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()
        self.settle()

    def text(self, selector):
        return self.js("return document.querySelector(arguments[0])?.textContent ?? null", selector)

    def texts(self, selector):
        code = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        return self.js(code, selector)

    def click(self, selector):
        self.driver.find_element("css selector", selector).click()
        self.settle()

    def violations(self):
        """What axe finds: each broken rule with the start of the first element that breaks it."""
        self.js(AXE.read_text(encoding="utf-8"))
        found = self.js("return axe.run().then((result) => result.violations)")
        return [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in found]

    def errors(self):
        return [line["message"] for line in self.driver.get_log("browser")]


def start():
    """A Chromium without windows."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in OPTIONS.split():
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


#: Chooses a node; gives what the panel says of it: name, value, gradient.
NODE = """
    location.hash = `#node=${arguments[0]}`;
    return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
      const exact = (role) => document.querySelector(`#panel .big.${role}`)?.dataset.exact ?? null;
      done([document.querySelector("#panel h2").textContent, exact("value"), exact("gradient")]);
    })));
"""
#: Milliseconds until the graph was first drawn.
DRAWN = """
    const done = arguments[0];
    const ask = () => {
      const [mark] = performance.getEntriesByName("drawn");
      if (mark) done(mark.startTime);
      else requestAnimationFrame(ask);
    };
    ask();
"""
