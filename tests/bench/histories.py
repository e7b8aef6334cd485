"""Histories to measure with, put in through the store's own functions in one go, made once."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from tests.bench import texts
from tui.model import Item, ItemKind, Session, Turn, TurnStatus, new_id
from tui.store.database import Database, Lock
from tui.store.sql import items, saving
from tui.store.sql import sessions as session_sql

VERSION = 1
"""To be raised whenever the made-up histories change."""

EPOCH = 1_750_000_000.0


def end_of(label: str) -> str:
    """The word that stands at a session's end, and nowhere else."""
    return f"END{label.replace('-', '').upper()}"


def name_of(rank: int) -> str:
    """A made-up name, from a common one (1) to the rarest (100,000)."""
    letters = ""
    for _ in range(5):
        rank, digit = divmod(rank * 7 + 3, 20)
        letters += "bcdfghjklmnpqrstvwxz"[digit] + "aeiou"[digit % 5]
    return letters


def seed(file: Path, sessions: Mapping[str, int], others: int = 0, *, names: bool = False) -> None:
    """A history with sessions of so many messages, and `others` sessions of one turn each; left alone if it is there.

    The first session named is the one used last. With `names`, each prompt names one of 100,000, some of them often.
    """
    made = file.with_name("seeded")
    wanted = f"{VERSION} {dict(sessions)} {others} {names}"
    if made.exists() and made.read_text() == wanted and file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    for old in file.parent.glob(f"{file.name}*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    began = time.monotonic()
    lock = Lock(file)
    db = Database(file, lock)
    # Only while it is made: nothing of it is worth waiting for the disk.
    db.conn.execute("PRAGMA synchronous = OFF")
    db.conn.execute("PRAGMA secure_delete = OFF")
    count = db.write(_fill, sessions, others, names)
    db.close()
    lock.close()
    made.write_text(wanted)
    print(f"  seeded {file.parent.name}: {count:,} turns in {time.monotonic() - began:.1f} s", flush=True)


def _fill(conn: sqlite3.Connection, sessions: Mapping[str, int], others: int, names: bool) -> int:
    count, chance = 0, random.Random(0)
    plan = [(f"other-{number}", 2) for number in range(others)] + list(reversed(sessions.items()))
    for label, messages in plan:
        session = Session(new_id(), label, title=label, created_at=EPOCH + count)
        session_sql.put_session(conn, session)
        for turn in _turns(session, messages, EPOCH + count):
            if names:
                turn = replace(turn, prompt=f"{turn.prompt} {name_of(round(100_000 ** chance.random()))}")
            branch = conn.execute("SELECT branch_id FROM sessions WHERE id = ?", (session.id,)).fetchone()[0]
            saving._insert(conn, turn, branch, "")
            items.put_items(conn, turn, None)
            items.finish(conn, turn.id)
            count += 1
        conn.execute("UPDATE sessions SET touched = ? WHERE id = ?", (session_sql.next_revision(conn), session.id))
        if label == plan[-1][0]:
            session_sql.remember(conn, session.id)
    return count


def exchanges(label: str, messages: int) -> Iterator[tuple[str, str]]:
    """(prompt, answer) of a made-up session, the same for the same label; its end is told by `end_of`."""
    chance = random.Random(label)
    for number in range(messages // 2):
        prompt, answer = chance.choice(_pool())
        yield prompt, f"{answer}\n\n{end_of(label)}" if number == messages // 2 - 1 else answer


@cache
def _pool() -> list[tuple[str, str]]:
    return [(texts.question(str(number)), texts.answer(str(number))) for number in range(2000)]


def _turns(session: Session, messages: int, at: float) -> Iterator[Turn]:
    for depth, (prompt, answer) in enumerate(exchanges(session.label, messages)):
        yield Turn(
            new_id(),
            session.id,
            depth,
            prompt,
            TurnStatus.DONE,
            (Item("m0", ItemKind.MESSAGE, answer),),
            created_at=at + depth,
            first_text_at=at + depth + 0.5,
            ended_at=at + depth + 2,
            profile="bench",
            protocol="chat",
        )
