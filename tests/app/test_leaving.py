"""The window in terminals of all kinds, and how it leaves them: stopped, flooded, poor, inside another program's."""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.fake_server import completed
from tests.loopback import loopback, palaver, plain_environment, profile_text
from tests.store.other import Other
from tests.terminal import Terminal, is_restored, terminal, wait_for
from tui.drafts import CLOSE, OPEN

Write = Callable[[str], Path]


@pytest.mark.fault("C17")
def test_it_stops_and_goes_on_as_a_shell_tells_it(write_config: Write) -> None:
    """The shell has its terminal back meanwhile; the answer goes on when the window does."""
    with loopback(lambda call: call.hold("half").event(completed("half and whole"))) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.shows("Type a message")
            t.type("hello\r")
            t.shows("half")
            os.kill(t.pid, signal.SIGTSTP)
            wait_for(lambda: psutil.Process(t.pid).status() == psutil.STATUS_STOPPED, "it goes on")
            wait_for(lambda: is_restored(t), "the terminal is still the window's")
            server.call().go_on.set()
            os.kill(t.pid, signal.SIGCONT)
            t.shows("half and whole")
            t.shows("done in")
            assert not is_restored(t)
            t.type("\x11")
            assert t.leaves() == 0
            assert is_restored(t)


@pytest.mark.fault("G15", "U07")
def test_five_hundred_sizes(write_config: Write) -> None:
    with loopback(lambda call: call.well("An answer of some words.")) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.shows("Type a message")
            t.type("hello\r")
            t.shows("done in")
            chance = random.Random(500)
            for _ in range(500):
                t.process.setwinsize(chance.randint(1, 200), chance.randint(1, 500))
            t.process.setwinsize(1, 1)
            t.process.setwinsize(t.height, t.width)
            t.type("what")
            t.until(
                lambda lines: any("│ what" in line for line in lines) and any("An answer of" in line for line in lines)
            )
            t.type("\x11")
            assert t.leaves() == 0
            assert is_restored(t)
            assert t.strange() == []


RESIZED_AMID_IT = """
import fcntl, signal, struct, sys, termios
from tui.app.driver import Driver
from tui.cli import main

asked = Driver._get_terminal_size

def size(self):
    found = asked(self)
    if found == (90, 20):
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        signal.raise_signal(signal.SIGWINCH)
    return found

Driver._get_terminal_size = size
sys.exit(main(["-p", "guide"]))
"""
"""The window, where the size changes once more while it is asked for."""


def test_a_size_that_has_changed_again_by_the_time_it_is_told(write_config: Write) -> None:
    write_config("")
    t = Terminal([sys.executable, "-c", RESIZED_AMID_IT])
    try:
        t.shows("Type a message")
        t.process.setwinsize(20, 90)
        t.type("what")
        t.until(lambda lines: "│ what" in lines[-4] and lines[-1].startswith(" ⏎ Send"))
    finally:
        t.close()


@pytest.mark.fault("G18", "U04")
def test_a_paste_of_ten_megabytes_is_a_draft(write_config: Write, history: Path) -> None:
    lines = "".join(f"line {number} of what was pasted\n" for number in range(330_000))
    assert len(lines) > 10_000_000
    with loopback(lambda call: call.well("fine")) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.shows("Type a message")
            # From a thread: a terminal takes no more than a few kilobytes before they are read.
            pasting = threading.Thread(target=t.type, args=(f"\x1b[200~{lines}\x1b[201~the end",), daemon=True)
            pasting.start()
            t.shows("the end")
            pasting.join(10)
            t.type("\x11")
            assert t.leaves() == 0
            assert is_restored(t)
            assert server.calls == []
    with sqlite3.connect(history) as conn:
        ((draft,),) = conn.execute("SELECT draft FROM sessions").fetchall()
    conn.close()
    assert draft == f"{OPEN}{lines}{CLOSE}the end"


def test_what_is_typed_before_the_history_is_read_is_kept_by_a_window_that_ends_at_once(
    write_config: Write, history: Path
) -> None:
    write_config(profile_text("http://127.0.0.1:9"))
    with terminal() as t:
        t.shows("Type a message")
        t.type("typed at once\x11")
        assert t.leaves() == 0
    with sqlite3.connect(history) as conn:
        ((draft,),) = conn.execute("SELECT draft FROM sessions").fetchall()
    conn.close()
    assert draft == "typed at once"


@pytest.mark.fault("C22")
def test_authorities_that_are_never_read_keep_no_window_open(write_config: Write, tmp_path: Path) -> None:
    """As on a disk that is gone."""
    file = tmp_path / "authorities.pem"
    os.mkfifo(file)
    write_config(profile_text("https://127.0.0.1:9/v1"))
    with terminal(env={"SSL_CERT_FILE": str(file)}) as t:
        t.shows("Type a message")
        t.type("hello\r")
        t.shows("waiting")
        os.kill(t.pid, signal.SIGTERM)
        assert t.leaves() == 128 + signal.SIGTERM


@pytest.mark.fault("G15")
def test_without_colours(write_config: Write) -> None:
    with loopback(lambda call: call.well("An **answer**.")) as server:
        write_config(profile_text(server.url))
        with terminal(env={"NO_COLOR": "1", "TERM": ""}) as t:
            t.shows("Type a message")
            t.type("hello\r")
            t.shows("done in")
            t.type("\x11")
            assert t.leaves() == 0
            assert is_restored(t)
            greys = {tuple(found) for found in re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", t.output)}
            assert all(red == green == blue for red, green, blue in greys)


@pytest.mark.fault("U03", "G15", "G16")
@pytest.mark.parametrize(
    ("pipe", "env", "status", "says"),
    [
        ("< /dev/null", {}, 2, "Palaver's window needs a terminal."),
        ("2> {file}", {}, 2, "Palaver's window needs a terminal."),
        ("", {"TERM": "dumb"}, 2, "The terminal can only show lines (TERM is dumb)."),
    ],
)
def test_where_a_part_of_the_terminal_is_missing(
    tmp_path: Path, pipe: str, env: dict[str, str], status: int, says: str
) -> None:
    file = tmp_path / "file"
    t = Terminal(["sh", "-c", f"{sys.executable} -m tui {pipe.format(file=file)}"], env=env)
    try:
        assert t.ends(30) == status
        told = t.output.decode() + (file.read_text() if file.exists() else "")
        assert told.startswith(f"palaver: {says[:-1]} — use `palaver ask`")
        assert len(told.splitlines()) == 1
        assert "\x1b" not in told
    finally:
        t.close()


@pytest.mark.fault("U03")
def test_with_its_output_in_a_pipe_the_window_is_on_the_terminal(write_config: Write, tmp_path: Path) -> None:
    """Only the last line, with the command to come back, goes where standard output goes."""
    file = tmp_path / "out"
    with loopback(lambda call: call.well("fine")) as server:
        write_config(profile_text(server.url))
        t = Terminal(["sh", "-c", f"exec {sys.executable} -m tui > {file}"])
        try:
            t.shows("Type a message")
            t.type("hello\r")
            t.shows("done in")
            t.type("\x11")
            assert t.ends(30) == 0
            assert is_restored(t)
        finally:
            t.close()
    assert file.read_text() == "palaver chat-1\n"


@pytest.mark.fault("U07")
@pytest.mark.parametrize("inside", ["tmux", "screen"])
def test_inside_another_programs_terminal(write_config: Write, tmp_path: Path, inside: str) -> None:
    """It is left and taken up again there, and is on the screen as it was."""
    if shutil.which(inside) is None:
        pytest.skip(f"{inside} is not installed")
    folder = tmp_path / "inside"
    folder.mkdir(mode=0o700)
    window = f"{sys.executable} -m tui; echo status $?; read x"
    match inside:
        case "tmux":
            base = ["tmux", "-S", str(folder / "socket"), "-f", "/dev/null"]
            begin, leave = [*base, "new-session", "-s", "p", window], "\x02d"
            again, end = [*base, "attach"], [*base, "kill-server"]
        case _:
            base = ["screen", "-c", "/dev/null"]
            begin, leave = [*base, "-S", "p", "sh", "-c", window], "\x01d"
            again, end = [*base, "-r", "p"], [*base, "-S", "p", "-X", "quit"]
    env = {"SCREENDIR": str(folder), "TMUX": "", "STY": "", "LC_ALL": "C.UTF-8"}
    with loopback(lambda call: call.hold("half").event(completed("half and whole"))) as server:
        write_config(profile_text(server.url))
        first = Terminal(begin, env=env)
        try:
            first.shows("Type a message")
            first.type("hello\r")
            first.shows("half")
            first.type(leave)
            assert first.ends(30) == 0
            server.call().go_on.set()
            second = Terminal(again, env=env)
            try:
                second.shows("half and whole")
                second.shows("done in")
                second.type("\x11")
                second.shows("palaver chat-1")
                second.shows("status 0")
            finally:
                second.close()
        finally:
            subprocess.run(end, env=plain_environment(**env), capture_output=True, timeout=30, check=False)
            first.close()
    (turn,) = json.loads(palaver("sessions", "show", "chat-1", "--json").stdout)["messages"]
    assert (turn["status"], turn["text"]) == ("done", "half and whole")


@pytest.mark.fault("C14", "C15", "C22", "D20")
@pytest.mark.parametrize("is_open", [True, False], ids=["open", "being opened"])
def test_leaving_does_not_wait_for_a_history_another_program_keeps_to_itself(
    write_config: Write, history: Path, is_open: bool
) -> None:
    write_config(profile_text("http://127.0.0.1:9"))
    with Other(history) as other:
        other.do("open")
        if is_open:
            with terminal("work") as t:
                t.shows("Type a message")
                t.type("a draft")
                t.shows("a draft")
                other.do("hold")
                os.kill(t.pid, signal.SIGTERM)
                assert t.leaves() == 128 + signal.SIGTERM
        else:
            other.do("hold")
            with terminal("work") as t:
                t.shows("Type a message")
                os.kill(t.pid, signal.SIGTERM)
                assert t.leaves() == 128 + signal.SIGTERM


@pytest.mark.fault("C14", "C15", "C22", "D20")
@pytest.mark.parametrize("leaving", ["keys", "TERM", "HUP"])
def test_leaving_does_not_wait_for_a_history_others_have_locked(
    leaving: str, write_config: Write, history: Path
) -> None:
    """As `palaver history check` has it, of a long one."""
    with loopback(lambda call: call.hold("half an answer")) as server:
        write_config(profile_text(server.url))
        with terminal("work") as t:
            t.shows("Type a message")
            t.type("hello\r")
            t.shows("half an answer")
            t.type("and a draft")
            t.shows("and a draft")
            with history.with_name("history.db.lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if leaving == "keys":
                    t.type("\x11")
                    t.shows("Ctrl+Q again stops 1 answer")
                    t.type("\x11")
                    assert t.leaves() == 0
                else:
                    number = signal.Signals[f"SIG{leaving}"]
                    os.kill(t.pid, number)
                    assert t.leaves() == 128 + number
