"""The window in a real terminal: what it writes, what it hears, how it leaves."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_server import completed, delta
from tests.loopback import Call, ignored, loopback, palaver, profile_text
from tests.terminal import Terminal, is_restored, terminal

Write = Callable[[str], Path]

PAYLOADS = [
    "\x1b]52;c;UFdORUQ=\x07 clipboard",
    "\x1b]0;title\x07 title",
    "\x1b[2J\x1b[H erase",
    "\x1b[?1049l screen",
    "\x9b31m eight bit",
    "\x1bP$q\x1b\\ device",
    "<http://a/%1b]52;c;UFdORUQ=%1b%5c> decoded",
    "&#x1b;]0;x&#7; &#x202e; entities",
    "\u202egpj.exe bidi",
    "\U000e0041\U000e0042 tags",
]


def quit_at_once(t: Terminal) -> int:
    """Leave without being asked whether to, as one is while an answer is coming.

    Its words may be on the screen while the line below still says that the program waits for them.
    """
    t.until(lambda lines: not any("answering" in line or "waiting" in line for line in lines))
    t.type("\x11")
    return t.ends()


def test_it_opens_answers_and_leaves(write_config: Write) -> None:
    with loopback(lambda call: call.well("Nice to meet you.")) as server, terminal() as t:
        write_config(profile_text(server.url))
        t.shows("Type a message")
        t.type("hello\r")
        t.shows("Nice to meet you.")
        t.shows("done in")
        assert quit_at_once(t) == 0
        assert is_restored(t)
        assert t.output.rstrip().endswith(b"palaver chat-1")
        assert t.strange() == []


def test_what_is_typed_before_the_first_frame_is_not_lost(write_config: Write) -> None:
    with loopback(lambda call: call.well("Fine.")) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.type("typed ahead\rand more")
            t.shows("Fine.")
            t.shows("and more")
            assert server.calls[0].prompt == "typed ahead"
            quit_at_once(t)


@pytest.mark.parametrize("is_seen", [False, True], ids=["before the first frame", "right after it"])
def test_keys_meant_for_a_session_wait_until_it_is_there(write_config: Write, is_seen: bool) -> None:
    """Also where there is something to be said of the settings."""
    with loopback(lambda call: call.well(f"You said: {call.prompt}")) as server:
        write_config(profile_text(server.url, more='[keys]\n"no.such" = "f5"\n"session.rename" = "f2,f5"\n'))
        with terminal() as t:
            t.until(lambda _: b"\x1b[?1049h" in t.output)
            if is_seen:
                t.shows("Type a message")
            t.type("/profile here\r\x1bOQsecond\rhello\rand more")
            t.shows("You said: hello")
            t.shows("│ and more ")
            quit_at_once(t)
    (turn,) = json.loads(palaver("sessions", "show", "second", "--json").stdout)["messages"]
    assert turn["prompt"] == "hello"


@pytest.mark.fault("U04")
def test_keys_typed_in_one_go_belong_to_what_the_keys_before_them_opened(write_config: Write) -> None:
    with loopback(lambda call: call.well(f"You said: {call.prompt}")) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.type("one\r\x0etwo\rthr")
            t.shows("You said: two")
            t.shows("│ thr ")
            t.type("ee\x0fone\rfour\r")
            t.shows("You said: four")
            t.until(lambda lines: not any("│ thr" in line for line in lines))
            t.type("\x1b[1;3B")
            t.shows("│ three ")
            t.shows("You said: two")
            t.type("\x1bOQsecond\rand\x1bOSmore")
            t.shows("second · ")
            t.shows("│ threeandmore ")
            quit_at_once(t)
    shown = {label: json.loads(palaver("sessions", "show", label, "--json").stdout) for label in ("chat-1", "second")}
    assert [turn["prompt"] for turn in shown["chat-1"]["messages"]] == ["one", "four"]
    assert [turn["prompt"] for turn in shown["second"]["messages"]] == ["two"]


@pytest.mark.fault("U04")
def test_a_flood_of_mouse_and_keys_amid_an_answer_sends_nothing_twice(write_config: Write) -> None:
    """The mouse, a key that repeats and a paste, all in one go while an answer is coming; then Enter, twice."""
    mouse = "".join(f"\x1b[<35;{1 + number % 90};{1 + number % 25}M" for number in range(5000))
    keys, pasted = "k" * 500, "pasted\rwith lines\r"

    def answer(call: Call) -> None:
        if call.prompt == "one":
            call.hold("half").event(completed("half and whole"))
        else:
            call.well("The other answer.")

    with loopback(answer) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.shows("Type a message")
            t.type("one\r")
            t.shows("half")
            flood = f"{mouse}{keys}\x1b[200~{pasted}\x1b[201~{mouse}\r\r"
            # From a thread: a terminal takes no more than a few kilobytes before they are read.
            typing = threading.Thread(target=t.type, args=(flood,), daemon=True)
            typing.start()
            t.shows("kkk…")
            typing.join(30)
            assert len(server.calls) == 1
            server.call().go_on.set()
            t.shows("The other answer.")
            quit_at_once(t)
    (_, other) = json.loads(palaver("sessions", "show", "chat-1", "--json").stdout)["messages"]
    assert [call.prompt for call in server.calls] == ["one", other["prompt"]]
    assert other["prompt"] == f"{keys}{pasted}".replace("\r", "\n")


def test_alt_types_nothing_and_with_enter_makes_a_line(write_config: Write) -> None:
    with loopback(lambda call: call.well("Fine.")) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.shows("Type a message")
            t.type("a\x1bx\x1b\rb\x1bYc\r")
            t.shows("Fine.")
            assert server.calls[0].prompt == "a\nbc"
            quit_at_once(t)


def test_escape_is_heard_whatever_follows_it_at_once(write_config: Write) -> None:
    with loopback(
        lambda call: call.hold("half") if call.prompt == "one" else call.well(f"You said: {call.prompt}")
    ) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.type("one\r")
            t.shows("half")
            t.type("\x1b\x0etwo\r")
            t.shows("You said: two")
            t.type("\x1b\x1b[1;3B")
            t.shows("Cancelled; what came is kept.")
            quit_at_once(t)


@pytest.mark.fault("T01", "T02", "T03", "T04", "T05", "T13", "T14", "T19", "T22", "K05")
def test_nothing_a_server_says_reaches_the_terminal_raw(write_config: Write) -> None:
    text = "\n\n".join(PAYLOADS)

    def answer(call: Call) -> None:
        if "fail" in call.prompt:
            call.answer(400, {"error": {"message": text}})
        else:
            call.head()
            for char in text:
                call.event(delta(char))
            call.event(completed(text, model=PAYLOADS[0]))

    with loopback(answer) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.shows("Type a message")
            t.type("hello\r")
            t.shows("done in")
            t.shows("clipboard")
            t.type("fail\r")
            t.shows("failed after")
            t.type("\x0f")
            t.shows("Switch session")
            t.type("\x1b")
            t.until(lambda lines: "Switch session" not in "".join(lines))
            quit_at_once(t)
            assert t.strange() == []
            assert b"\x1b]52" not in t.output
            assert b"\x1b]0" not in t.output
            assert t.output.count(b"\x1b[?1049l") == 1


@pytest.mark.fault("C14", "C15", "C16")
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)],
)
def test_signals_restore_the_terminal_and_keep_what_came(write_config: Write, number: int, status: int) -> None:
    with loopback(lambda call: call.hold("half an answer")) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.shows("Type a message")
            t.type("hello\r")
            t.shows("half an answer")
            assert not is_restored(t)
            os.kill(t.pid, number)
            assert t.leaves() == status
            assert is_restored(t)
    (turn,) = json.loads(palaver("sessions", "show", "chat-1", "--json").stdout)["messages"]
    kept = "cancelled" if number == signal.SIGINT else "interrupted"
    assert (turn["status"], turn["text"]) == (kept, "half an answer")


@pytest.mark.fault("C15")
def test_a_terminal_that_is_closed_ends_it(write_config: Write) -> None:
    with loopback(lambda call: call.hold("half an answer")) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.shows("Type a message")
            t.type("hello\r")
            t.shows("half an answer")
            t.hang_up()
            t.leaves()
    (turn,) = json.loads(palaver("sessions", "show", "chat-1", "--json").stdout)["messages"]
    assert (turn["status"], turn["text"]) == ("interrupted", "half an answer")


@pytest.mark.fault("C14", "C15")
def test_signals_it_was_started_to_ignore_do_not_end_it_and_the_end_of_its_terminal_does(write_config: Write) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)
    with loopback(lambda call: call.hold("half an answer")) as server:
        write_config(profile_text(server.url))
        with ignored(*numbers):
            t = Terminal([sys.executable, "-m", "tui"])
        try:
            t.shows("Type a message")
            for number in numbers:
                os.kill(t.pid, number)
            t.type("hello\r")
            t.shows("half an answer")
            t.hang_up()
            assert t.leaves() == 128 + signal.SIGHUP
        finally:
            t.close()
    (turn,) = json.loads(palaver("sessions", "show", "chat-1", "--json").stdout)["messages"]
    assert (turn["status"], turn["text"]) == ("interrupted", "half an answer")


@pytest.mark.fault("U03", "G16")
def test_it_says_so_where_there_is_no_terminal() -> None:
    done = palaver()
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs a terminal" in done.stderr
    assert "palaver ask" in done.stderr


@pytest.mark.fault("C17", "U07")
def test_it_is_suspended_and_comes_back(write_config: Write) -> None:
    with loopback(lambda call: call.hold("half").event(completed("half and whole"))) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.shows("Type a message")
            t.type("hello\r")
            t.shows("half")
            os.kill(t.pid, signal.SIGSTOP)
            server.call().go_on.set()
            os.kill(t.pid, signal.SIGCONT)
            t.resize(90, 28)
            os.kill(t.pid, signal.SIGWINCH)
            t.shows("half and whole")
            quit_at_once(t)


@pytest.mark.fault("U07", "G15")
def test_a_storm_of_sizes(write_config: Write) -> None:
    with loopback(lambda call: call.well("An answer of some words.")) as server:
        write_config(profile_text(server.url))
        with terminal() as t:
            t.shows("Type a message")
            t.type("hello\r")
            t.shows("An answer of some words.")
            for number in range(60):
                t.resize(1 + number * 7 % 200, 1 + number * 5 % 60)
            t.resize(100, 30)
            t.until(
                lambda lines: any("An answer of some words." in line for line in lines) and "help" in lines[-1].lower()
            )
            # Between two sizes the model of the screen shows neither whole: this line tells that the answer is over.
            t.until(lambda lines: "done in" in lines[-2])
            assert quit_at_once(t) == 0


@pytest.mark.fault("C21", "K03")
def test_our_own_mistake_is_told_in_a_line(
    write_config: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A widget that raises: one line, a report without the values of variables, status 1, the terminal restored."""
    code = (
        "import sys, tui.app.screens.help as s\n"
        "def broken(*a):\n    secret = 'sk-CANARY-77'\n    raise ValueError('broken on purpose')\n"
        "s.HelpScreen = type('H', (), {'__init__': broken})\n"
        "from tui.cli import main\nsys.exit(main([]))\n"
    )
    script = tmp_path / "broken.py"
    script.write_text(code)
    import sys

    with loopback(lambda call: call.well("Fine.")) as server:
        write_config(profile_text(server.url))
        t = Terminal([sys.executable, str(script)], env={"PYTHONPATH": str(Path(__file__).parents[2])})
        try:
            t.shows("Type a message")
            t.type("\x1bOP")
            assert t.ends() == 1
            assert is_restored(t)
            last = t.output.rpartition(b"\x1b")[2]
            assert b"an internal error (ValueError); a report is in" in last
            assert b"Traceback" not in t.output
        finally:
            t.close()
    (report,) = (tmp_path / "palaver" / "log").glob("crash-*.txt")
    text = report.read_text()
    assert "broken on purpose" in text
    assert "CANARY" not in text.replace("secret = 'sk-CANARY-77'", "")
    assert report.stat().st_mode & 0o777 == 0o600
