"""A real HTTP server on loopback, for tests of the program as a process. Each request is answered by a function.

Threads and events, no timing: a function may wait for the test, and the test for a function.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests import canary, forked
from tests.fake_server import completed, delta

Answer = Callable[["Call"], None]


class Call:
    """One request, and the means to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self._handler = handler
        self.path = handler.path
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = body
        self.sent = threading.Event()
        self.go_on = threading.Event()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def prompt(self) -> str:
        """The newest thing the user said; nothing where there is none, as in the answer to a question."""
        said = (one["content"] for one in reversed(self.json["input"]) if "content" in one)
        return str(next(said, ""))

    def head(self, status: int = 200, content_type: str = "text/event-stream", **headers: str) -> Call:
        self._handler.send_response(status)
        self._handler.send_header("content-type", content_type)
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.send_header("connection", "close")
        self._handler.end_headers()
        return self

    def send(self, data: bytes) -> Call:
        self._handler.wfile.write(data)
        self._handler.wfile.flush()
        return self

    def event(self, value: Any) -> Call:
        return self.send(f"data: {json.dumps(value)}\n\n".encode())

    def answer(self, status: int, value: Any, **headers: str) -> Call:
        return self.head(status, "application/json", **headers).send(json.dumps(value).encode())

    def well(self, text: str = "fine", response_id: str = "resp_1") -> Call:
        """A response from its first byte to its last."""
        self.head()
        for word in re.findall("[^ ]* |[^ ]+", text):
            self.event(delta(word))
        return self.event(completed(text, response_id))

    def hold(self, text: str) -> Call:
        """Begin an answer, tell the test, and go on when it says so."""
        self.head().event(delta(text))
        self.sent.set()
        self.go_on.wait(30)
        return self


class Loopback:
    """The server. `calls` are the requests it has seen."""

    def __init__(self, answer: Answer) -> None:
        self.calls: list[Call] = []
        self.called = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                call = Call(self, self.rfile.read(int(self.headers.get("content-length") or 0)))
                with outer.called:
                    outer.calls.append(call)
                    outer.called.notify_all()
                try:
                    answer(call)
                except OSError:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def call(self, number: int = 1) -> Call:
        """The nth request, once it has come."""
        with self.called:
            assert self.called.wait_for(lambda: len(self.calls) >= number, 30), "no request came"
            return self.calls[number - 1]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        for call in self.calls:
            call.go_on.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def loopback(answer: Answer) -> Iterator[Loopback]:
    """A server that answers every request with `answer`."""
    server = Loopback(answer)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def profile_text(url: str, *, more: str = "") -> str:
    """A configuration whose default profile is the server at `url`, with the key of all tests unless `more` names one."""
    key = "" if "api_key" in more else f'api_key_env = "{canary.NAME}"\n'
    text = f'profile = "here"\n[profiles.here]\nprotocol = "responses"\nbase_url = "{url}"\nmodel = "m"\n'
    return f"{text}{key}{more}\n"


def palaver(*args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the program to its end, with nothing on standard input unless it is given."""
    return forked.run(args, 60, **options)


def start(*args: str, **options: Any) -> subprocess.Popen[bytes]:
    """Run the program beside the test."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen([sys.executable, "-m", "tui", *args], cwd=Path(__file__).parent.parent, **options)


@contextmanager
def ignored(*numbers: int) -> Iterator[None]:
    """What is started within is to ignore these signals."""
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def plain_environment(**more: str) -> dict[str, str]:
    """The test's environment, with changes."""
    return {**os.environ, **more}
