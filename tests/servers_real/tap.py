"""Something between Palaver and a server that notes every request and how its connection ended, and changes nothing."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any


@dataclass
class Exchange:
    """One connection, which Palaver uses for one request. `let_go` is whether Palaver was first to close it."""

    sent: bytes = b""
    came: bytes = b""
    let_go: bool = False
    is_over: bool = False

    @property
    def what(self) -> str:
        """The request's method and path."""
        return " ".join(self.sent.split(b"\r\n", 1)[0].decode("latin-1").split(" ")[:2])

    @property
    def json(self) -> Any:
        """The request's body; None where there is none."""
        body = self.sent.partition(b"\r\n\r\n")[2]
        return json.loads(body) if body else None

    @property
    def status(self) -> int:
        """The answer's status; 0 before there is one."""
        words = self.came.split(b"\r\n", 1)[0].split(b" ")
        return int(words[1]) if len(words) > 1 else 0


class Tap:
    """Listens on loopback and passes everything on to the server on the port `target`."""

    def __init__(self, target: int) -> None:
        self.exchanges: list[Exchange] = []
        self._target = target
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def asked(self) -> list[str]:
        """All requests since the last time, in short; they are forgotten with this."""
        with self._changed:
            told = [f"{one.what} {one.status}" for one in self.exchanges]
            self.exchanges.clear()
        return told

    def wait(self, holds: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait until something holds of the exchanges."""
        with self._changed:
            assert self._changed.wait_for(holds, seconds), [(one.what, one.status, one) for one in self.exchanges]

    def close(self) -> None:
        # Closing alone does not wake whoever waits for a connection.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in list(self._open):
            _end(one)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                # As where nothing listens: the connection is reset before anything comes.
                client.close()
                continue
            server.settimeout(None)
            self._open |= {client, server}
            exchange = Exchange()
            with self._changed:
                self.exchanges.append(exchange)
            threading.Thread(target=self._pass, args=(client, server, exchange, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, exchange, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, exchange: Exchange, is_request: bool) -> None:
        """Pass on what comes from `source` to its end, and end the other side with it."""
        with suppress(OSError):
            while data := source.recv(65536):
                with self._changed:
                    if is_request:
                        exchange.sent += data
                    else:
                        exchange.came += data
                    self._changed.notify_all()
                target.sendall(data)
        with self._changed:
            exchange.let_go = exchange.let_go or (is_request and not exchange.is_over)
            exchange.is_over = True
            self._changed.notify_all()
        for one in (source, target):
            self._open.discard(one)
            _end(one)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def tapped(port: int) -> Iterator[Tap]:
    """A tap on the server on `port`."""
    tap = Tap(port)
    try:
        yield tap
    finally:
        tap.close()
