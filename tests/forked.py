"""The program's commands, each in a process forked from one that has loaded them: starting anew costs ten times as much.

Such a process is the program to its end, but for its imports: it has its own terminal or files, environment, folder and
limits, and ends as any interpreter does. What depends on how an interpreter begins is to be started in full.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PIPE = 32_768
"""What a pipe takes in without a reader, in bytes, wherever tests run."""

_SETTINGS = ("PYTHON", "LC_", "LANG", "MALLOC")


def run(args: tuple[str, ...], timeout: float, **options: Any) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run` gives for the program with these arguments, its output being text.

    Raises:
        subprocess.TimeoutExpired: It was ended, having taken longer.
    """
    environment = dict(options.pop("env", None) or os.environ)
    given = options.pop("input", None)
    folder = str(options.pop("cwd", None) or Path.cwd())
    no_input = options.pop("stdin", subprocess.DEVNULL) == subprocess.DEVNULL
    data = (given or "").encode()
    if options or not no_input or len(data) > PIPE or not _same_beginning(environment):
        return _in_full(args, timeout, env=environment, input=given, cwd=folder, is_read=no_input, **options)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        status = _forked(
            args, environment, folder, data if given is not None else None, out.fileno(), err.fileno(), timeout
        )
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode().replace("\r\n", "\n"))
    return subprocess.CompletedProcess(["palaver", *args], status, *said)


def _in_full(
    args: tuple[str, ...], timeout: float, *, is_read: bool, **options: Any
) -> subprocess.CompletedProcess[str]:
    if options["input"] is None:
        del options["input"]
        options["stdin"] = subprocess.DEVNULL if is_read else None
    command = [sys.executable, "-m", "tui", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)


def _same_beginning(environment: dict[str, str]) -> bool:
    """Whether an interpreter would begin in it as this one has."""
    return _settings(environment) == _settings(_BEGINNING)


def _settings(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_SETTINGS)}


_BEGINNING = dict(os.environ)


def _forked(
    args: tuple[str, ...],
    environment: dict[str, str],
    folder: str,
    given: bytes | None,
    out: int,
    err: int,
    timeout: float,
) -> int:
    if given is None:
        read = os.open(os.devnull, os.O_RDONLY)
    else:
        read, write = os.pipe()
        os.write(write, given)
        os.close(write)
    told, tell = os.pipe()
    try:
        _loaded().ask({"argv": args, "environment": environment, "folder": folder}, [read, out, err, tell])
    finally:
        os.close(read)
        os.close(tell)
    with os.fdopen(told, "rb") as answers:
        pid = int(answers.readline())
        if not select.select([answers], [], [], timeout)[0]:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(["palaver", *args], timeout)
        return int(answers.readline())


class _Loaded:
    """The process that has loaded everything, from outside."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
            cwd=ROOT, env=_BEGINNING, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
        )  # fmt: skip
        theirs.close()
        atexit.register(self.end)

    def ask(self, order: dict[str, Any], files: list[int]) -> None:
        data = json.dumps(order).encode()
        socket.send_fds(self._control, [len(data).to_bytes(4, "big")], files)
        self._control.sendall(data)

    def end(self) -> None:
        self._control.close()
        self._process.wait(30)


_made: list[_Loaded] = []


def _loaded() -> _Loaded:
    if not _made:
        _made.append(_Loaded())
    return _made[0]


def _serve(control: socket.socket) -> None:
    """Fork as often as one is asked to, until no one is there to ask."""
    # Those that were forked are waited for by no one: the one between tells what became of each.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        size, files, _, _ = socket.recv_fds(control, 4, 4)
        if not size:
            return
        data = b""
        while len(data) < int.from_bytes(size, "big"):
            data += control.recv(int.from_bytes(size, "big") - len(data))
        if os.fork() == 0:
            control.close()
            _begin(json.loads(data), files)
            return
        for file in files:
            os.close(file)


def _begin(order: dict[str, Any], files: list[int]) -> None:
    """In the one between: begin the program, and tell of its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *files, tell = files
    pid = os.fork()
    if pid == 0:
        os.close(tell)
        _become(order, files)
    else:
        with suppress(OSError):
            os.write(tell, b"%d\n" % pid)
            os.write(tell, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os._exit(0)


def _become(order: dict[str, Any], files: list[int]) -> None:
    """Be the program, to its end."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    sys.argv[1:] = order["argv"]

    from tui.__main__ import main

    main()


def _load() -> None:
    """What commands need, without beginning one."""
    import tui.ask
    import tui.cli
    import tui.client.protocols.responses
    import tui.commands.exporting
    import tui.commands.history
    import tui.commands.importing
    import tui.commands.profiles
    import tui.commands.search
    import tui.commands.sessions  # noqa: F401


if __name__ == "__main__":
    _load()
    _serve(socket.socket(fileno=int(sys.argv[1])))
