"""The playground: what it answers, and whom it refuses."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

import thalweg as tw
from tests.explorer_browser import AVAILABLE
from thalweg.cli import main
from thalweg.commands.playground import EXPRESSION, UPSTREAM, answer
from thalweg.commands.playground_server import PlaygroundServer


@pytest.fixture(scope="module")
def server():
    with PlaygroundServer(0, answer) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def asked(expression, values=None, upstream=""):
    return {"expression": expression, "values": values or {}, "upstream": upstream}


def send(server, method, path, body=None, **headers):
    """Status and text, with the headers that the page sends unless others are given (None: not)."""
    given = {"Host": f"127.0.0.1:{server.server_port}"}
    if method == "POST":
        given |= {
            "Content-Type": "application/json",
            "X-Thalweg-Token": server.token,
            "Origin": f"http://127.0.0.1:{server.server_port}",
            "Sec-Fetch-Site": "same-origin",
            "Content-Length": str(len(body)),
        }
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in given.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.read().decode(), response.headers
    finally:
        connection.close()


def post(server, what, **headers):
    body = what if isinstance(what, bytes) else json.dumps(what).encode()
    return send(server, "POST", "/trace", body, **headers)[:2]


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


# ---- what it answers ------------------------------------------------------------------------


def test_an_expression_comes_back_as_a_page_with_its_numbers(server):
    status, text = post(server, asked("tanh(w * x)", {"w": "2", "x": "0.3"}))
    assert status == 200
    told = json.loads(text)
    assert told["variables"] == ["w", "x"]
    trace = tw.trace(lambda w, x: np.tanh(w * x), 2.0, 0.3)
    nodes = data_of(told["page"])["nodes"]
    assert [node["value"] for node in nodes] == [node.value for node in trace]
    assert [node["upstream"] for node in nodes] == [node.upstream for node in trace]
    assert told["output"] == f"{trace.output:.6g}"


def test_a_variable_without_a_value_is_one():
    assert answer(asked("3 * x", {"x": " "}))["output"] == "3"
    assert answer(asked("3 * x"))["output"] == "3"


def test_the_gradient_at_an_output_that_is_an_array():
    values = {"x": "[1, 2]"}
    assert answer(asked("x * x", values))["backward"] is False
    told = answer(asked("x * x", values, "[1, 10]"))
    assert told["backward"] is True
    assert data_of(told["page"])["nodes"][0]["upstream"]["data"] == [2, 40]
    told = answer(asked("x * x", values, "[1, 10, 3]"))
    assert told["part"] == UPSTREAM
    assert "shape" in told["error"]
    told = answer(asked("x @ y", {"x": "[1, 2]", "y": "[1, 2, 3]"}, "[1, 10]"))
    assert told["part"] == EXPRESSION
    assert answer(asked("x * x", values, "[1, "))["part"] == UPSTREAM


@pytest.mark.parametrize(
    ("expression", "values", "part", "message"),
    [
        ("x +", {}, EXPRESSION, "not an expression"),
        ("", {}, EXPRESSION, "empty"),
        ("2 + 3", {}, EXPRESSION, "no variable"),
        ("x * y", {"y": "[1, 2"}, "y", "not an expression"),
        ("x * y", {"y": "z"}, "y", "must be a number"),
        ("x @ y", {"x": "[1, 2]", "y": "[1, 2, 3]"}, EXPRESSION, "x @ y\n  ^^^^^"),
        ("x * y", {"y": "/etc/passwd.npy"}, "y", "not an expression"),
        ("x * y", {"y": "data.npy"}, "y", ".npy is not allowed"),
    ],
)
def test_errors_are_told_at_their_part(expression, values, part, message):
    told = answer(asked(expression, values))
    assert told["part"] == part
    assert message in told["error"]
    assert "page" not in told


def test_names_that_the_page_uses_itself_are_variables_like_others():
    told = answer(asked("upstream * expression", {"upstream": "2", "expression": "[1"}))
    assert told["variables"] == ["upstream", "expression"]
    assert told["part"] == "expression" != EXPRESSION


HOSTILE = [
    "__import__('os').system('touch /tmp/hacked')",
    "().__class__.__base__.__subclasses__()",
    "x.__class__",
    "np.load('x')",
    "open('/etc/passwd')",
    "(lambda: x)()",
    "[x for x in y]",
    "exec('1')",
    "f'{x}'",
    "x if x else y",
    "(" * 500 + "x" + ")" * 500,
    "-" * 3900 + "x",
    "x" + "[0]" * 1300,
    "x" * 5000,
    "9**9**9**9**9 * x",
    "9999999999999999999999 * x",
    "x\u2028+ y",
    "\ud800",
    "sum(outer(outer(x, x), x))",
    "x.reshape(100, 1, 1) * x.reshape(1, 100, 1) * x.reshape(100)",
    "concatenate([x, x, x, x] * 100000)",
    "sum(" + "+".join(["outer(x, x)"] * 300) + ")",
    "<script>alert(1)</script>",
    "x; y; z",
    "x = 1; x = x",
]


@pytest.mark.parametrize("expression", HOSTILE)
def test_hostile_expressions_are_refused(server, expression):
    x = "[" + ",".join(["1.5"] * 100) + "]"
    status, text = post(server, asked(expression, {"x": x}))
    assert status == 200
    told = json.loads(text)
    assert "error" in told, expression
    assert "page" not in told
    assert "Traceback" not in told["error"]


def test_the_longest_expressions_are_answered():
    x = "[" + ",".join(["0.5"] * 140) + "]"
    long = "+".join(["tanh(outer(x,x))"] * 6)
    assert "page" in answer(asked(f"sum({long})", {"x": x}))
    assert "page" in answer(asked("; ".join(["a = x * x"] + ["a = a * x"] * 350), {"x": "1.01"}))


# ---- whom it refuses ------------------------------------------------------------------------


def test_the_page_needs_the_token(server):
    address = urlsplit(server.address)
    assert address.hostname == "127.0.0.1"
    assert len(parse_qs(address.query)["token"][0]) >= 32
    status, text, headers = send(server, "GET", f"/?{address.query}")
    assert status == 200
    assert "Thalweg playground" in text
    assert server.token not in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    for path in ("/", "/?token=", "/?token=x", f"/?{address.query}x", f"/?{address.query}&token=y"):
        assert send(server, "GET", path)[0] == 403
    assert send(server, "GET", f"/etc/passwd?{address.query}")[0] == 404


def test_it_listens_on_this_machine_only(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"


GOOD = asked("x * 2", {"x": "3"})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": None, "Sec_Fetch_Site": None}, 200),
        ({"X_Thalweg_Token": None}, 403),
        ({"X_Thalweg_Token": ""}, 403),
        ({"X_Thalweg_Token": "x" * 32}, 403),
        ({"X_Thalweg_Token": "é"}, 403),
        ({"Origin": "http://example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "https://127.0.0.1"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Host": "example.com"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": None}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": None}, 415),
        ({"Content_Length": None}, 411),
        ({"Content_Length": "-1"}, 411),
        ({"Content_Length": "1e3"}, 411),
        ({"Content_Length": "9" * 5000}, 411),
        ({"Transfer_Encoding": "chunked"}, 411),
    ],
)
def test_who_is_served(server, headers, status):
    assert post(server, GOOD, **headers)[0] == status


def test_a_foreign_origin_does_not_get_the_page(server):
    path = f"/?token={server.token}"
    assert send(server, "GET", path, Origin="http://example.com")[0] == 403
    assert send(server, "GET", path, Host=f"example.com:{server.server_port}")[0] == 403
    assert send(server, "GET", path, Sec_Fetch_Site="cross-site")[0] == 403


@pytest.mark.parametrize("size", [70_000, 10_000_000])
def test_a_large_body_is_refused(server, size):
    assert post(server, b"[" + b" " * size + b"]")[0] == 413
    assert post(server, GOOD)[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 60_000,
        b'{"expression": "x"}',
        b'{"expression": 1, "values": {}, "upstream": ""}',
        b'{"expression": "x", "values": {"x": 1}, "upstream": ""}',
        b'{"expression": "x", "values": [], "upstream": ""}',
        b'{"expression": "x", "values": {}, "upstream": "", "more": 1}',
        b"\xff\xfe",
    ],
)
def test_what_has_another_form_is_refused(server, body):
    assert post(server, body)[0] == 400


def test_other_methods_and_paths(server):
    body = json.dumps(GOOD).encode()
    assert send(server, "POST", "/", body)[0] == 404
    for method in ("PUT", "OPTIONS", "DELETE", "HEAD", "TRACE"):
        assert send(server, method, "/trace")[0] == 501


def test_a_client_that_does_not_finish_keeps_nobody_waiting(server):
    with socket.create_connection(("127.0.0.1", server.server_port)) as slow:
        slow.sendall(b"POST /trace HTTP/1.1\r\nHost: ")
        assert post(server, GOOD)[0] == 200


def test_a_mistake_of_ours_is_not_shown_to_the_page(capsys):
    def broken(asked):
        raise RuntimeError("a secret")

    with PlaygroundServer(0, broken) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        status, text = post(made, GOOD)
        made.shutdown()
        thread.join()
    assert status == 500
    assert "secret" not in text
    assert "a secret" in capsys.readouterr().err


# ---- the command ----------------------------------------------------------------------------


RUN = "from thalweg.cli import main; raise SystemExit(main())"


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_it():
    command = [sys.executable, "-c", RUN, "playground", "--no-open"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = process.stdout.readline().split()[-1]
    assert urlsplit(address).hostname == "127.0.0.1"
    with socket.create_connection(("127.0.0.1", urlsplit(address).port)):  # a request under way
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out.endswith("ended\n")
    assert err == ""


def test_a_port_that_is_taken(server, capsys):
    assert main(["playground", "--no-open", "--port", str(server.server_port)]) == 2
    assert f"cannot listen on 127.0.0.1:{server.server_port}" in capsys.readouterr().err
    assert main(["playground", "--port", "70000"]) == 2


# ---- in the browser -------------------------------------------------------------------------


def typed(browser, selector, text, output):
    """Type, and wait for what comes of it."""
    field = browser.driver.find_element("css selector", selector)
    field.clear()
    field.send_keys(text)
    waiting(browser, output)


def waiting(browser, output):
    until = time.monotonic() + 20
    while browser.text("#output") != output or not settled(browser):
        assert time.monotonic() < until, browser.text("#output")
        time.sleep(0.05)


def settled(browser):
    frames = "return [...document.querySelectorAll('iframe')].map((f) => f.className)"
    return browser.js(frames) == [""]


def in_frame(browser, selector):
    browser.driver.switch_to.frame(browser.driver.find_element("css selector", "iframe"))
    try:
        return browser.texts(selector)
    finally:
        browser.driver.switch_to.default_content()


@pytest.mark.skipif(not AVAILABLE, reason="selenium, chromium or chromedriver not found")
@pytest.mark.xdist_group("browser")
def test_typing_shows_the_graph_and_errors_in_their_place(browser, server):
    browser.driver.get(server.address)
    waiting(browser, "= -12")
    typed(browser, "#expression", "w * x + b", "= -1")  # x is what it was: -2
    assert browser.texts("#values label") == ["w", "x", "b"]
    typed(browser, "[id='value-w']", "-2.5", "= 6")
    assert in_frame(browser, "#subtitle") == ["5 nodes · output 6"]
    gradients = in_frame(browser, "#graph .card text.gradient")
    assert sorted(gradients) == sorted(["◂ -2", "◂ -2.5", "◂ 1", "◂ 1", "◂ 1"])
    browser.driver.find_element("id", "expression").send_keys(" + foo(x)")
    until = time.monotonic() + 20
    while not browser.text("#error-expression"):
        assert time.monotonic() < until
    carets, message = browser.text("#error-expression").split("\n")
    assert carets == " " * len("w * x + b + ") + "^^^"
    assert "foo" in message
    assert in_frame(browser, "#subtitle") == ["5 nodes · output 6"]
    typed(browser, "#expression", "x", "= -2")
    assert browser.js("return document.getElementById('error-expression').hidden")
    fragment = browser.js("return location.hash")
    assert "e=x" in fragment
    assert [line for line in browser.errors() if "favicon" not in line] == []


PLACE = "return document.getElementById('world').getAttribute('transform')"


@pytest.mark.skipif(not AVAILABLE, reason="selenium, chromium or chromedriver not found")
@pytest.mark.xdist_group("browser")
def test_what_is_chosen_stays_chosen_while_one_types(browser, server):
    browser.driver.get(server.address)
    waiting(browser, "= -12")

    def inside(code):
        browser.driver.switch_to.frame(browser.driver.find_element("css selector", "iframe"))
        try:
            return browser.js(code)
        finally:
            browser.driver.switch_to.default_content()

    def chosen(label):
        until = time.monotonic() + 20
        while in_frame(browser, "#panel h2") != [label]:
            assert time.monotonic() < until, in_frame(browser, "#panel h2")
            time.sleep(0.05)

    inside("document.querySelector('#panel [data-go=\"2\"]').click()")
    chosen("z")
    inside("document.getElementById('heat').click()")
    inside("document.getElementById('in').click()")
    time.sleep(0.4)
    place = [float(x) for x in re.findall(r"-?[\d.]+", inside(PLACE))]
    typed(browser, "[id='value-z']", "2", "= 6")
    chosen("z")
    now = [float(x) for x in re.findall(r"-?[\d.]+", inside(PLACE))]
    assert now == pytest.approx(place, rel=1e-4)
    assert inside("return document.getElementById('heat').ariaPressed") == "true"
    typed(browser, "#expression", "w * z + sum(x)", "= 0")  # another place among the nodes
    chosen("z")
    typed(browser, "#expression", "w * x", "= -2")
    chosen("w * x")
    assert [line for line in browser.errors() if "favicon" not in line] == []
