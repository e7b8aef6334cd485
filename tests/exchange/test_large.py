"""What is too large to be held decoded: the same comes of it as of what is small, in little memory."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.exchange import files
from tests.exchange.taking import written
from tui.errors import FileRefused
from tui.exchange import large_json, packed_turns, thread
from tui.exchange.places import Places
from tui.exchange.sources import open_source
from tui.exchange.thread import Refusal, Said, Thread, turns_of
from tui.model import Item, ItemKind, ItemState, Turn, TurnStatus
from tui.store.foreign import ForeignDatabase


def threads_in(file: Path) -> list[Any]:
    """What a file holds, without the identifiers that are made anew."""
    source = open_source(file)
    count = source.count(lambda: None)
    found: list[Any] = []
    for one in source.threads():
        if isinstance(one, Thread):
            found.append(replace(one, turns=[replace(turn, id="") for turn in one.turns]))
        else:
            assert isinstance(one, Refusal)
            found.append(one)
    source.close()
    assert count == len(found)
    return found


def a_tree() -> dict[str, Any]:
    said = [("user", "é “q” {[\\"), ("assistant", '"b" ]}'), ("tool", "c"), ("user", "\U0001f600"), ("assistant", "e")]
    conversation = files.chatgpt(*said, title="T")
    conversation["mapping"]["other"] = files.node("user", "on another branch", parent="m1")
    parts = {"parts": ["x", {"text": "y"}, {"content_type": "image"}]}
    conversation["mapping"]["m\"\\'"] = files.node("assistant", "", parent="m4", content=parts)
    return {**conversation, "current_node": "m\"\\'"}


def with_branches() -> dict[str, Any]:
    conversation = files.claude(
        ("human", "a"), ("assistant", "b"), ("human", "lost"), ("human", "c"), ("assistant", "d")
    )
    for message, parent in zip(conversation["chat_messages"], ["", "u1-0", "u1-1", "u1-1", "u1-3"], strict=True):
        message["parent_message_uuid"] = parent
    conversation["chat_messages"][1]["content"] = [
        {"type": "tool_use", "id": "t", "name": "f", "input": {"q": [1, "]"]}}
    ]
    return conversation


@pytest.mark.fault("F03")
@pytest.mark.parametrize("large", [1, 20, 100, 400])
@pytest.mark.parametrize("indent", [None, 1])
def test_large_conversations_are_read_like_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int, indent: int | None
) -> None:
    many = [a_tree(), with_branches(), {**a_tree(), "current_node": "gone"}, {**a_tree(), "conversation_id": None}, {}]
    file = written(tmp_path / "c.json", json.dumps(many, ensure_ascii=False, indent=indent))
    small = threads_in(file)
    monkeypatch.setattr(large_json, "LARGE", large)
    assert threads_in(file) == small


@pytest.mark.fault("F01", "F02")
@pytest.mark.parametrize(
    "told",
    ['{"mapping": {}} 1', '{"mapping": {"a": {}, "a": {}}}', '{"mapping": {"a": {},}}', '{"mapping": {"a" {}}}',
     '{"mapping": {a: {}}}', '{"mapping": {"a": {} "b": {}}}', '{"mapping": {"a": NaN}}', '{"mapping": {"a": [1 2]}}',
     '{"mapping": {"a": {]}}', '{"mapping": {"a": }}', '{"mapping": {"a": tru}}', '{"mapping": {"a": 1e999}}',
     '{"mapping": {"a": [[[[[[[[1]]]]}]]]}}', '{"mapping": {{}: 1}}', '{"mapping": {"\\q": 1}}'],
)  # fmt: skip
def test_what_is_no_json_is_refused_though_it_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    file = written(tmp_path / "c.json", f"[{told}]")
    for large in (large_json.LARGE, 1):
        monkeypatch.setattr(large_json, "LARGE", large)
        with pytest.raises(FileRefused, match=r"^c\.json "):
            threads_in(file)


@pytest.mark.fault("F03")
def test_more_parts_than_are_taken_in_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_json, "LARGE", 1)
    monkeypatch.setattr(large_json, "PARTS_LIMIT", 12)
    file = written(tmp_path / "c.json", [files.claude(*[("human", "a")] * 13)])
    with pytest.raises(FileRefused, match="more than 12 messages"):
        threads_in(file)


def test_places_are_those_that_were_put_last() -> None:
    places, names = Places(), [f"name {number}" for number in range(500)]
    assert [places.put(name, place) for place, name in enumerate(names)] == [False] * 500
    assert places.put("name 7", 900)
    assert [places.get(name) for name in names] == [*range(7), 900, *range(8, 500)]
    assert places.get("") is None


def test_turns_are_as_they_were_wherever_they_are_put(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_turns, "AT_ONCE", 200)
    result = Item("2", ItemKind.TOOL_RESULT, "\ud800é", "f", "1", ItemState.FAILED)
    turns = [
        Turn("", "", depth, "p" * depth, TurnStatus.DONE, (Item("1", ItemKind.MESSAGE, str(depth)), result),
             created_at=depth, ended_at=depth or None, model="m")
        for depth in range(20)
    ]  # fmt: skip
    packed = packed_turns.PackedTurns()
    for turn in turns:
        packed.add(turn)
    assert [replace(turn, id="") for turn in packed] == turns
    assert len({turn.id for turn in packed}) == 20
    assert (list(packed), packed[-1], packed[3:5]) == (list(packed), packed[19], [packed[3], packed[4]])


@pytest.mark.fault("F15")
def test_where_nothing_can_be_put_aside_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_turns, "AT_ONCE", 1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(FileRefused, match="cannot be put aside: No such file or directory"):
        threads_in(written(tmp_path / "b.jsonl", files.bundle(files.turn())))


def test_what_has_no_end_is_several_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread, "PARTS_OF_TURN", 3)
    answers = [Said("assistant", str(number), at=100.0 + number) for number in range(7)]
    turns = turns_of([Said("user", "p", at=99.0), *answers])
    told = [(turn.prompt, turn.text.split("\n\n"), turn.created_at) for turn in turns]
    assert told == [
        ("p", ["0", "1", "2"], 99.0),
        (thread.NOTHING_ASKED, ["3", "4", "5"], 103.0),
        (thread.NOTHING_ASKED, ["6"], 106.0),
    ]
    prompts = turns_of([Said("user", str(number)) for number in range(5)])
    assert [turn.prompt.split("\n\n") for turn in prompts] == [["0", "1", "2"], ["3", "4"]]


@pytest.mark.fault("F03")
def test_what_is_taken_in_takes_little_memory(tmp_path: Path) -> None:
    said = [("user" if number % 2 else "assistant", "a") for number in range(30_000)]
    file = written(tmp_path / "c.json", [files.chatgpt(*said)])
    code = (
        "import re, sys; from pathlib import Path; from tui.exchange.sources import open_source\n"
        "source = open_source(Path(sys.argv[1])); source.count(lambda: None)\n"
        "print(*(len(one.turns) for one in source.threads()))\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, timeout=100, check=True
    )
    turns, kibibytes = done.stdout.split()
    assert turns == "15000"
    # All of it decoded takes more than a hundred.
    assert int(kibibytes) >> 10 < 64


@pytest.mark.fault("F03")
def test_a_log_without_indexes_is_gone_through_once_not_for_each_conversation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "logs.db"
    conn = sqlite3.connect(files.old_llm_log(file))
    conn.executescript(
        """
        CREATE TABLE tool_calls (id INTEGER PRIMARY KEY, response_id TEXT, name TEXT, arguments TEXT, tool_call_id TEXT);
        CREATE TABLE tool_results (id INTEGER PRIMARY KEY, response_id TEXT, name TEXT, output TEXT, tool_call_id TEXT);
        INSERT INTO tool_calls VALUES (1, '2', 'f', '{}', 'c');
        INSERT INTO tool_results VALUES (1, '2', 'g', 'found', 'd');
        INSERT INTO responses VALUES ('3', 'mock', 'alone', '', 'three', NULL, '2024-05-01T10:00:30');
        INSERT INTO responses VALUES ('4', 'mock', 'zeroth', '', 'zero', '01abc', '2024-05-01T09:00:00');
        """
    )
    conn.close()
    plans = set()
    rows = ForeignDatabase.rows

    def watched(self: ForeignDatabase, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        if values and "rowid" in query:
            plans.update(str(row[3]).partition(" ")[0] for row in rows(self, f"EXPLAIN QUERY PLAN {query}", *values))
        return rows(self, query, *values)

    monkeypatch.setattr(ForeignDatabase, "rows", watched)
    first, second = threads_in(file)
    assert [turn.prompt for turn in first.turns] == ["zeroth", "first", "second"]
    assert [(item.kind.value, item.text) for item in first.turns[2].items] == [
        ("tool_result", "found"), ("tool_call", "{}"), ("message", "two")
    ]  # fmt: skip
    assert [turn.prompt for turn in second.turns] == ["alone"]
    assert plans == {"SEARCH"}
