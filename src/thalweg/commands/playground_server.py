"""The playground's server: to this machine only, to who has the token only, from its own page only.

Another page in the same browser could send requests to 127.0.0.1 too. It does not know the token;
its requests bear its own origin and are refused; a name that it makes point here (DNS rebinding)
stands in the Host header and is refused.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from thalweg.errors import DataError
from thalweg.report.html import fill, policy, script_of, static

__all__ = ["PlaygroundServer"]

#: Bytes of a request's body; what is longer is refused, and thrown away up to the second number.
_LARGEST, _THROWN = 64 * 1024, 64 * 1024 * 1024
#: Seconds that a client may take for its request.
_PATIENCE = 10
_TOKEN = "X-Thalweg-Token"

Answer = Callable[[Mapping[str, Any]], dict[str, Any]]


class PlaygroundServer(ThreadingHTTPServer):
    """Serves the page, and what `answer` says to a request of it.

    Attributes
    ----------
    address : str
        With the token: who has it can use the page.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, port: int, answer: Answer) -> None:
        self.answer = answer
        self.token = secrets.token_urlsafe(24)
        #: One expression at a time: many pages cannot take more than one processor.
        self.turn = threading.Lock()
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            reason = error.strerror or error
            raise DataError(f"cannot listen on 127.0.0.1:{port}: {reason}") from error
        self.hosts = {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}
        self.origins = {f"http://{host}" for host in self.hosts}
        self.address = f"http://127.0.0.1:{self.server_port}/?token={self.token}"
        self.page, self.policy = _page()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone (the page asks for something newer) is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def knows(self, token: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(token.encode(), self.token.encode())


def _page() -> tuple[bytes, str]:
    """The page, and the policy for it and for the explorer in its frame, which inherits it."""
    script, style = script_of("playground"), static("playground.css")
    allowed = policy(
        [script, script_of("main")],
        [style, static("page.css")],
        "connect-src 'self'",
        "img-src data: blob:",
        "frame-ancestors 'none'",
    )
    return fill("playground.html", {"style": style, "script": script}).encode(), allowed


class _Refusal(Exception):  # noqa: N818 - an answer to the client
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: PlaygroundServer
    server_version = "thalweg"
    sys_version = ""
    timeout = _PATIENCE

    def do_GET(self) -> None:
        """The page."""
        self._answer(self._page)

    def do_POST(self) -> None:
        """What an expression gives."""
        self._answer(self._trace)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is the user's."""

    def _answer(self, respond: Callable[[], None]) -> None:
        try:
            self._check_sender()
            respond()
        except _Refusal as refusal:
            self._send(refusal.status, "text/plain; charset=utf-8", f"{refusal}\n".encode())

    def _check_sender(self) -> None:
        """Refuse what does not come from this machine's own page."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0] not in self.server.hosts:
            raise _Refusal(403, "this host is not served")
        if any(origin not in self.server.origins for origin in self.headers.get_all("Origin", [])):
            raise _Refusal(403, "another origin is not served")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            raise _Refusal(403, "another site is not served")

    def _page(self) -> None:
        address = urlsplit(self.path)
        if address.path != "/":
            raise _Refusal(404, "there is only the page")
        tokens = parse_qs(address.query).get("token", [])
        if len(tokens) != 1 or not self.server.knows(tokens[0]):
            raise _Refusal(403, "the token is missing or wrong: use the address in the terminal")
        self._send(200, "text/html; charset=utf-8", self.server.page)

    def _trace(self) -> None:
        if not self.server.knows(self.headers.get(_TOKEN, "")):
            raise _Refusal(403, "the token is missing or wrong")
        if self.path != "/trace":
            raise _Refusal(404, "there is only /trace")
        asked = _asked(self._body())
        try:
            with self.server.turn:
                told = self.server.answer(asked)
        except Exception:
            traceback.print_exc()
            raise _Refusal(500, "a mistake in Thalweg: the terminal has it") from None
        text = json.dumps(told, separators=(",", ":"))
        self._send(200, "application/json", text.encode("utf-8", "replace"))

    def _body(self) -> bytes:
        if self.headers.get_content_type() != "application/json":
            raise _Refusal(415, "the request must be application/json")
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not re.fullmatch("[0-9]{1,18}", length):
            raise _Refusal(411, "the request must say its length")
        if int(length) > _LARGEST:
            self._throw_away(min(int(length), _THROWN))
            raise _Refusal(413, f"the request has more than {_LARGEST:,} bytes")
        return self.rfile.read(int(length))

    def _throw_away(self, length: int) -> None:
        """Read what is refused: a client that is still sending would not see the answer."""
        while length > 0 and (piece := self.rfile.read(min(length, 2**16))):
            length -= len(piece)

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": self.server.policy,
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _asked(body: bytes) -> dict[str, Any]:
    """The request, if it has the form that it must have."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise _Refusal(400, "the request is not JSON") from None
    keys = {"expression": str, "values": dict, "upstream": str}
    fits = isinstance(asked, dict) and set(asked) == set(keys)
    if not fits or not all(isinstance(asked[key], form) for key, form in keys.items()):
        raise _Refusal(400, "the request must have expression, values and upstream")
    if not all(isinstance(text, str) for text in asked["values"].values()):
        raise _Refusal(400, "values must be texts")
    return asked
