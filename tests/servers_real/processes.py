"""Servers as processes of their own: started on loopback, waited for, ended by their ids."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers_real.install import ROOT

START = 60.0
"""Seconds a server may take to begin to answer."""


class NotStarted(Exception):
    """A server did not begin to answer. The message is what it printed."""


@dataclass
class Process:
    """A server that is running. `url` is its address; `log` holds what it prints."""

    url: str
    log: Path
    _process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def stop(self) -> None:
        """End it, as a service is ended. Where it does not listen, it is killed."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, in the middle of whatever it is saying."""
        self._process.kill()
        self._process.wait(10)


def free_port() -> int:
    """A port on loopback that no one listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str], *, port: int, ready: str, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """A server, from the moment on at which it answers at the path `ready`.

    Of the environment it gets nothing but where programs are, and `env`.

    Raises:
        NotStarted: It ended, or did not answer in time.
    """
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(log.parent),
        "LANG": "C.UTF-8",
        **(env or {}),
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=environment
        )
    process = Process(f"http://127.0.0.1:{port}", log, popen)
    try:
        _wait(popen, port, ready, log)
        yield process
    finally:
        if popen.poll() is None:
            process.stop()


def _wait(popen: subprocess.Popen[bytes], port: int, ready: str, log: Path) -> None:
    deadline = time.monotonic() + START
    # Who answers may be someone else, where the server has ended because its port was taken.
    while not _answers(port, ready) or popen.poll() is not None:
        has_ended = popen.poll() is not None
        if has_ended or time.monotonic() > deadline:
            said = log.read_text(encoding="utf-8", errors="replace")[-8000:]
            how = f"ended with status {popen.returncode}" if has_ended else f"did not answer in {START:.0f} s"
            raise NotStarted(f"{log.stem} {how}; it printed:\n{said}")
        time.sleep(0.05)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
