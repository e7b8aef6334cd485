"""Searching at its edges: the first and last moment that is meant, exact labels, signs that mean something to SQL."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.store.histories import NOW, a_session, opened, told
from tui.found import Found
from tui.model import TitleSource
from tui.query import Query, Term
from tui.store import Store

ZEBRA = Term("zebra", ("zebra",))
SIGN = Term("->")


async def found(store: Store, query: Query, limit: int = 50) -> Found:
    everything = Found()
    async with aclosing(store.finds.search(query, limit=limit)) as steps:
        async for step in steps:
            everything = step
    return everything


async def hits(store: Store, *terms: Term, limit: int = 50, **conditions: Any) -> list[tuple[str, int]]:
    """The label and the depth of each hit."""
    groups = (await found(store, Query(terms, **conditions), limit)).sessions
    return [(one.label, hit.depth) for one in groups for hit in one.hits]


MOMENTS = {"a": NOW - 1, "b": NOW, "c": NOW + 1}
MEANT: list[tuple[dict[str, Any], str]] = [
    ({}, "cba"),
    ({"before": NOW}, "a"),
    ({"before": NOW + 1}, "ba"),
    ({"before": NOW - 1}, ""),
    ({"after": NOW}, "cb"),
    ({"after": NOW + 1}, "c"),
    ({"after": NOW + 2}, ""),
    ({"after": NOW, "before": NOW + 1}, "b"),
    ({"after": NOW, "before": NOW}, ""),
    ({"role": "user"}, "cba"),
    ({"role": "assistant"}, ""),
    ({"labels": ("b",)}, "b"),
    ({"labels": ("b", "a")}, "ba"),
    ({"labels": ("b",), "before": NOW}, ""),
]


@pytest.mark.parametrize("order", ["abc", "bca", "cba"])
async def test_from_the_first_moment_and_before_the_last(history: Path, order: str) -> None:
    """However the messages came: those that were brought over from elsewhere are older than the ones before them."""
    async with opened(history) as store:
        for label in order:
            await told(store, a_session(label), "a zebra -> b", "no", created_at=MOMENTS[label])
        for conditions, labels in MEANT:
            expected = [(label, 0) for label in labels]
            for terms in ((ZEBRA,), (SIGN,), (ZEBRA, SIGN)):
                assert await hits(store, *terms, **conditions) == expected, (terms, conditions)
            assert await hits(store, ZEBRA, Term("->>"), **conditions) == []


@pytest.mark.parametrize(
    ("conditions", "labels"),
    [
        ({}, ["c", "b", "a"]),
        ({"before": NOW}, ["a"]),
        ({"after": NOW}, ["c", "b"]),
        ({"after": NOW, "before": NOW + 1}, ["b"]),
        ({"role": "user"}, []),
        ({"labels": ("a",)}, []),
        ({"problem": "what?"}, []),
    ],
)
async def test_a_session_is_named_for_the_time_it_was_used_last(
    history: Path, conditions: dict[str, Any], labels: list[str]
) -> None:
    async with opened(history) as store:
        for label in "abc":
            titled = a_session(label, title=f"Zebra {label}", title_source=TitleSource.USER)
            await told(store, titled, "hello", "hi", created_at=MOMENTS[label])
        everything = await found(store, Query((ZEBRA,), **conditions))
        assert [one.label for one in everything.sessions] == labels
        assert all(one.is_named and not one.hits for one in everything.sessions)


@pytest.mark.parametrize(
    ("limit", "labels", "is_more"), [(1, "c", True), (2, "cb", True), (3, "cba", False), (4, "cba", False)]
)
async def test_whether_there_is_more(history: Path, limit: int, labels: str, is_more: bool) -> None:
    async with opened(history) as store:
        for label in "abc":
            await told(store, a_session(label), "a zebra", "no", created_at=MOMENTS[label])
        everything = await found(store, Query((ZEBRA,)), limit)
        assert ([one.label for one in everything.sessions], everything.is_more) == (list(labels), is_more)
        assert everything.count == len(labels)


async def test_what_fits_as_well_comes_in_the_order_it_was_said(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        for moment in (NOW, NOW + 5, NOW, NOW + 1):
            await told(store, session, "zebra", "zebra", created_at=moment)
        groups = (await found(store, Query((ZEBRA,), labels=("work",)))).sessions
        assert [(hit.role, hit.depth) for hit in groups[0].hits] == [
            ("user", 1),
            ("user", 3),
            ("user", 2),
            ("user", 0),
            ("assistant", 1),
            ("assistant", 3),
            ("assistant", 2),
            ("assistant", 0),
        ]


@pytest.mark.parametrize(
    ("label", "labels"),
    [
        ("zoo", ["zoo"]),
        ("ZOO", ["zoo"]),
        ("zo", ["zooÄ", "zoo"]),
        ("ZOOä", ["zooÄ"]),
        ("oo", []),
        ("x", []),
    ],
)
async def test_a_label_is_meant_whole_where_one_has_it(history: Path, label: str, labels: list[str]) -> None:
    async with opened(history) as store:
        for number, one in enumerate(("zoo", "zooÄ", "other")):
            await told(store, a_session(one), "a zebra", "no", created_at=NOW + number)
        assert [name for name, _ in await hits(store, ZEBRA, labels=(label,))] == labels


@pytest.mark.parametrize(
    ("text", "depths"),
    [("!", [0, 1]), ("!_", [0]), ("_", [0]), ("%", [2]), ("0%", [2]), ("!%", []), ("!!", []), ("x", [1, 3])],
)
async def test_signs_mean_themselves(history: Path, text: str, depths: list[int]) -> None:
    session = a_session()
    async with opened(history) as store:
        for prompt in ("a!_b", "a!xb", "100%", "x000"):
            await told(store, session, prompt, "-")
        assert sorted(depth for _, depth in await hits(store, Term(text))) == depths


async def test_more_than_is_asked_of_the_index_at_once_is_found(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.store.search.NEWEST", 2)
    session = a_session()
    async with opened(history) as store:
        for number in range(7):
            await told(store, session, f"zebra {number}", "no")
        for labels in ((), ("work",)):
            everything = await found(store, Query((ZEBRA,), labels=labels))
            assert (everything.count, everything.is_more, everything.is_done) == (7, False, True)
        assert (await found(store, Query((ZEBRA,)), 2)).is_more
