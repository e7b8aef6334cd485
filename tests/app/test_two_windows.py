"""Two windows on one history: what one does the other shows, and one session is answered in by one of them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.app.driving import Window, window
from tests.app.test_queue import answering, ends_well, keys, waiting
from tests.chatting import answer_well, talk
from tests.loopback import Call, loopback, palaver, profile_text, start
from tests.terminal import Terminal, terminal
from tui import leases
from tui.app.run import Wish
from tui.app.screens.picker import Picker
from tui.app.transcript.view import TranscriptView
from tui.model import Scroll, TurnStatus

LINE = re.compile(r"Answering in another window since \d\d:\d\d · F5 takes over")


@asynccontextmanager
async def two(history: Path, label: str = "one") -> AsyncIterator[tuple[Window, Window]]:
    async with window(history, wish=Wish(label=label)) as here, window(history, wish=Wish(label=label)) as there:
        yield here, there


def line(w: Window) -> str:
    """What the input says of who else is answering."""
    return str(w.screen.prompt.border_subtitle or "")


def listed(w: Window) -> list[str]:
    """The sessions in the sidebar, from the top."""
    return [entry.session.name for entry in w.screen.sidebar._entries if entry.session is not None]


async def test_the_second_window_shows_who_answers_and_lets_no_one_else_begin(history: Path) -> None:
    async with two(history) as (here, there):
        await here.send("slow")
        await here.server.request()
        await there.until(lambda: line(there) and "slow" in there.transcript)
        # A prompt whose answer had not begun comes back where it was written, and nowhere else.
        await here.press("escape")
        await here.until(lambda: here.screen.prompt.text == "slow")
        await there.until(lambda: line(there) == "" and "stopped after" in there.status)
        assert there.screen.prompt.text == ""
        first = await answering(here)
        await there.until(lambda: "Once upon" in there.transcript and line(there))
        assert LINE.fullmatch(line(there))
        assert LINE.search(there.picture)
        assert there.screen.prompt.has_class("-held")
        assert "f5 Take over" in keys(there)
        assert "Take over" in [command.title for command in there.app.palette_commands()]
        assert (line(here), here.screen.prompt.has_class("-held")) == ("", False)
        assert "Take over" not in keys(here)
        # What is written there waits, and is no turn.
        await there.send("from there")
        await there.until(lambda: waiting(there) == ["↳ 1 from there"])
        await there.press("escape")
        assert here.talk.chat.is_running(here.screen.session.id)
        there.screen._change(TranscriptView.EditWanted(there.screen.transcript.turn_at(0)))
        await there.send("fast")
        await there.until(lambda: "answering elsewhere" in there.status)
        assert there.screen.prompt.text == "fast"
        ends_well(first)
        answer_well(await here.server.request(), "well", "resp_2")
        await there.until(lambda: line(there) == "" and "well" in there.transcript)
        assert not there.screen.prompt.has_class("-held")
        assert there.server.seen == []
        # From now on it is anyone's.
        await there.exchange("mine", "gladly", "resp_3")
        await here.until(lambda: "gladly" in here.transcript)


async def test_taking_over_stops_the_other_window_and_lets_this_one_send(history: Path) -> None:
    async with two(history) as (here, there):
        await there.send("/takeover")
        assert there.status.endswith("No one else is answering here")
        assert "Take over" not in [command.title for command in there.app.palette_commands()]
        first = await answering(here, "second")
        await there.until(lambda: line(there) and waiting(there) == ["↳ 1 second"])
        await there.send("/takeover")
        await there.until(lambda: "Taken over" in there.status)
        assert (line(there), there.screen.prompt.text) == ("", "")
        await first.closed.wait()
        for w in (here, there):
            await w.until(lambda w=w: leases.YIELDED in w.said and "Once upon" in w.said)
            await w.until(lambda w=w: waiting(w) == ["□ 1 second"])
        await there.exchange("mine", "gladly", "resp_2")
        await here.until(lambda: "gladly" in here.transcript)
        turns = await here.talk.chat.turns(here.screen.session.id)
        assert [(turn.prompt, turn.status) for turn in turns] == [
            ("first", TurnStatus.CANCELLED),
            ("mine", TurnStatus.DONE),
        ]
        assert len(here.server.seen) == 1


async def test_what_another_window_does_to_sessions_is_seen_in_the_sidebar_and_on_the_screen(history: Path) -> None:
    async with two(history) as (here, there):
        await here.exchange("hello", "hi")
        await there.until(lambda: "hi" in there.transcript)
        session = here.screen.session
        await here.talk.chat.set_title(session.id, "A title")
        await there.until(lambda: listed(there) == ["A title"])
        await here.talk.chat.rename(session.id, "two")
        await there.until(lambda: there.label == "two" and there.status.startswith("two"))
        await here.talk.chat.open("three")
        await there.until(lambda: sorted(listed(there)) == ["A title", "three"])
        # Put away, it is still shown, with what was being written, and can be brought back.
        there.screen.prompt.replace_text("half a thou")
        for key, done in (("f8", "Deleted"), ("f9", "Archived")):
            await here.press(key)
            await there.until(lambda: listed(there) == ["three"])
            assert there.status.endswith(f"{done} elsewhere; Alt+Z brings it back")
            assert "hi" in there.transcript
            assert there.screen.prompt.text == "half a thou"
            if key == "f8":
                await there.press("enter")
                await there.until(lambda: "in the trash" in there.status)
                assert there.screen.prompt.text == "half a thou"
                assert there.server.seen == []
            await there.press("alt+z")
            for w in (here, there):
                await w.until(lambda w=w: sorted(listed(w)) == ["A title", "three"])
            assert there.label == "two"
            await here.until(lambda: here.label == "three")
            await here.press("alt+down")
            await here.until(lambda: here.label == "two")


async def in_two_sessions(w: Window) -> str:
    """Say something in two sessions, of which the first, whose id this gives, is shown in the end."""
    await w.exchange("hello", "hi", "resp_1")
    first: str = w.screen.session.id
    await w.talk.chat.open("two")
    await w.until(lambda: sorted(listed(w)) == ["hello", "two"])
    return first


@pytest.mark.parametrize("key", ["f8", "f9"])
async def test_what_is_back_elsewhere_is_no_longer_to_be_brought_back(history: Path, key: str) -> None:
    async with window(history, wish=Wish(label="one")) as here, talk(history) as there:
        first = await in_two_sessions(here)
        await here.press(key)
        await here.until(lambda: here.status.endswith("Alt+Z brings it back"))
        await there.chat.restore(first, from_archive=True)
        await here.until(lambda: here.status.endswith("hello is back"))
        assert "Bring back" not in keys(here)
        await here.press("alt+z")
        assert here.label == "two"
        assert sorted(session.label for session in await there.chat.sessions()) == ["one", "two"]


async def test_what_is_deleted_elsewhere_can_still_be_brought_back_from_the_archive(history: Path) -> None:
    async with window(history, wish=Wish(label="one")) as here, talk(history) as there:
        first = await in_two_sessions(here)
        await here.press("f9")
        await here.until(lambda: here.status.endswith("Alt+Z brings it back"))
        deleted = await there.chat.delete(first)
        await here.until(lambda: deleted in here.talk.sessions)
        await here.press("alt+z")
        await here.until(lambda: here.status.endswith("hello is back"))
        assert here.label == "one"
        assert sorted(listed(here)) == ["hello", "two"]
        assert [session.archived_at for session in await there.chat.sessions()] == [None, None]
        await here.exchange("again", "gladly", "resp_2")


async def test_where_it_was_in_the_archive_before_it_is_so_again(history: Path) -> None:
    """Bringing it back undoes one step after the other; what is said of it is where it is then."""
    async with window(history, wish=Wish(label="one")) as here, talk(history) as there:
        first = await in_two_sessions(here)
        await here.press("f9")
        await here.until(lambda: here.label == "two")
        here.screen._go_to(await there.chat.session(first))
        await here.until(lambda: here.label == "one")
        await here.press("f8")
        await here.until(lambda: here.status.endswith("Deleted hello; Alt+Z brings it back"))
        await here.press("alt+z")
        await here.until(lambda: here.status.endswith("hello is back in the archive"))
        assert listed(here) == ["two"]
        assert [session.label for session in await there.chat.sessions() if session.archived_at] == ["one"]
        await there.chat.delete(first)
        await here.until(lambda: here.status.endswith("Deleted elsewhere; Alt+Z brings it back"))
        await there.chat.restore(first)
        await here.until(lambda: here.status.endswith("hello is back in the archive"))
        await here.press("alt+z")
        await here.until(lambda: here.status.endswith("hello is back"))
        await here.until(lambda: sorted(listed(here)) == ["hello", "two"])
        assert "Bring back" not in keys(here)


# Before a window has seen what others did


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its start on no window looks at what others do."""
    monkeypatch.setattr(leases, "FOLLOW_EVERY", 3600.0)
    monkeypatch.setattr(leases, "FOLLOW_CLOSELY", 3600.0)


@pytest.mark.usefixtures("unseen")
@pytest.mark.parametrize("key", ["f8", "f9"])
async def test_what_is_back_already_is_shown_as_it_is(history: Path, key: str) -> None:
    async with window(history, wish=Wish(label="one")) as here, talk(history) as there:
        first = await in_two_sessions(here)
        await here.press(key)
        await here.until(lambda: here.status.endswith("Alt+Z brings it back"))
        back = await there.chat.restore(first, from_archive=True)
        await here.press("alt+z")
        await here.until(lambda: here.status.endswith("hello is back already"))
        assert here.label == "one"
        assert await there.chat.session(first) == back
        assert sorted(session.label for session in await there.chat.sessions()) == ["one", "two"]


@pytest.mark.usefixtures("unseen")
async def test_two_windows_bring_the_same_session_back(history: Path) -> None:
    async with two(history) as (here, there):
        first = await in_two_sessions(here)
        for w in (here, there):
            await w.press("f8")
            await w.until(lambda w=w: w.status.endswith("Alt+Z brings it back"))
        await here.press("alt+z")
        await there.press("alt+z")
        await here.until(lambda: here.status.endswith("hello is back"))
        await there.until(lambda: there.status.endswith("is back already"))
        assert (here.label, there.label) == ("one", "one")
        assert (await here.talk.chat.find("one")).id == first


@pytest.mark.usefixtures("unseen")
@pytest.mark.parametrize(("key", "then"), [("f9", "delete"), ("f8", "archive")])
async def test_it_is_brought_back_from_wherever_it_is_by_now(history: Path, key: str, then: str) -> None:
    async with window(history, wish=Wish(label="one")) as here, talk(history) as there:
        first = await in_two_sessions(here)
        await here.press(key)
        await here.until(lambda: here.status.endswith("Alt+Z brings it back"))
        if then == "delete":
            await there.chat.delete(first)
        else:
            await there.chat.restore(first)
            await there.chat.archive(first)
        await here.press("alt+z")
        await here.until(lambda: here.status.endswith("hello is back"))
        assert here.label == "one"
        session = await there.chat.find("one")
        assert (session.id, session.deleted_at, session.archived_at) == (first, None, None)
        await here.exchange("again", "gladly", "resp_2")


async def test_a_label_given_away_meanwhile_is_told(history: Path) -> None:
    async with window(history, wish=Wish(label="one")) as here, talk(history) as there:
        await in_two_sessions(here)
        await here.press("f8")
        await here.until(lambda: here.status.endswith("Alt+Z brings it back"))
        await there.chat.open("one")
        await here.press("alt+z")
        await here.until(lambda: here.status.endswith("hello is back, under the label one-2"))
        assert here.label == "one-2"


@pytest.mark.parametrize(
    ("put_away", "meanwhile", "told"),
    [
        ("delete", "restore", "hello is back already"),
        ("archive", "unarchive", "hello is back already"),
        ("archive", "delete", "hello is back"),
        ("archive and delete", "restore", "hello is back in the archive already"),
        ("archive and delete", "nothing", "hello is back in the archive"),
    ],
)
async def test_the_archive_and_the_trash_may_have_changed_since_they_were_listed(
    history: Path, put_away: str, meanwhile: str, told: str
) -> None:
    async def do(what: str) -> None:
        match what:
            case "delete":
                await there.chat.delete(first)
            case "restore":
                await there.chat.restore(first)
            case "archive" | "unarchive":
                await there.chat.archive(first, what == "archive")

    async with window(history, wish=Wish(label="one")) as here, talk(history) as there:
        first = await in_two_sessions(here)
        await here.press("alt+up")
        await here.until(lambda: here.label == "two")
        for step in put_away.split(" and "):
            await do(step)
        here.screen._actions.list_hidden()
        await here.until(lambda: isinstance(here.app.screen, Picker))
        await do(meanwhile)
        await here.press("enter")
        await here.until(lambda: here.status.endswith(told))
        assert here.label == "one"
        session = await there.chat.session(first)
        assert (session.label, session.deleted_at) == ("one", None)
        assert (session.archived_at is not None) is ("archive" in told)


async def test_a_prompt_that_was_refused_meanwhile_does_not_hide_the_answer(history: Path) -> None:
    async with two(history) as (here, there):
        exchange = await answering(here)
        await there.until(lambda: line(there) and "answering" in there.status)
        # As a script does, which asks for the session all the same.
        there.talk.chat.send(there.screen.session, "and me?")
        for w in (here, there):
            await w.until(lambda w=w: "in another window" in w.transcript)
            await w.until(lambda w=w: "answering" in w.status)
            assert "failed after" not in w.status
            await w.until(lambda w=w: f"◌ {w.screen.session.name}" in w.picture)
        ends_well(exchange)
        await here.until(lambda: not here.talk.chat.running())
        await here.until(lambda: "answering" not in here.status)


# In terminals


def answer(call: Call) -> None:
    """Some answers are held until the test says so, which it never does."""
    if "hold" in call.prompt:
        call.hold("Once upon a time")
    else:
        call.well(f"You said: {call.prompt}", f"resp_{len(call.prompt)}")


def shown(t: Terminal, *texts: str) -> None:
    t.until(lambda lines: all(any(text in line for line in lines) for text in texts))


def test_two_windows_scripts_and_commands_in_one_session(write_config: Callable[[str], Path]) -> None:
    with loopback(answer) as server:
        write_config(profile_text(server.url))
        with terminal("work") as here, terminal("work") as there:
            for t in (here, there):
                t.shows("Type a message")
            here.type("hold it\r")
            shown(here, "Once upon a time")
            shown(there, "Once upon a time", "Answering in another window since", "F5 takes over")
            refused = palaver("ask", "-s", "work", "me too")
            assert refused.returncode == 8
            assert f"answering in another window (process {here.pid})" in refused.stderr
            # From a window, by the key; then from that window, by a script.
            there.type("\x1b[15~")
            shown(there, "Taken over")
            shown(here, leases.YIELDED)
            there.type("hold mine\r")
            shown(here, "Answering in another window since")
            done = palaver("ask", "-s", "work", "--take-over", "now me")
            assert (done.returncode, done.stdout.strip()) == (0, "You said: now me")
            assert f"taken over from process {there.pid}; what came there is kept" in done.stderr
            for t in (here, there):
                shown(t, "You said: now me")
                t.until(lambda lines: not any("takes over" in line for line in lines))
            # From a script, by a command.
            asking = start("ask", "-s", "work", "hold this")
            shown(there, "Answering for palaver ask since")
            there.until(lambda lines: "Once upon" in "".join(lines).rpartition("hold this")[2])
            taken = palaver("sessions", "takeover", "work")
            said = f"work is free: process {asking.pid} was stopped, and what came is kept\n"
            assert (taken.returncode, taken.stdout, taken.stderr) == (0, said, "")
            out, err = asking.communicate(timeout=30)
            assert (asking.returncode, out) == (7, b"Once upon a time\n")
            assert leases.YIELDED.encode() in err
            assert palaver("sessions", "takeover", "work").stdout == "work is free: no one is answering in it\n"
            palaver("sessions", "rename", "work", "play")
            for t in (here, there):
                t.until(lambda lines: any(line.lstrip().startswith("play ·") for line in lines))
            palaver("sessions", "delete", "play")
            for t in (here, there):
                shown(t, "Deleted elsewhere")
            palaver("sessions", "restore", "play")
            for t in (here, there):
                shown(t, "hold it is back")
            here.type("back again\r")
            shown(there, "You said: back again")
    prompts = [one["prompt"] for one in json.loads(palaver("sessions", "show", "play", "--json").stdout)["messages"]]
    assert prompts == ["hold it", "me too", "hold mine", "now me", "hold this", "back again"]


def test_take_over_is_for_a_session() -> None:
    refused = palaver("ask", "--take-over", "hello")
    assert refused.returncode == 2
    assert "--take-over is for a session — name it with -s" in refused.stderr


async def test_where_two_are_sent_at_once_both_are_shown(history: Path) -> None:
    async with two(history) as (here, there):
        await here.exchange("zero", "nought")
        await there.until(lambda: "nought" in there.transcript)
        here.screen.prompt.replace_text("mine here")
        there.screen.prompt.replace_text("mine there")
        await here.pilot.press("enter")
        await there.pilot.press("enter")
        asked = await here.server.request()
        answer_well(asked, "well", "resp_2")
        for w in (here, there):
            await w.until(lambda w=w: "mine here" in w.transcript and "well" in w.transcript)
        await there.until(lambda: "mine there" in there.transcript or there.screen.prompt.text == "mine there")


async def test_a_draft_is_left_alone_by_the_window_that_only_scrolls(history: Path) -> None:
    long = "\n\n".join(f"line {number}" for number in range(100))
    async with window(history, wish=Wish(label="one")) as there:
        await there.exchange("tell", long)
        async with window(history, wish=Wish(label="one")) as here:
            await here.type("a long thought")
            await until_kept(here, "a long thought")
            before = await place_on_disk(there)
            await there.press("pageup")
            while await place_on_disk(there) == before:
                await there.pilot.pause(0.05)
            await until_kept(there, "a long thought")


async def test_a_draft_that_was_sent_does_not_come_back_by_the_window_that_still_shows_it(history: Path) -> None:
    long = "\n\n".join(f"line {number}" for number in range(100))
    async with window(history, wish=Wish(label="one")) as here:
        await here.exchange("tell", long)
        await here.type("send me once")
        await until_kept(here, "send me once")
        async with window(history, wish=Wish(label="one")) as there:
            await there.until(lambda: there.screen.prompt.text == "send me once")
            await here.press("enter")
            answer_well(await here.server.request(), "done", "resp_2")
            await until_kept(here, "")
            before = await place_on_disk(there)
            await there.press("pageup")
            while await place_on_disk(there) == before:
                await there.pilot.pause(0.05)
            await until_kept(there, "")


async def until_kept(w: Window, draft: str) -> None:
    """Wait until the session shown has that draft on disk."""
    async with asyncio.timeout(20):
        while (kept := await w.talk.store.session(w.screen.session.id)) is None or kept.draft != draft:
            await w.pilot.pause(0.05)


async def place_on_disk(w: Window) -> Scroll:
    kept = await w.talk.store.session(w.screen.session.id)
    assert kept is not None
    return kept.scroll
