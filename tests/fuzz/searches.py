"""Targets that look for what was typed: the reading of a query, and what a search finds for it."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from random import Random

from tests.fuzz import inputs
from tests.fuzz.engine import Check, Target
from tests.fuzz.texts import from_known, text_of
from tests.store.histories import NOW, a_session, opened, told
from tui.found import Found
from tui.matching import fold, literal, matcher_of, passage_of
from tui.query import LONGEST, MOST_TERMS, Query, Term, parse_query
from tui.store.find import Find
from tui.store.search import Search
from tui.store.sql.names import Names
from tui.text import FORBIDDEN

QUERIES = tuple(
    'wal "power loss" jour|label:work after:7d before:2026-11-05 role:user|"a phrase that goes on|C++ c#|日本語 emoji 🙂'
    '|after:yesterday|before:2026-13|label:"two words" x|role:nobody|naïve NAIVE ﬁ ß İ|a*b* "c*"|x OR y NOT z (NEAR)|'.split(
        "|"
    )
)
SAID = (
    ("How do I write to a WAL?", "The journal keeps what a power loss would take. Naïve readers, naive writers."),
    ("C++ or C#?", "x OR y, NOT z (NEAR) a*b* c* — ﬁne, ß, İstanbul"),
    ("日本語で話して", "はい。🙂 emoji are words too: 🙂🙂"),
    ("", ""),
)


def _known() -> list[bytes]:
    return [*(query.encode() for query in QUERIES), *inputs.hostile()]


def check_query(data: bytes) -> None:
    """Any text is a query, and whatever it finds is shown as one clean line with the places of it."""
    text = text_of(data)
    query = parse_query(text, NOW)
    assert len(query.terms) <= MOST_TERMS
    assert sum(len(term.text) for term in query.terms) <= 4 * LONGEST
    assert parse_query(text, NOW) == query
    half = text[len(text) // 2 :] + " naïve ﬁne " + text
    for matcher in (matcher_of(query), literal(text[:20])):
        matcher.fits(half)
        assert matcher.score(half, len(half)) >= 0
        spans = matcher.spans(half)
        assert all(0 <= start < end <= len(half) for start, end in spans)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
        passage, marks = passage_of(half, matcher)
        assert not FORBIDDEN.search(passage), ascii(passage)
        assert "\n" not in passage
        assert all(0 <= start < end <= len(passage) for start, end in marks), (passage, marks)
    assert len(fold(text)) <= len(text)


async def _write(file: Path) -> None:
    async with opened(file) as store:
        for label in ("work", "two words"):
            session = a_session(label, title=f"Talk of {label}")
            await store.create(session)
            for prompt, answer in SAID:
                await told(store, session, prompt or "?", answer)
            for number, payload in enumerate(inputs.hostile()[:20]):
                await told(store, session, payload.decode("utf-8", "replace"), f"answer {number}")


def _search() -> tuple[Callable[[Random], bytes], Check]:
    with tempfile.TemporaryDirectory(prefix="palaver-fuzz-") as folder:
        file = Path(folder) / "history.db"
        asyncio.run(_write(file))
        conn = sqlite3.connect(":memory:", isolation_level=None)
        with closing(sqlite3.connect(file)) as kept:
            kept.backup(conn)
    names, known = Names(), _known()
    rows = conn.execute(
        "SELECT t.session_id, t.depth, i.kind, t.created_at, i.text FROM items i JOIN turns t ON t.id = i.turn_id "
        "WHERE i.kind IN ('prompt', 'message')"
    ).fetchall()
    sessions = dict(conn.execute("SELECT id, label FROM sessions"))

    def wanted(query: Query) -> set[tuple[str, int, str]]:
        """What fits a query, found by looking into every message."""
        matcher, labels = matcher_of(query), [label.casefold() for label in query.labels]
        meant = {one for one, label in sessions.items() if not labels or label.casefold() in labels}
        for label in labels:
            if label not in map(str.casefold, sessions.values()):
                meant |= {one for one, name in sessions.items() if name.casefold().startswith(label)}
        return {
            (session_id, depth, role)
            for session_id, depth, kind, created_at, text in rows
            for role in ["user" if kind == "prompt" else "assistant"]
            if session_id in meant and query.role in ("", role) and text
            if query.before is None or created_at < query.before
            if query.after is None or created_at >= query.after
            if matcher.fits(text)
        }

    def check(data: bytes) -> None:
        text = text_of(data)
        query = parse_query(text, NOW)
        found = _to_end(Search(query, 10_000, names), conn)
        hits = {(group.session_id, hit.depth, hit.role) for group in found.sessions for hit in group.hits}
        counted = sum(group.count for group in found.sessions)
        assert len(hits) <= counted
        if query.problem or any(_is_left_out(term) for term in query.terms):
            return
        if query.terms or query.is_bounded:
            assert hits <= wanted(query), (query, hits - wanted(query))
            # What no index helps with is looked for with its accents, as it stands.
            if all(term.words or term.text.isascii() for term in query.terms):
                assert counted == len(wanted(query)), (query, counted, wanted(query) - hits)
        for session_id in sessions:
            find = Find(session_id, literal(text))
            while not find.is_done:
                find.step(conn)

    return lambda chance: inputs.make(chance, known), check


def _to_end(search: Search, conn: sqlite3.Connection) -> Found:
    found = Found()
    while not search.is_done:
        found = search.step(conn)
    return found


def _is_left_out(term: Term) -> bool:
    """Whether a term is a word of one letter that is still being typed, which is not looked for."""
    return term.is_prefix and len(term.words[-1]) == 1


TARGETS = {
    "query": Target("what is typed to search for", lambda: (from_known(_known), check_query)),
    "search": Target("what a search finds, held against looking into everything", _search),
}
