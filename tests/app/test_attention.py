"""Who looks elsewhere is told, once, and only of what no one saw."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from textual import events

from tests.app.driving import Window, window
from tests.app.test_two_windows import two
from tests.fake_server import completed
from tests.loopback import loopback, profile_text
from tests.payloads import payloads
from tests.sequences import read
from tests.terminal import terminal
from tui.app import attention
from tui.app.attention import Attention
from tui.app.driver import Writer
from tui.app.notification import BELL, LONGEST, notification
from tui.chat import TurnChanged
from tui.model import Failure, Item, ItemKind, ItemState, Turn, TurnStatus
from tui.text import one_line

Write = Callable[[str], Path]

ITERM = {"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}
QUESTION = Item("q", ItemKind.APPROVAL, name="rm", state=ItemState.OPEN)
ANSWERED = replace(QUESTION, state=ItemState.APPROVED)
RUNNING = Turn("t1", "s1", 0, "p", TurnStatus.STREAMING)
DONE = replace(RUNNING, status=TurnStatus.DONE)
FAILED = replace(RUNNING, status=TurnStatus.FAILED, error=Failure("refused", "no"))


# What the terminal is sent


@pytest.mark.parametrize(
    ("environ", "begins"),
    [
        (ITERM, "\x1b]9;"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "\x1b]9;"),
        ({"TERM": "xterm-kitty"}, "\x1b]9;"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "\x1b]9;"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "\x1b]9;"),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, "\x1b]9;"),
        ({"TERM": "foot-extra"}, "\x1b]777;"),
        ({"TERM": "xterm-256color"}, BELL),
        ({}, BELL),
        ({"TERM": "linux"}, BELL),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, BELL),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode", "KITTY_WINDOW_ID": "1"}, BELL),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600", "KITTY_WINDOW_ID": "1"}, BELL),
        ({**ITERM, "TMUX": "/tmp/tmux-1/default,1,0"}, BELL),
        ({"TERM": "tmux-256color", "LC_TERMINAL": "iTerm2"}, BELL),
        ({"TERM": "screen.xterm-kitty"}, BELL),
        ({"TERM": "xterm-kitty", "STY": "1.p"}, BELL),
    ],
)
def test_a_terminal_gets_what_it_knows(environ: dict[str, str], begins: str) -> None:
    sent = notification("work", "auto", environ)
    assert sent == BELL if begins == BELL else sent.startswith(begins)
    assert notification("work", "bell", environ) == BELL
    assert notification("work", "off", environ) == ""


@pytest.mark.fault("T02", "T12")
@pytest.mark.parametrize("environ", [ITERM, {"TERM": "foot"}], ids=["OSC 9", "OSC 777"])
def test_a_name_is_only_text_in_it(environ: dict[str, str]) -> None:
    """Neither does it end the notification, nor is it taken for a command of the terminal's."""
    names = [*payloads(), "4;3;0", "x" * 1000, "\x9c\x07\x1b\\"]
    for name in names:
        sent = notification(name, "auto", environ)
        reading = read(sent.encode())
        assert (reading.wrong, reading.notified) == ([], [one_line(name, LONGEST)]), name
    assert notification("4;3;0", "auto", ITERM) == "\x1b]9;Palaver: 4;3;0\x07"


def test_it_is_written_as_it_is() -> None:
    """Also with letters in it that are put into their place elsewhere."""
    name = "e\u0301 \U0001f469\u200d\U0001f52c \U0001f1e9\U0001f1ea"
    for environ in (ITERM, {"TERM": "foot"}, {}):
        file = io.StringIO()
        writer = Writer(file)
        writer.start()
        writer.write(sent := notification(name, "auto", environ))
        writer.stop()
        assert file.getvalue() == sent


# When


@dataclass
class Around:
    """Someone who looks somewhere, at some time."""

    shown: str = "s1"
    focus: bool = True
    runs: bool = True
    now: float = 0.0
    called: list[str] = field(default_factory=list)

    def watching(self) -> Attention:
        return Attention(
            runs=lambda session_id: self.runs and session_id == "s1",
            shows=lambda session_id: session_id == self.shown,
            has_focus=lambda: self.focus,
            call=self.called.append,
            clock=lambda: self.now,
        )


def calls(around: Around, *turns: Turn, takes: float = 60.0) -> int:
    """How often is called for the states of a turn, the time between two of which is `takes` in seconds."""
    watching = around.watching()
    for turn in turns:
        watching.changed(TurnChanged(turn))
        around.now += takes
    return len(around.called)


@pytest.mark.parametrize("last", [DONE, FAILED, replace(FAILED, status=TurnStatus.INTERRUPTED)])
def test_what_ends_is_told_where_no_one_sees_it(last: Turn) -> None:
    assert calls(Around(), RUNNING, last) == 0
    assert calls(Around(shown="s2"), RUNNING, last) == 1
    assert calls(Around(focus=False), RUNNING, last) == 1
    assert calls(Around(focus=False), RUNNING, RUNNING, last, last) == 1


def test_what_was_short_is_told_only_without_the_focus() -> None:
    for takes, told in ((attention.LONG - 0.1, 0), (attention.LONG, 1)):
        assert calls(Around(shown="s2"), RUNNING, DONE, takes=takes) == told
    assert calls(Around(shown="s2", focus=False), RUNNING, DONE, takes=0.1) == 1


@pytest.mark.parametrize("status", [TurnStatus.CANCELLED, TurnStatus.INTERRUPTED])
def test_what_the_user_stopped_is_not_told(status: TurnStatus) -> None:
    assert calls(Around(focus=False), RUNNING, replace(RUNNING, status=status)) == 0


def test_a_question_is_told_once_and_the_end_after_its_answer_again() -> None:
    asks, goes_on = replace(RUNNING, items=(QUESTION,)), replace(RUNNING, items=(ANSWERED,))
    ends_asking, ends = replace(DONE, items=(QUESTION,)), replace(DONE, items=(ANSWERED,))
    assert calls(Around(focus=False), RUNNING, asks, asks) == 1
    assert calls(Around(focus=False), RUNNING, asks, ends_asking) == 1
    assert calls(Around(focus=False), RUNNING, ends_asking, ends) == 1
    assert calls(Around(focus=False), RUNNING, asks, goes_on, ends) == 2
    assert calls(Around(focus=False), RUNNING, asks, ends) == 2


def test_a_question_that_was_seen_is_told_once_the_turn_has_ended_unseen() -> None:
    around = Around()
    watching = around.watching()
    asks = replace(RUNNING, items=(QUESTION,))
    watching.changed(TurnChanged(asks))
    around.focus = False
    watching.changed(TurnChanged(asks))
    assert around.called == []
    watching.changed(TurnChanged(replace(DONE, items=(QUESTION,))))
    assert around.called == ["s1"]


def test_what_runs_elsewhere_is_not_told() -> None:
    assert calls(Around(focus=False, runs=False), RUNNING, DONE) == 0


# In the window


def heard(w: Window, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the window tells its terminal from here on."""
    sent: list[str] = []
    monkeypatch.setattr(w.app._driver, "write", sent.append)
    return sent


def is_iterm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMUX", "STY", "ZELLIJ"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ITERM.items():
        monkeypatch.setenv(name, value)


async def test_a_session_that_is_not_shown_calls_by_its_name(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_iterm(monkeypatch)
    monkeypatch.setattr(attention, "LONG", 0.0)
    async with window(history) as w:
        sent = heard(w, monkeypatch)
        await w.exchange("seen", "fine")
        await w.send("Tell me \x1b]0;x\x07 more")
        exchange = await w.server.request()
        session = w.screen.session
        assert session is not None
        await w.talk.chat.set_title(session.id, "Of \x1b]0;x\x07 titles")
        await w.press("ctrl+n")
        await w.until(lambda: w.label == "chat-2")
        assert sent == []
        exchange.respond().event(completed("more")).end()
        await w.until(lambda: sent)
        assert sent == ["\x1b]9;Palaver: Of ␛]0;x␇ titles\x07"]


async def test_only_the_window_that_sends_calls(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two(history) as (here, there):
        sent, sent_there = heard(here, monkeypatch), heard(there, monkeypatch)
        await here.send("hello")
        exchange = await here.server.request()
        for w in (here, there):
            w.app.post_message(events.AppBlur())
            await w.until(lambda w=w: not w.app.app_focus)
        exchange.respond().event(completed("There it is.")).end()
        await there.until(lambda: "There it is." in there.transcript and not there.talk.chat.lease("one"))
        await here.until(lambda: sent)
        await there.until(lambda: "done" in there.picture)
        assert len(sent) == 1
        assert sent_there == []


async def test_another_program_that_has_the_terminal_is_not_disturbed_nor_who_wants_it_quiet(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with window(history) as w:
        sent = heard(w, monkeypatch)
        session = w.screen.session
        assert session is not None
        with w.app.lend_terminal():
            w.app._call(session.id)
        assert sent == []
        w.app._call(session.id)
        assert len(sent) == 1
        w.talk.chat.config = replace(w.talk.chat.config, notify="off")
        w.app._call(session.id)
        assert len(sent) == 1


# In a terminal


def test_a_terminal_without_the_focus_is_told_once(write_config: Write) -> None:
    env = dict.fromkeys(("TMUX", "STY", "ZELLIJ", "KITTY_WINDOW_ID", "LC_TERMINAL", "VTE_VERSION"), "")
    with loopback(lambda call: call.hold("half").event(completed("half and whole"))) as server:
        write_config(profile_text(server.url))
        with terminal(env={**env, **ITERM}) as t:
            t.shows("Type a message")
            t.type("hello\r")
            t.shows("half")
            t.type("\x1b[O")
            # The keys of an input that has no focus any more.
            t.until(lambda lines: "Send" not in lines[-1])
            server.call().go_on.set()
            t.shows("done in")
            t.type("\x1b[I")
            t.until(lambda lines: "Send" in lines[-1])
            t.type("\x11")
            assert t.leaves() == 0
            reading = read(t.output)
            assert (reading.notified, reading.wrong) == (["hello"], [])
