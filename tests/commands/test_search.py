"""`palaver search`, as a process."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from tests.loopback import palaver
from tests.store.histories import a_session, opened, told
from tui.model import TitleSource


@pytest.fixture
def filled(history: Path) -> Path:
    async def fill() -> None:
        async with opened(history) as store:
            await told(
                store,
                a_session("work", title="Databases", title_source=TitleSource.USER),
                "Which journal is safe?",
                "The *rollback* journal.",
            )
            await told(store, a_session("日本"), "hello", "A journal of mine \x1b[2J\n\nwith lines")

    asyncio.run(fill())
    return history


def test_hits_are_printed_by_session(filled: Path) -> None:
    done = palaver("search", "journal")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "work — Databases",
        "  2027-01-15 08:00  user       #1  Which journal is safe?",
        "  2027-01-15 08:00  assistant  #1  The *rollback* journal.",
        "",
        "日本",
        "  2027-01-15 08:00  assistant  #1  A journal of mine ␛[2J with lines",
    ]
    assert done.stderr == ""


def test_as_json_with_conditions(filled: Path) -> None:
    done = palaver("search", "--json", "--label", "work", "role:assistant", "jour")
    (hit,) = json.loads(done.stdout)
    assert (hit["session"], hit["turn"], hit["role"]) == ("work", 1, "assistant")
    assert [hit["passage"][start:end] for start, end in hit["marks"]] == ["jour"]
    assert hit["created_at"].startswith("2027-01-15T08:00")
    named = json.loads(palaver("search", "--json", "databases").stdout)
    assert [(one["session"], one["turn"], one["passage"]) for one in named] == [("work", None, "Databases")]


@pytest.mark.fault("L06", "L08")
@pytest.mark.parametrize(
    ("label", "found"),
    [('a"b', ['a"b']), ("ab", ["ab"]), ("Work", ["Work"]), ("work", ["work"]), ("WORK", ["Work", "work"]), ('"', [])],
)
def test_only_the_session_of_that_label_is_searched(filled: Path, label: str, found: list[str]) -> None:
    async def fill() -> None:
        async with opened(filled) as store:
            for name in ('a"b', "ab", "Work"):
                await told(store, a_session(name), "a journal", "hm")

    asyncio.run(fill())
    hits = json.loads(palaver("search", "--json", "-l", label, "journal role:user").stdout)
    assert sorted({hit["session"] for hit in hits}) == found


def test_a_label_that_can_be_none_is_refused_and_a_long_one_takes_nothing_from_the_query(filled: Path) -> None:
    done = palaver("search", "-l", "", "journal")
    assert (done.returncode, "The label is empty" in done.stderr) == (2, True)
    done = palaver("search", "-l", "work", "-l", "x" * 1000, "unheard-of")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_limit(filled: Path) -> None:
    done = palaver("search", "-n", "1", "journal")
    assert len(done.stdout.splitlines()) == 3
    assert "and 1 more here" in done.stdout
    assert "there is more" in done.stderr


def test_nothing_found_is_no_failure(filled: Path) -> None:
    done = palaver("search", "unheard-of")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "palaver: nothing was found\n")
    assert palaver("search", "--json", "unheard-of").stdout == "[]\n"


@pytest.mark.parametrize("query", ["before:soon", "role:me", "label:"])
def test_conditions_that_mean_nothing(filled: Path, query: str) -> None:
    done = palaver("search", "journal", query)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"“{query.partition(':')[0]}:” takes" in done.stderr
    assert palaver("search").returncode == 2
    assert palaver("search", "-n", "0", "x").returncode == 2


def test_a_history_that_cannot_be_had(history: Path) -> None:
    history.mkdir(parents=True)
    assert palaver("search", "x").returncode == 9


def test_a_history_that_is_read_only_is_searched(filled: Path) -> None:
    conn = sqlite3.connect(filled)
    conn.execute("PRAGMA user_version = 99")
    conn.close()
    done = palaver("search", "rollback")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)
    assert "made by a newer version" in done.stderr
