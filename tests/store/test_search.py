"""Searching a history: what is found, in which order, and that a search never stands in anyone's way."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.conftest import Disk
from tests.store.histories import NOW, a_session, a_turn, opened, said, told
from tui.found import Found, Hit
from tui.model import Session, TitleSource, TurnStatus
from tui.query import parse_query
from tui.store import Store, search
from tui.store.sql import messages


async def found(store: Store, text: str, limit: int = 50) -> Found:
    """Everything that is found."""
    everything = Found()
    async with aclosing(store.finds.search(parse_query(text, NOW), limit=limit)) as steps:
        async for step in steps:
            everything = step
    assert everything.is_done
    return everything


async def hits(store: Store, text: str, limit: int = 50) -> list[tuple[str, int, str]]:
    """The label, the turn and the role of each hit."""
    sessions = (await found(store, text, limit)).sessions
    return [(one.label, hit.depth, hit.role) for one in sessions for hit in one.hits]


def marked(hit: Hit) -> list[str]:
    return [hit.passage[start:end] for start, end in hit.marks]


async def three(store: Store) -> tuple[Session, Session, Session]:
    """Three sessions to search."""
    one, two, three = (
        a_session("one"),
        a_session("two"),
        a_session("three", title="All about journals", title_source=TitleSource.USER),
    )
    await told(store, one, "What is a journal?", "A file that says what to undo.", created_at=NOW - 90_000)
    await told(store, two, "Say something", "The journal, the journal and the journal again.", created_at=NOW - 50)
    await told(store, three, "hello", "Power loss and how to live with it: Grüße aus Köln", created_at=NOW)
    return one, two, three


async def test_titles_come_first_then_prompts_then_answers(history: Path) -> None:
    async with opened(history) as store:
        await three(store)
        sessions = (await found(store, "journal")).sessions
        assert [(one.label, one.is_named, one.count) for one in sessions] == [
            ("three", True, 0), ("one", False, 1), ("two", False, 1),
        ]  # fmt: skip
        assert sessions[1].hits[0].created_at == NOW - 90_000
        assert marked(sessions[1].hits[0]) == ["journal"]
        assert marked(sessions[2].hits[0]) == ["journal"] * 3


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("jour", ["three", "one", "two"]),
        ('"jour"', []),
        ('"power loss"', ["three"]),
        ('"loss power"', []),
        ("loss power", ["three"]),
        ("gruße koln", ["three"]),
        ("journal undo", []),
        ("role:user journal", ["one"]),
        ("role:assistant journal", ["two"]),
        ("label:two journal", ["two"]),
        ("label:t journal", ["two"]),
        ("label:nope journal", []),
        ("before:2027-01-16 journal", ["three", "one", "two"]),
        ("before:2027-01-15 journal", ["one"]),
        ("after:2027-01-15 journal role:assistant", ["two"]),
        ("role:user", ["three", "two", "one"]),
        ("x", []),
        ("nothing at all", []),
        ("", []),
    ],
)
async def test_words_prefixes_phrases_conditions(history: Path, query: str, labels: list[str]) -> None:
    async with opened(history) as store:
        await three(store)
        assert [one.label for one in (await found(store, query)).sessions] == labels


@pytest.mark.fault("L06")
@pytest.mark.parametrize(
    "text",
    [
        "'; drop table--", "%", "_", '"', "[x]", '"""', "NEAR(a b)", "a NEAR b", "NOT x", "AND", "OR OR", "text:wal", "*",
        "^a", "-a", "a + b", "(", "{a b}: c", "a" * 5000, "\x00", "é́́", "\ud800", "label:", 'label:"', "!%_!", "💥" * 50,
        "items_fts", "a b " * 500, "\u202e", "\U0001e900\U0001e901",
    ],
)  # fmt: skip
async def test_any_text_can_be_searched_for(history: Path, text: str) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "100% sure_thing [x] 💥 'quoted'", "fine")
        await found(store, text)
        assert store.health.message == ""
        assert await hits(store, "sure") == [("work", 0, "user")]


@pytest.mark.parametrize("text", ["日本語", "語の", "本", "🦊", "C++", "->", "ภาษาไทย", "😀 🦊"])
async def test_what_is_not_parted_by_blanks_is_found_within_the_text(history: Path, text: str) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "x", "これは日本語のテスト 😀 🦊 in C++ with p->x at 100% and ภาษาไทย")
        await told(store, session, "y", "C and 100 apples")
        assert await hits(store, f'"{text}"') == [("work", 0, "assistant")]
        assert await hits(store, f"with {text}") == [("work", 0, "assistant")]


async def test_branches_and_forks_are_found_where_they_can_be_seen(history: Path) -> None:
    one = a_session("one")
    async with opened(history) as store:
        first = await told(store, one, "her zebra", created_at=NOW)
        await told(store, one, "our zebra", created_at=NOW + 1)
        fork = await store.fork(a_session("fork"), first.id)
        await told(store, fork, "his zebra", created_at=NOW + 2)
        assert await hits(store, "zebra") == [("fork", 1, "user"), ("one", 1, "user"), ("one", 0, "user")]
        assert await hits(store, "label:fork zebra") == [("fork", 1, "user"), ("fork", 0, "user")]
        await store.update(one.id, deleted_at=NOW)
        assert await hits(store, "zebra") == [("fork", 1, "user"), ("fork", 0, "user")]
        await store.update(fork.id, deleted_at=NOW)
        assert await hits(store, "zebra") == []


async def test_a_session_shows_its_best_ones_and_counts_the_others(history: Path) -> None:
    one, two = a_session("one"), a_session("two")
    async with opened(history) as store:
        await told(store, two, "a zebra of another colour altogether, in very many words", "hi")
        for number in range(8):
            await told(store, one, f"zebra {number}")
        sessions = (await found(store, "zebra")).sessions
        assert [(one.label, len(one.hits), one.count) for one in sessions] == [("one", 5, 8), ("two", 1, 1)]
        assert [one.label for one in (await found(store, "zebra", 3)).sessions] == ["one"]
        assert len((await found(store, "label:one zebra")).sessions[0].hits) == 8


async def test_a_session_with_very_many_does_not_push_out_the_others(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "NEWEST", 4)
    monkeypatch.setattr(search, "BEYOND", 4)
    async with opened(history) as store:
        for label in ("one", "two"):
            await told(store, a_session(label), "journal", "hi")
        many = a_session("many")
        for number in range(20):
            await told(store, many, f"journal {number}", "hi")
        sessions = (await found(store, "journal", limit=7)).sessions
        assert [(one.label, len(one.hits), one.count) for one in sessions] == [
            ("two", 1, 1),
            ("one", 1, 1),
            ("many", 5, 20),
        ]
        monkeypatch.setattr(search, "FARTHEST", 8)
        assert [one.label for one in (await found(store, "journal", limit=7)).sessions] == ["many"]


async def test_of_a_session_beyond_the_newest_messages_some_are_ranked_and_all_are_counted(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "NEWEST", 4)
    monkeypatch.setattr(search, "RANKED", 3)
    async with opened(history) as store:
        one, two, three = a_session("one"), a_session("two"), a_session("three")
        await told(store, one, "journal", "hi")
        for number in range(8):
            await told(store, two, f"journal {number}" if number else "journal journal journal", "hi")
        for number in range(6):
            await told(store, three, f"journal {number}" if number else "journal journal journal", "hi")
        sessions = (await found(store, "journal", limit=9)).sessions
        assert [(one.label, [hit.depth for hit in one.hits], one.count) for one in sessions] == [
            ("one", [0], 1),
            ("three", [5, 4, 3, 2], 6),
            ("two", [7, 6, 5], 8),
        ]


async def test_the_heads_of_more_messages_are_read_than_a_statement_takes_values(history: Path) -> None:
    async with opened(history) as store:
        await told(store, a_session(), "zebra", "a longer answer")
        heads = await store.read(messages.heads_of, [], range(300_000), 6)
    assert sorted(heads) == [(1, "zebra", 5), (2, "a long", 15)]


async def test_many_names_do_not_push_out_what_was_said(history: Path) -> None:
    async with opened(history) as store:
        for number in range(12):
            await told(store, a_session(f"zebra-{number}", title="x", title_source=TitleSource.USER), "hello", "hi")
        assert len((await found(store, "zebra")).sessions) == 12
        await told(store, a_session("other"), "a zebra", "hi")
        everything = await found(store, "zebra")
        assert [one.label for one in everything.sessions][-2:] == ["zebra-4", "other"]
        assert everything.is_more


async def test_what_is_not_on_disk_is_found_too(history: Path, disk: Disk) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "a zebra on disk")
        begun = await store.begin(a_turn(session, "a question"), session)
        live = said(begun, "a streaming zebra")
        query = parse_query("zebra", NOW)
        steps = [one async for one in store.finds.search(query, limit=9, live=[(live, session)])]
        (group,) = steps[-1].sessions
        assert {(hit.depth, hit.role) for hit in group.hits} == {(0, "user"), (1, "assistant")}
        async with disk.broken(store):
            await store.save(replace(live, status=TurnStatus.DONE), begun, session)
            assert len(await hits(store, "zebra")) == 2


async def test_many_of_a_common_word_are_ranked_only_as_far_as_is_quick(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "NEWEST", 4)
    session, other = a_session(), a_session("other")
    async with opened(history) as store:
        await told(store, other, "zebra role", "no")
        for number in range(6):
            await told(store, session, f"zebra {number}")
        everything = await found(store, "zebra", 3)
        assert everything.is_more
        assert [hit.depth for hit in everything.sessions[0].hits] == [5, 4, 3]
        # Conditions that few fulfil are looked for in older ones as well.
        assert await hits(store, "zebra label:other") == [("other", 0, "user")]
        assert len(await hits(store, "zebra", 50)) == 6


async def test_a_search_that_is_left_ends_in_the_middle_of_a_statement(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "日本")
        loop, reached = asyncio.get_running_loop(), asyncio.Event()
        slow = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"

        def endless(_search: search.Search, conn: sqlite3.Connection) -> object:
            loop.call_soon_threadsafe(reached.set)
            return conn.execute(slow).fetchall()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(search.Search, "_look_through", endless)
            steps = store.finds.search(parse_query('"日本"', NOW), limit=9)
            task = asyncio.ensure_future(anext(steps))
            await asyncio.wait_for(reached.wait(), 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # The thread is free again, and the connection as it was.
            assert await asyncio.wait_for(store.count(session.id), 20) == 1
        assert store.health.message == ""
        assert await hits(store, '"日本"') == [("work", 0, "user")]
