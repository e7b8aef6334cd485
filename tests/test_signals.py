"""How programs without a window end: by signals from outside, and by mistakes of ours where nothing else catches them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests import canary
from tests.fake_server import completed
from tests.forked import PIPE
from tests.loopback import ignored, loopback, palaver, plain_environment, profile_text, start
from tests.servers import docker_agent
from tests.servers.base import serving
from tests.store.histories import a_session, change, opened, told
from tests.store.other import Other
from tests.terminal import two_seconds, wait_for

Write = Callable[[str], Path]
ROOT = Path(__file__).parent.parent


@pytest.mark.fault("C16")
def test_quitting_ask_by_ctrl_backslash_costs_nothing_that_was_saved(write_config: Write, tmp_path: Path) -> None:
    """The emergency exit: it ends at once, leaves no core, and the next start says that the answer was cut short."""
    with loopback(lambda call: call.hold("half an answer")) as server:
        write_config(profile_text(server.url))
        process = start("ask", "-s", "work", "hi")
        assert server.call().sent.wait(30)
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 100) == b"half an answer"
        deadline = time.monotonic() + 30
        while "half an answer" not in palaver("sessions", "show", "work", "--json").stdout:
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGQUIT)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.communicate()
    assert process.returncode == -signal.SIGQUIT
    assert not os.WCOREDUMP(status)
    (turn,) = json.loads(palaver("sessions", "show", "work", "--json").stdout)["messages"]
    assert (turn["status"], turn["text"]) == ("interrupted", "half an answer")


@pytest.mark.fault("C12", "C14", "C15")
def test_signals_that_ask_was_started_to_ignore_do_not_end_it(write_config: Write) -> None:
    """As `nohup` does with the hang-up, and a script with what is typed at the terminal of one in the background."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with loopback(lambda call: call.hold("half ").event(completed("half and half"))) as server:
        write_config(profile_text(server.url))
        with ignored(*numbers):
            process = start("ask", "-s", "work", "hi")
        assert server.call().sent.wait(30)
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 5) == b"half "
        for number in numbers:
            process.send_signal(number)
        server.call().go_on.set()
        out, said = process.communicate(timeout=30)
    assert (process.returncode, out, said) == (0, b"and half\n", b"")


@pytest.mark.fault("C12", "C14", "C15")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_ask_while_it_reads_what_to_ask(write_config: Write, number: int) -> None:
    with loopback(lambda call: call.well("fine")) as server:
        write_config(profile_text(server.url))
        process = start("ask", "-s", "work", stdin=subprocess.PIPE)
        assert process.stdin is not None
        # More than a pipe takes in: once it is written, some of it is read.
        process.stdin.write(b"word " * 100_000)
        process.stdin.flush()
        process.send_signal(number)
        status = process.wait(two_seconds())
        process.stdin.close()
        process.stdin = None
        assert (status, *process.communicate()) == (128 + number, b"", b"Cancelled.\n")
        assert server.calls == []


@pytest.mark.fault("C08", "C12", "C14", "C15", "D20")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("args", [("ask", "-s", "work", "hi"), ("sessions", "list")], ids=lambda args: args[0])
def test_a_signal_ends_what_waits_for_a_locked_history(
    write_config: Write, history: Path, args: tuple[str, ...], number: int
) -> None:
    with loopback(lambda call: call.well("fine")) as server, Other(history) as other:
        write_config(profile_text(server.url))
        assert palaver("ask", "-s", "work", "first").returncode == 0
        other.do("hold")
        process = start(*args)
        wait_for(lambda: has_open(process.pid, history), "the history is not opened")
        process.send_signal(number)
        assert process.wait(two_seconds()) == 128 + number
        _, said = process.communicate()
        assert len(server.calls) == 1
    if args[0] == "ask":
        assert said.decode().splitlines()[1:] == ["Cancelled."]


def has_open(pid: int, file: Path) -> bool:
    return any(one.path == str(file) for one in psutil.Process(pid).open_files())


SLOW = "import time\ndef slow(*args, **more):\n    time.sleep(600)\n"
"""Work that nothing stops, in whatever thread."""

WRITING = {
    "export": ("import tui.exchange; tui.exchange._written = slow", ["export", "work", "-o", "{}/work.md"]),
    "backup": ("import tui.store.upkeep; tui.store.upkeep._verified = slow", ["history", "backup", "{}/copy.db"]),
    "repair": ("import tui.store.upkeep; tui.store.upkeep.salvage = slow", ["history", "repair"]),
}


@pytest.mark.fault("C12", "C14", "C15")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("writing", WRITING)
def test_a_signal_leaves_no_file_that_is_not_finished(history: Path, tmp_path: Path, writing: str, number: int) -> None:
    asyncio.run(prepare(history))
    if writing == "repair":
        change(history, "PRAGMA foreign_keys = OFF", "UPDATE turns SET session_id = 'gone'")
    code, args = WRITING[writing]
    folder = tmp_path / "folder"
    folder.mkdir()
    before = files_in(history.parent)
    process = start_with(SLOW + code, *(word.format(folder) for word in args))
    wait_for(lambda: any(file.stat().st_size for file in begun_in(folder, history.parent)), "nothing is written")
    process.send_signal(number)
    status = process.wait(two_seconds())
    out, _ = process.communicate()
    assert (status, out) == (128 + number, b"")
    assert (files_in(folder), files_in(history.parent)) == (set(), before)


async def prepare(history: Path) -> None:
    async with opened(history) as store:
        await told(store, a_session(), "hello", "a private answer")


def files_in(folder: Path) -> set[str]:
    """What is there for good."""
    passing = ("history.db-journal", "history.db.lock", "history.db.live")
    return {file.name for file in folder.iterdir()}.difference(passing)


def begun_in(*folders: Path) -> list[Path]:
    """The files that are being made."""
    found = [file for folder in folders for pattern in ("*.part*", "*.repaired-*") for file in folder.glob(pattern)]
    return [file for file in found if not file.name.endswith("-journal")]


@pytest.mark.fault("C12", "C14", "C15")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_whose_output_no_one_reads(history: Path, number: int) -> None:
    async def much() -> None:
        async with opened(history) as store:
            await told(store, a_session(), "hello", "word " * 100_000)

    asyncio.run(much())
    process = start("export", "work", "-o", "-")
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    wait_for(lambda: unread(pipe) >= PIPE, "the pipe is never full")
    process.send_signal(number)
    assert process.wait(two_seconds()) == 128 + number
    process.communicate()


def unread(pipe: int) -> int:
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.fault("C12", "C14", "C15")
def test_signals_that_a_command_was_started_to_ignore_do_not_end_it(history: Path, tmp_path: Path) -> None:
    asyncio.run(prepare(history))
    file, fifo = tmp_path / "work.md", tmp_path / "fifo"
    os.mkfifo(fifo)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    waiting = f"import tui.exchange as e\ndef wait(*args):\n    open({str(fifo)!r}).read()\n    return real(*args)\n"
    with ignored(*numbers):
        process = start_with(f"{waiting}real, e._written = e._written, wait", "export", "work", "-o", str(file))
    with fifo.open("w"):
        for number in numbers:
            process.send_signal(number)
    assert process.wait(30) == 0
    process.communicate()
    assert "a private answer" in file.read_text()


def start_with(code: str, *args: str) -> subprocess.Popen[bytes]:
    """The program beside the test, with `code` run before it."""
    run = f"import sys; from tui.cli import main; sys.exit(main({list(args)!r}))"
    return subprocess.Popen(
        [sys.executable, "-c", f"{code}\n{run}"],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


BROKEN = f"""
import os, sys, threading
def broken(*args, **more):
    key = os.environ["{canary.NAME}"]
    try:
        raise KeyError(key)
    except KeyError as error:
        raise ValueError(key + " of a private prompt") from error
"""

PLACES = {
    "ask": "import tui.ask; tui.ask.main = broken",
    "the sending of a turn": "import tui.chat; tui.chat.Chat.send = broken",
    "a turn": "import tui.runner; tui.runner.Fold.apply = broken",
    "the reading of the configuration": "import tui.config_file; tui.config_file.load = broken",
    "the store": "import tui.store; tui.store.Store.open = broken",
}


def ends(code: str, *args: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The program with `code` run before it. Gives what became of it, and its reports."""
    begin = "from tui import process; process.begin()"
    run = f"from tui.cli import main; sys.exit(main({list(args)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([BROKEN, begin, code, run])],
        cwd=ROOT, env=plain_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    folder = Path(os.environ["PALAVER_LOG_DIR"])
    reports = [file.read_text(encoding="utf-8") for file in folder.glob("crash-*.txt")]
    assert all("private" not in file.read_text(encoding="utf-8") for file in folder.rglob("*"))
    return done, reports


@pytest.mark.fault("C21", "K03")
@pytest.mark.parametrize("place", PLACES)
def test_a_mistake_in_ask_is_a_line_and_a_report(write_config: Write, place: str) -> None:
    with loopback(lambda call: call.well("fine")) as server:
        write_config(profile_text(server.url))
        done, reports = ends(PLACES[place], "ask", "-s", "work", "hi")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("palaver: an internal error (ValueError); a report is in /")
    assert len(done.stderr.splitlines()) == 1
    (report,) = reports
    assert report.rstrip().endswith("ValueError")
    assert "KeyError\n\nwhich led to:" in report


@pytest.mark.fault("C21", "K03", "G16")
def test_a_mistake_while_the_user_is_asked_ends_it(write_config: Write) -> None:
    """The server would wait for the answer for ever, and ask for the server."""
    with serving(docker_agent.make()) as server:
        write_config(docker_agent.profile_text(server.url))
        done, reports = ends(
            "import tui.ask_approvals; tui.ask_approvals._is_approved = broken", "ask", "-s", "work", "approve it"
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("palaver: an internal error (ValueError); a report is in /")
    assert len(reports) == 1


@pytest.mark.fault("C21", "K03")
@pytest.mark.parametrize(
    "code",
    [
        "import atexit; atexit.register(broken)",
        "class Dying:\n    __del__ = broken\nDying()",
        "import threading\nthreading.Thread(target=broken).start()",
    ],
)
def test_a_mistake_that_nothing_waits_for_is_not_quoted(write_config: Write, code: str) -> None:
    """At the end of the program, in a finalizer, in a thread: the answer is there, and no traceback."""
    with loopback(lambda call: call.well("fine")) as server:
        write_config(profile_text(server.url))
        done, reports = ends(code, "ask", "hi")
    assert (done.returncode, done.stdout) == (0, "fine\n")
    assert "Traceback" not in done.stderr
    assert "private" not in done.stderr
    (report,) = reports
    assert report.rstrip().endswith("ValueError")
