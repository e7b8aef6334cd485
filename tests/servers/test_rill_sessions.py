"""Sessions on Rill: someone else's conversation found, read, forked; one's own shared up to a place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.driving import window
from tests.chatting import chatting
from tests.fake_server import Waits
from tests.servers import rill
from tests.servers.base import Running, serving
from tui.app.screens.picker import Picker
from tui.app.widgets.dialogs import TextDialog
from tui.client import Client
from tui.config import Profile
from tui.conversations import FORK_NOTICE
from tui.credentials import KeySource
from tui.errors import UsageError
from tui.model import Provenance


@pytest.fixture(autouse=True)
def tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ada", "bob"):
        monkeypatch.setenv(f"TOKEN_OF_{name.upper()}", name)


@pytest.fixture
def server() -> Iterator[Running]:
    with serving(rill.make()) as running:
        yield running


def profile(server: Running, person: str) -> Profile:
    return Profile("here", "rill", server.url, key=KeySource("env", (f"TOKEN_OF_{person.upper()}",)))


async def shared_by_ada(server: Running, folder: Path) -> str:
    """A conversation of two questions, of which others may read the first. Gives its id."""
    async with chatting(folder / "ada.db", profile(server, "ada")) as t:
        session = await t.chat.open("mine")
        await t.say(session, "one")
        await t.say(session, "two")
        return await t.chat.conversations.share(session, 1)


@pytest.mark.fault("L17")
async def test_rill_12_someone_elses_conversation_is_read_and_forked_but_not_gone_on_with(
    server: Running, history: Path, tmp_path: Path
) -> None:
    conversation_id = await shared_by_ada(server, tmp_path)
    async with chatting(history, profile(server, "bob")) as t:
        session = await t.chat.conversations.adopt("theirs", conversation_id, t.profile)
        assert session.provenance is Provenance.FOREIGN
        assert "someone else's" in session.notice
        assert [turn.prompt for turn in await t.chat.turns(session.id)] == ["one"]
        asked = len(server.service.asked)
        with pytest.raises(UsageError, match="someone else's"):
            t.chat.send(session, "three")
        assert len(server.service.asked) == asked
        forked = await t.chat.conversations.fork(session, "mine")
        assert (forked.session.provenance, forked.session.notice) == (Provenance.FORKED, FORK_NOTICE)
        turn = await t.say(forked.session, "three")
        assert turn.text == "2 prompts so far. You said: three"
        assert turn.conversation_id != conversation_id
        kept = await t.store.session(forked.session.id)
        assert kept is not None
        assert (kept.provenance, kept.notice) == (Provenance.FORKED, FORK_NOTICE)


async def test_rill_11_what_is_shared_is_remembered_and_marked(server: Running, history: Path) -> None:
    async with chatting(history, profile(server, "ada")) as t:
        session = await t.chat.open("mine")
        for prompt in ("one", "two", "three"):
            await t.say(session, prompt)
        for at, shared in ((2, 2), (None, 3)):
            await t.chat.conversations.share(session, at)
            now = await t.chat.session(session.id)
            assert now is not None
            assert now.shared == shared
        await t.chat.conversations.unshare(session)
        now = await t.chat.session(session.id)
        assert now is not None
        assert now.shared is None


async def test_rill_13_sharing_what_a_fork_brought_along_uses_its_new_names(
    server: Running, history: Path, tmp_path: Path
) -> None:
    conversation_id = await shared_by_ada(server, tmp_path)
    async with chatting(history, profile(server, "bob")) as t:
        session = await t.chat.conversations.adopt("theirs", conversation_id, t.profile)
        forked = (await t.chat.conversations.fork(session, "mine")).session
        await t.say(forked, "three")
        await t.chat.conversations.share(forked, 1)
    async with chatting(tmp_path / "other.db", profile(server, "ada")) as t:
        new_id = next(one for one in server.service.conversations if one != conversation_id)
        session = await t.chat.conversations.adopt("bobs", new_id, t.profile)
        assert [turn.prompt for turn in await t.chat.turns(session.id)] == ["one"]


async def test_rill_12_the_window_offers_to_fork_what_is_someone_elses(
    server: Running, history: Path, tmp_path: Path
) -> None:
    conversation_id = await shared_by_ada(server, tmp_path)
    async with window(history, profile(server, "bob"), client=Client(sleep=Waits())) as w:
        session = await w.talk.chat.conversations.adopt("theirs", conversation_id, profile(server, "bob"))
        w.screen.do(w.screen.visit(session))
        await w.until(lambda: w.label == "theirs")
        await w.until(lambda: "It is someone else's: fork it to go on." in w.said)
        await w.send("three")
        await w.until(lambda: isinstance(w.app.screen, TextDialog))
        assert w.screen.prompt.text == "three"
        await w.press("enter")
        await w.until(lambda: w.label == "theirs-2")
        assert FORK_NOTICE in w.said


async def test_rill_the_window_lists_conversations_shares_and_marks(server: Running, history: Path) -> None:
    async with window(history, profile(server, "ada"), client=Client(sleep=Waits())) as w:
        for prompt in ("one", "two"):
            await w.send(prompt)
            await w.until(lambda: not w.talk.chat.running() and "done in" in w.status)
        await w.send("/share")
        await w.until(lambda: "Shared up to here; what follows is not." in w.said)
        assert "the conversation's id is copied" in w.status
        await w.send("/unshare")
        await w.until(lambda: "Shared up to here" not in w.said)
        await w.send("/conversations")
        await w.until(lambda: isinstance(w.app.screen, Picker))
        await w.press("enter")
        await w.until(lambda: isinstance(w.app.screen, TextDialog))
        await w.press(*["backspace"] * 60)
        await w.type("found")
        await w.press("enter")
        await w.until(lambda: w.label == "found")
        assert "You said: two" in w.said
