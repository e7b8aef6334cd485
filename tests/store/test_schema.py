"""The file itself: how it is made, upgraded and refused, and what other programs read in it."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.store.conftest import Disk
from tests.store.histories import (
    NOW,
    Healths,
    a_mapping,
    a_session,
    a_turn,
    change,
    content,
    found,
    is_whole,
    opened,
    rows,
    said,
    set_back,
    told,
)
from tests.store.other import Other, add_a_table
from tui.credentials import KeySource
from tui.model import Item, ItemKind, MappingState, Queued, TurnStatus, new_id
from tui.store import schema


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


async def ask_sqlite(store: Any, *statements: str) -> list[Any]:
    """The first value of each statement, on the store's own connection."""
    read: list[Any] = []
    await store.read(lambda conn: read.extend(conn.execute(statement).fetchone()[0] for statement in statements), None)
    return read


def sqlite_utils(*words: str) -> str:
    """What the command prints."""
    return subprocess.run(
        [sys.executable, "-m", "sqlite_utils", *words], capture_output=True, text=True, check=True
    ).stdout


def everything(file: Path) -> list[str]:
    """All that is in a history, as statements."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as conn:
        return list(conn.iterdump())


def put_over(file: Path, data: bytes) -> None:
    """What copying another file over it does: the file is the same, and what is in it is not."""
    file.write_bytes(data)


def with_one_more(monkeypatch: pytest.MonkeyPatch, step: Callable[[Any], None] = add_a_table) -> None:
    """A Palaver that knows one migration more than this one."""
    known = schema.migrations

    def migrations() -> Any:
        steps = known()
        steps(name="one_more")(step)
        return steps

    monkeypatch.setattr(schema, "migrations", migrations)
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)


# A fresh file


@pytest.mark.fault("D01")
async def test_a_fresh_history_is_private_and_safe(history: Path) -> None:
    async with opened(history) as store:
        await told(store, a_session())
        assert await ask_sqlite(
            store,
            "PRAGMA user_version",
            "PRAGMA journal_mode",
            "PRAGMA synchronous",
            "PRAGMA secure_delete",
            "PRAGMA foreign_keys",
        ) == [schema.VERSION, "truncate", 2, 1, 1]
        assert mode(history.parent) == 0o700
        made = {file.name: mode(file) for file in history.parent.iterdir()}
        assert made == {
            "history.db": 0o600,
            "history.db-journal": 0o600,
            "history.db.lock": 0o600,
            "history.db.live": 0o700,
        }
        assert [mode(file) for file in history.with_name("history.db.live").iterdir()] == [0o600]
        assert store.health.message == ""


async def test_a_migration_is_one_transaction_that_has_the_lock_from_its_first_moment(
    history: Path, disk: Disk
) -> None:
    seen: list[str] = []
    disk.on_statement = seen.append
    async with opened(history):
        pass
    changing = [
        place
        for place, statement in enumerate(seen)
        if re.match(r"\s*(CREATE|INSERT|PRAGMA user_version =)", statement)
    ]
    begun = max(place for place in range(changing[0]) if seen[place].startswith("BEGIN"))
    committed = next(place for place in range(changing[0], len(seen)) if seen[place] == "COMMIT")
    assert seen[begun] == "BEGIN IMMEDIATE"
    assert seen[committed - 1] == f"PRAGMA user_version = {schema.VERSION}"
    assert changing[-1] < committed


@pytest.mark.fault("K01")
async def test_nothing_of_what_was_taken_out_stays_in_the_files(history: Path) -> None:
    """Neither in rows that are shorter now nor in pages that are free: a key may have been pasted into any of it."""
    session = a_session()
    long = "sk-pasted-by-mistake " * 2000
    async with opened(history) as store:
        turn = await store.begin(a_turn(session), session)
        await store.update(session.id, draft=long)
        waiting = await store.queues.add(Queued(new_id(), session.id, long, NOW, turn.id), session)
        half = said(turn, "fine", long)
        await store.save(half, turn, session)
        assert waiting is not None
        await store.queues.remove(waiting)
        await store.update(session.id, draft="")
        await store.save(said(turn, "fine", status=TurnStatus.DONE), half, session)
    left = [file.name for file in history.parent.iterdir() if b"sk-pasted" in content(file)]
    assert left == []


async def test_many_processes_open_one_fresh_file_at_once(history: Path) -> None:
    with ExitStack() as stack:
        others = [stack.enter_context(Other(history)) for _ in range(8)]
        for other in others:
            other.do("ready")
        for other in others:
            other.tell("open")
        assert [other.hear() for other in others] == [[0, ""]] * 8
        for number, other in enumerate(others):
            other.tell("create", f"work-{number}")
        for other in others:
            assert len(other.hear()) == 26
        assert sorted(others[0].do("labels")) == [f"work-{number}" for number in range(8)]
    assert rows(history, "SELECT name FROM _sqlite_migrations") == [
        (step.__name__,)
        for step in (
            schema.m001_initial,
            schema.m002_runs,
            schema.m003_sources,
            schema.m004_originals,
            schema.m005_queue,
            schema.m006_leases,
            schema.m007_pictures,
            schema.m008_principals,
        )
    ]
    assert is_whole(history)


# Other versions


@pytest.mark.fault("D17", "G20")
async def test_a_newer_history_is_read_and_not_touched(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "hello", "hi")
    change(history, f"PRAGMA user_version = {schema.VERSION + 1}", "ALTER TABLE turns ADD COLUMN later TEXT")
    before = content(history)
    async with opened(history) as store:
        assert store.health.message == "History is not saved: it was made by a newer version of Palaver."
        assert [turn.text for turn in await store.turns(session.id)] == ["hi"]
        turn = await told(store, session, "more", "of it")
        assert store.health.unsaved
        assert turn.depth == 1
        assert [one.text for one in await store.turns(session.id)] == ["hi", "of it"]
        await store.create(a_session("other"))
        await store._heal()
        assert store.health.message.endswith("newer version of Palaver.")
    assert content(history) == before


@pytest.mark.fault("D17", "G20")
async def test_one_upgraded_by_another_process_while_it_is_open_is_not_touched_from_then_on(history: Path) -> None:
    session = a_session()
    healths = Healths()
    async with opened(history, on_health=healths) as store:
        turn = await store.begin(a_turn(session), session)
        with Other(history, "--newer") as other:
            other.do("open")
            other.do("close")
        before = everything(history)
        assert not await store.save(said(turn, "hi", status=TurnStatus.DONE), turn, session)
        assert healths.messages == ["History is not saved: it was made by a newer version of Palaver."]
        assert store.health.unsaved
        assert [one.text for one in await store.turns(session.id)] == ["hi"]
        await store._heal()
        assert store.health.message.endswith("newer version of Palaver.")
    assert everything(history) == before
    assert rows(history, "PRAGMA user_version") == [(schema.VERSION + 1,)]


async def test_an_older_copy_put_over_it_while_it_is_open_is_upgraded(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "hello", "hi")
    older = content(history)
    with_one_more(monkeypatch)
    async with opened(history) as store:
        await told(store, session, "more", "of it")
        put_over(history, older)
        await told(store, session, "again", "and again", depth=1)
        assert store.health.message == ""
    assert rows(history, "SELECT text FROM messages") == [("hello",), ("hi",), ("again",), ("and again",)]
    assert rows(history, "PRAGMA user_version") == [(schema.VERSION,)]
    assert rows(history, "SELECT count(*) FROM later") == [(0,)]


@pytest.mark.fault("D18")
async def test_an_older_history_is_kept_aside_and_upgraded(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "hello", "hi")
    with_one_more(monkeypatch)
    async with opened(history) as store:
        assert await ask_sqlite(store, "PRAGMA user_version") == [schema.VERSION]
        assert [turn.text for turn in await store.turns(session.id)] == ["hi"]
        assert store.health.message == ""
    (backup,) = history.parent.glob("history.db.backup-v*")
    assert backup.name.startswith(f"history.db.backup-v{schema.VERSION - 1}-")
    assert mode(backup) == 0o600
    assert rows(backup, "PRAGMA user_version") == [(schema.VERSION - 1,)]
    assert rows(backup, "SELECT text FROM messages") == [("hello",), ("hi",)]
    assert not rows(backup, "SELECT 1 FROM sqlite_master WHERE name = 'later'")
    assert rows(history, "SELECT count(*) FROM later") == [(0,)]


@pytest.mark.fault("D18")
async def test_many_processes_upgrade_one_file_at_once(history: Path) -> None:
    async with opened(history) as store:
        await told(store, a_session(), "hello", "hi")
    with ExitStack() as stack:
        others = [stack.enter_context(Other(history, "--newer")) for _ in range(6)]
        for other in others:
            other.do("ready")
        for other in others:
            other.tell("open")
        assert [other.hear() for other in others] == [[0, ""]] * 6
        assert others[0].do("texts", "work") == ["hi"]
    assert rows(history, "PRAGMA user_version") == [(schema.VERSION + 1,)]
    assert len(list(history.parent.glob("*.backup-*"))) == 1


async def test_a_migration_that_fails_changes_nothing(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "hello", "hi")
    before = rows(history, "SELECT name, sql FROM sqlite_master ORDER BY name")

    def broken(db: Any) -> None:
        db.execute("CREATE TABLE later (id INTEGER PRIMARY KEY)")
        db.execute("DROP TABLE turns")
        db.execute("NOT SQL")

    with_one_more(monkeypatch, broken)
    async with opened(history) as store:
        assert store.health.message.startswith("History is off: ")
        assert await store.sessions() == []
    assert rows(history, "SELECT name, sql FROM sqlite_master ORDER BY name") == before
    assert rows(history, "SELECT text FROM messages") == [("hello",), ("hi",)]


async def test_a_backup_that_cannot_be_made_leaves_nothing_behind(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(history) as store:
        await told(store, a_session(), "hello", "hi")
    with_one_more(monkeypatch)

    def refusing(*args: Any, **options: Any) -> sqlite3.Connection:
        conn = sqlite3.Connection(*args, **options)
        # The disk's part: nothing can be attached, as VACUUM INTO has to.
        conn.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK
        )
        return conn

    monkeypatch.setattr(sqlite3, "connect", refusing)
    async with opened(history) as store:
        assert store.health.message.startswith("History is off: ")
    assert not list(history.parent.glob("*.backup-*"))
    assert rows(history, "PRAGMA user_version") == [(schema.VERSION - 1,)]


@pytest.mark.parametrize("version", [0, schema.VERSION, 99])
@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
async def test_another_programs_database_is_refused_untouched(history: Path, version: int, journal: str) -> None:
    history.parent.mkdir(parents=True, mode=0o700)
    change(
        history,
        f"PRAGMA journal_mode = {journal}",
        "CREATE TABLE sessions (theirs TEXT)",
        "CREATE TABLE _sqlite_migrations (migration_set TEXT, name TEXT)",
        "INSERT INTO _sqlite_migrations VALUES ('theirs', 'm001_initial')",
        f"PRAGMA user_version = {version}",
    )
    before = content(history)
    async with opened(history) as store:
        assert store.health.message.startswith(f"History is off: {history} is another program's database")
        turn = await told(store, a_session())
        assert store.health.unsaved
        assert [one.id for one in await store.turns(turn.session_id)] == [turn.id]
    assert content(history) == before


# What others read


MESSAGES = ["session", "turn_id", "position", "role", "text", "status", "model", "created_at"]
CONVERSATIONS = ["session", "origin", "protocol", "conversation_id", "used_at", "state"]


async def test_the_views_have_the_columns_they_promise(history: Path) -> None:
    async with opened(history):
        pass
    for view, columns in (("messages", MESSAGES), ("conversation_map", CONVERSATIONS)):
        assert [row[1] for row in rows(history, f"PRAGMA table_info({view})")] == columns


async def test_messages_says_what_was_said(history: Path) -> None:
    session, gone = a_session(), a_session("gone")
    async with opened(history) as store:
        first = await store.begin(a_turn(session, "one?", model="m-1"), session)
        items = (
            Item("r", ItemKind.REASONING, "thinking"),
            Item("a", ItemKind.MESSAGE, "one"),
            Item("t", ItemKind.TOOL_CALL, "{}", "tool"),
            Item("b", ItemKind.MESSAGE, "and a half"),
        )
        await store.save(replace(first, items=items, status=TurnStatus.DONE), first, session)
        second = await store.begin(a_turn(session, "two?", created_at=NOW + 0.5), session)
        early = said(second, "tw")
        await store.save(early, second, session)
        await store.save(said(second, "two, stre"), early, session)
        await told(store, gone, "forget", "me")
        await store.update(gone.id, deleted_at=NOW)
        assert rows(history, "SELECT * FROM messages") == [
            ("work", first.id, 1, "user", "one?", "done", "m-1", "2027-01-15T08:00:00.000Z"),
            ("work", first.id, 2, "assistant", "one", "done", "m-1", "2027-01-15T08:00:00.000Z"),
            ("work", first.id, 3, "assistant", "and a half", "done", "m-1", "2027-01-15T08:00:00.000Z"),
            ("work", second.id, 4, "user", "two?", "streaming", "", "2027-01-15T08:00:00.500Z"),
            ("work", second.id, 5, "assistant", "two, stre", "streaming", "", "2027-01-15T08:00:00.500Z"),
        ]


async def test_messages_follows_the_branch_a_session_is_on(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        for number in range(4):
            await told(store, session, f"p{number}", f"a{number}")
        trunk = rows(history, "SELECT branch_id FROM sessions")[0][0]

        def add(branch: str, parent: str, base: int, *prompts: str) -> None:
            """A branch that goes on from its parent's first turns, and the session on it."""
            change(history, f"INSERT INTO branches VALUES ('{branch}', '{session.id}', '{parent}', {base})")
            for place, prompt in enumerate(prompts):
                identifier = f"{branch}-{place}"
                change(
                    history,
                    "INSERT INTO turns (id, session_id, branch_id, depth, status, created_at) "
                    f"VALUES ('{identifier}', '{session.id}', '{branch}', {base + place}, 'done', {NOW})",
                    f"INSERT INTO items (turn_id, position, kind, text) VALUES ('{identifier}', 0, 'prompt', '{prompt}')",
                )
            change(history, f"UPDATE sessions SET branch_id = '{branch}'")

        async def prompts() -> list[str]:
            """What was said on the way to the session's end: the view, the store's turns and its prompts agree."""
            seen = rows(history, "SELECT text, position FROM messages WHERE role = 'user' ORDER BY position")
            turns = await store.turns(session.id)
            assert [turn.prompt for turn in turns] == [text for text, _ in seen] == await store.prompts(session.id)
            assert [turn.depth for turn in turns] == list(range(len(turns)))
            assert await store.count(session.id) == len(turns)
            return [turn.prompt for turn in turns]

        add("b", trunk, 2, "b2", "b3")
        assert await prompts() == ["p0", "p1", "b2", "b3"]
        add("c", "b", 3, "c3")
        assert await prompts() == ["p0", "p1", "b2", "c3"]
        # Begins before the branch it comes from does: of that one nothing is left.
        add("d", "b", 1, "d1")
        assert await prompts() == ["p0", "d1"]
        await told(store, session, "d2", "new")
        assert await prompts() == ["p0", "d1", "d2"]
        assert [turn.prompt for turn in await store.turns(session.id, 1, 3)] == ["d1", "d2"]
        # A branch that was just made has no turns of its own.
        add("e", trunk, 1)
        assert await prompts() == ["p0"]
        change(history, f"UPDATE branches SET parent_id = 'e' WHERE id = '{trunk}'")
        assert await prompts() == ["p0"]
        change(history, f"UPDATE sessions SET branch_id = '{trunk}'")
        assert await prompts() == ["p0", "p1", "p2", "p3"]


async def test_conversation_map_says_where_conversations_are_kept(history: Path) -> None:
    session, gone = a_session(), a_session("gone")
    async with opened(history) as store:
        for one in (session, gone):
            turn = await store.begin(a_turn(one), one)
            await store.save(said(turn, "hi", status=TurnStatus.DONE), turn, one, a_mapping(one, used_at=NOW + 0.25))
        other = a_mapping(session, "", protocol="chat", state=MappingState.UNSUPPORTED)
        done = await told(store, session)
        await store.save(done, done, session, other)
        await store.update(gone.id, deleted_at=NOW)
    assert rows(history, "SELECT * FROM conversation_map ORDER BY protocol") == [
        ("work", "https://host:443", "chat", "", "2027-01-15T08:00:00.000Z", "unsupported"),
        ("work", "https://host:443", "responses", "conv", "2027-01-15T08:00:00.250Z", "live"),
    ]


async def test_text_is_found_once_its_turn_has_ended(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        begun = await store.begin(a_turn(session, "apples?"), session)
        growing = said(begun, "pears")
        await store.save(growing, begun, session)
        more = said(begun, "pears and plums")
        await store.save(more, growing, session)
        assert found(history, "apples") == found(history, "pears") == found(history, "plums") == []
        done = said(begun, "pears and plums, finally", status=TurnStatus.DONE)
        await store.save(done, more, session)
        assert found(history, "apples") == ["apples?"]
        assert found(history, "plums") == found(history, "fin*") == ["pears and plums, finally"]
        # Saved again, as it is and otherwise: nothing is found twice, and nothing that is gone.
        await store.save(done, done, session)
        await store.save(done, None, session)
        await store.save(said(begun, "cherries", status=TurnStatus.DONE), None, session)
        assert found(history, "plums") == []
        assert found(history, "cherries") == ["cherries"]
        assert found(history, "apples") == ["apples?"]
    assert is_whole(history)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["query", "FILE", "SELECT session, role, text FROM messages ORDER BY position"],
         [{"session": "work", "role": "user", "text": "hello"}, {"session": "work", "role": "assistant", "text": "hi"}]),
        (["rows", "FILE", "conversation_map", "-c", "session", "-c", "conversation_id", "-c", "state"],
         [{"session": "work", "conversation_id": "conv", "state": "live"}]),
        (["views", "FILE"], [{"view": "messages"}, {"view": "conversation_map"}]),
        (["query", "FILE", "SELECT count(*) AS hits FROM items_fts WHERE items_fts MATCH 'hel*'"], [{"hits": 1}]),
    ],
)  # fmt: skip
async def test_it_is_readable_with_sqlite_utils(history: Path, command: list[str], expected: object) -> None:
    session = a_session()
    async with opened(history) as store:
        turn = await store.begin(a_turn(session), session)
        await store.save(said(turn, "hi", status=TurnStatus.DONE), turn, session, a_mapping(session))
        words = [str(history) if word == "FILE" else word for word in command]
        printed = sqlite_utils(*words)
    assert json.loads(printed) == expected


async def test_what_is_deleted_leaves_no_trace_in_the_file(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        turn = await store.begin(a_turn(session, "a prompt"), session)
        kept = said(turn, "the canary sk-CANARY-1f3a")
        await store.save(kept, turn, session)
        await store.save(said(turn, "redacted", status=TurnStatus.DONE), kept, session)
    for file in history.parent.glob("history.db*"):
        assert b"CANARY" not in content(file)


async def test_a_history_someone_switched_to_wal_is_switched_back(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "hello", "hi")
    with closing(sqlite3.connect(history)) as conn:
        assert conn.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    async with opened(history) as store:
        assert await ask_sqlite(store, "PRAGMA journal_mode") == ["truncate"]
        assert [turn.text for turn in await store.turns(session.id)] == ["hi"]
        assert store.health.message == ""


async def test_what_a_command_of_before_was_given_leaves_the_history(history: Path) -> None:
    session, words = a_session(), "vault read --token=secret"
    async with opened(history) as store:
        await told(store, session)
        for principal, found in ((f"command:{words}", "conv"), ("env:K", "other")):
            await store.conversations.keep(a_mapping(session, found, principal=principal))
    set_back(history, 7)
    async with opened(history) as store:
        now = KeySource("command", tuple(words.split())).principal
        kept = [
            await store.conversations.get(session.id, "https://host:443", "responses", one) for one in (now, "env:K")
        ]
        assert [one.conversation_id for one in kept if one is not None] == ["conv", "other"]
        assert [turn.principal for turn in await store.turns(session.id)] == [None]
    assert b"secret" not in content(history)
