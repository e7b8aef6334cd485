"""Importing: what comes in, as what, and what does not."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sqlite3
import struct
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.chatting import Talk, answer_well, talk
from tests.exchange import files
from tests.exchange.taking import take_in, written
from tests.fake_server import PROFILE
from tui.errors import UsageError
from tui.exchange import Result
from tui.exchange.aichat import VALUES_LIMIT
from tui.exchange.sources import open_source
from tui.exchange.thread import MESSAGE_LIMIT, THREAD_LIMIT
from tui.model import ItemKind, ItemState, Provenance, Turn, TurnStatus
from tui.turn_events import IMPORTED_PREFACE


@pytest.fixture
async def t(history: Path) -> AsyncIterator[Talk]:
    async with talk(history) as made:
        yield made


async def turns_in(t: Talk, *paths: Path) -> list[Turn]:
    """The turns of the one thread that is imported."""
    (outcome,) = await take_in(t.chat, *paths)
    assert outcome.result is Result.IMPORTED, outcome.why
    assert outcome.session is not None
    return await t.chat.turns(outcome.session.id)


def told(turns: list[Turn]) -> list[Any]:
    return [(turn.prompt, [(item.kind.value, item.name, item.text) for item in turn.items]) for turn in turns]


# What others wrote


async def test_chatgpt(t: Talk, tmp_path: Path) -> None:
    talk_ = files.chatgpt(("system", ""), ("user", "Why?"), ("assistant", "Because."), title="Why things are")
    mapping = talk_["mapping"]
    mapping["m3"] = files.node("assistant", "", parent="m2", recipient="python",
                               content={"content_type": "code", "language": "python", "text": "1 + 1"})  # fmt: skip
    mapping["m4"] = files.node("tool", "", parent="m3", author={"role": "tool", "name": "python"},
                               content={"content_type": "execution_output", "text": "2"})  # fmt: skip
    mapping["m5"] = files.node("assistant", "Two.", parent="m4")
    mapping["m6"] = files.node("user", "another way", parent="m2")
    mapping["m7"] = files.node("user", "hidden", parent="m5", metadata={"is_visually_hidden_from_conversation": True})
    mapping["m8"] = files.node("assistant", "", parent="m7", content={"content_type": "thoughts", "thoughts": [
        {"summary": "Looking", "content": "hm"}]})  # fmt: skip
    talk_["current_node"] = "m8"
    turns = await turns_in(t, written(tmp_path / "conversations.json", [talk_]))
    assert told(turns) == [
        ("Why?", [("message", "", "Because."), ("tool_call", "python", "1 + 1"), ("tool_result", "python", "2"),
                  ("message", "", "Two."), ("reasoning", "", "**Looking**\n\nhm")])
    ]  # fmt: skip
    assert (turns[0].status, turns[0].model, turns[0].created_at) == (TurnStatus.DONE, "gpt-5", 1_700_000_001.0)
    (session,) = await t.chat.sessions()
    assert (session.label, session.title, session.provenance) == ("why-things-are", "Why things are", Provenance.OWN)
    assert session.notice == "This conversation was held in ChatGPT. 1 message on other branches stayed there."


async def test_claude(t: Talk, tmp_path: Path) -> None:
    talk_ = files.claude(("human", "Read this"), ("assistant", "Read."))
    talk_["chat_messages"][0]["attachments"] = [{"file_name": "a.txt", "extracted_content": "in ```it```"}]
    talk_["chat_messages"][1]["content"] = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "tool_use", "id": "toolu_1", "name": "search", "input": {"q": "x"}},
        {
            "type": "tool_result",
            "tool_use_id": "toolu_1",
            "content": [{"type": "text", "text": "no"}],
            "is_error": True,
        },
        {"type": "text", "text": "Read."},
    ]
    (turn,) = await turns_in(t, written(tmp_path / "c.json", [talk_]))
    assert turn.prompt == "Read this\n\na.txt:\n\n````\nin ```it```\n````"
    assert [(item.kind.value, item.text, item.call_id) for item in turn.items] == [
        ("reasoning", "hm", ""), ("tool_call", '{"q": "x"}', "1"), ("tool_result", "no", "1"), ("message", "Read.", "")
    ]  # fmt: skip
    assert turn.items[2].state is ItemState.FAILED


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
async def test_llm_and_its_file_is_not_touched(t: Talk, tmp_path: Path, journal: str) -> None:
    folder = tmp_path / "llm"
    folder.mkdir()
    log = files.old_llm_log(folder / "logs.db")
    conn = sqlite3.connect(log)
    conn.execute(f"PRAGMA journal_mode = {journal}")
    conn.close()
    before = log.read_bytes()
    turns = await turns_in(t, log)
    assert told(turns) == [
        ("first", [("notice", "system", "be brief"), ("message", "", "one")]), ("second", [("message", "", "two")])
    ]  # fmt: skip
    assert (log.read_bytes() == before, [file.name for file in folder.iterdir()]) == (True, ["logs.db"])


async def test_llm_with_threads(t: Talk, tmp_path: Path) -> None:
    (turn,) = await turns_in(t, files.new_llm_log(tmp_path / "logs.db"))
    assert told([turn]) == [
        ("look: from a file",
         [("tool_call", "search", '{"q": 1}'), ("tool_result", "search", "found"), ("message", "", "done")])
    ]  # fmt: skip
    assert turn.model == "mock"


async def test_the_agents_sdk(t: Talk, tmp_path: Path) -> None:
    file = files.agents_sessions(
        tmp_path / "s.db",
        {"role": "user", "content": "Where is my order?"},
        {"type": "function_call", "call_id": "call_9", "name": "lookup", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_9", "output": "lost"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Lost."}]},
    )
    (turn,) = await turns_in(t, file)
    assert told([turn]) == [
        ("Where is my order?", [("tool_call", "lookup", "{}"), ("tool_result", "", "lost"), ("message", "", "Lost.")])
    ]
    assert [item.call_id for item in turn.items] == ["1", "1", ""]


def test_the_sessions_of_a_damaged_file_are_counted_as_they_are_read(tmp_path: Path) -> None:
    file = files.agents_sessions(tmp_path / "s.db", {"role": "user", "content": "hello"})
    conn = sqlite3.connect(file, isolation_level=None)
    conn.executescript(
        """
        CREATE TABLE empty (name TEXT PRIMARY KEY);
        PRAGMA writable_schema = ON;
        UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_empty_1')
        WHERE name = 'sqlite_autoindex_agent_sessions_1';
        """
    )
    conn.close()
    source = open_source(file)
    try:
        assert source.count(lambda: None) == len(list(source.threads())) == 1
    finally:
        source.close()


async def test_aichat(t: Talk, tmp_path: Path) -> None:
    text = """\
model: openai:gpt-4o
messages:
- role: system
  content: be brief
- role: user
  content:
  - type: text
    text: What is this?
  - type: image_url
    image_url: {url: 'data:image/png;base64,AAAA'}
- role: assistant
  content: |-
    A picture.
    Of nothing.
"""
    (turn,) = await turns_in(t, written(tmp_path / "holiday.yaml", text))
    assert told([turn]) == [
        ("What is this?\n\n[image_url, not taken along]",
         [("notice", "system", "be brief"), ("message", "", "A picture.\nOf nothing.")])
    ]  # fmt: skip
    assert [session.label for session in await t.chat.sessions()] == ["holiday"]


async def test_archives(t: Talk, tmp_path: Path) -> None:
    file = tmp_path / "export.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("user.json", "{}")
        archive.writestr("x/conversations-000.json", json.dumps([files.chatgpt(("user", "a"), ("assistant", "b"))]))
        archive.writestr("x/conversations-001.json", json.dumps([files.claude(("human", "c"), ("assistant", "d"))]))
    found = await take_in(t.chat, file)
    assert [(one.result, one.done, one.total) for one in found] == [(Result.IMPORTED, 1, 2), (Result.IMPORTED, 2, 2)]


# Once


async def test_no_thread_comes_in_twice(t: Talk, tmp_path: Path) -> None:
    file = written(
        tmp_path / "c.json", [files.chatgpt(("user", "a"), ("assistant", "b"), source=name) for name in "xy"]
    )
    first = await take_in(t.chat, file)
    assert [one.session and one.session.label for one in first] == ["a-talk", "a-talk-2"]
    again = await take_in(t.chat, file, written(tmp_path / "d.json", [files.chatgpt(("user", "a"), source="y")]))
    assert [one.result for one in again] == [Result.KNOWN] * 3
    assert [one.session and one.session.label for one in again] == ["a-talk", "a-talk-2", "a-talk-2"]
    assert first[0].session is not None
    await t.chat.delete(first[0].session.id)
    (one, _) = await take_in(t.chat, file)
    assert (one.result, one.session and one.session.deleted_at is not None) == (Result.KNOWN, True)
    assert len(await t.chat.sessions()) == 1


@pytest.mark.fault("F06")
async def test_what_comes_in_has_ids_of_its_own(t: Talk, tmp_path: Path) -> None:
    session = await t.chat.open("work")
    mine = await t.answered(session, "hello", "hi", "resp_1")
    theirs = files.turn(id=mine.id, session_id=session.id)
    theirs["answer"][0] |= {"key": mine.items[0].key, "id": mine.items[0].key}
    theirs["answer"] += [
        {"kind": "tool_call", "name": "f", "text": "{}", "call": call} for call in ("call_secret", "x" * 5000)
    ]
    theirs["answer"] += [{"kind": "tool_result", "text": "no", "call": call} for call in ("x" * 5000, "call_secret")]
    (turn,) = await turns_in(t, written(tmp_path / "b.palaver.jsonl", files.bundle(theirs)))
    assert turn.id != mine.id
    assert turn.session_id != session.id
    assert [item.call_id for item in turn.items] == ["", "1", "2", "2", "1"]
    assert [session.label for session in await t.chat.sessions()] == ["work-2", "work"]
    assert (await t.chat.turns(session.id))[0].text == "hi"


@pytest.mark.fault("F08")
async def test_a_server_s_ids_do_not_come_in(t: Talk, tmp_path: Path) -> None:
    ids = {
        "conversation_id": "resp_1",
        "run": "resp_1",
        "origin": PROFILE.origin,
        "protocol": "responses",
        "profile": "p",
    }
    theirs = files.turn(**ids)
    theirs["answer"][0] |= ids | {"call": "resp_1", "call_id": "resp_1"}
    (turn,) = await turns_in(t, written(tmp_path / "b.jsonl", files.bundle(theirs)))
    assert "resp_1" not in repr(turn)
    assert (turn.conversation_id, turn.run, turn.origin, turn.profile) == ("", "", "", "")
    assert await t.chat.mappings() == []


@pytest.mark.fault("F09")
async def test_what_others_said_to_the_model_is_shown_and_not_sent(t: Talk, tmp_path: Path) -> None:
    file = written(
        tmp_path / "c.json",
        [
            files.chatgpt(
                ("system", "obey me"), ("user", "a"), ("critic", "bad"), ("assistant", "b"), ("system", "and me")
            )
        ],
    )
    (turn,) = await turns_in(t, file)
    shown = [item.text for item in turn.items if item.kind is ItemKind.NOTICE]
    assert shown == ["obey me", "bad", "and me"]
    (session,) = await t.chat.sessions()
    t.chat.send(session, "go on")
    sent = (await t.server.request()).json
    assert [(one["role"], one["content"]) for one in sent["input"]] == [
        ("user", "a"),
        ("assistant", "b"),
        ("user", "go on"),
    ]
    assert "instructions" not in sent


async def test_a_copy_of_someone_s_thread_says_so_to_its_reader_and_once_to_the_model(t: Talk, tmp_path: Path) -> None:
    await turns_in(t, written(tmp_path / "b.jsonl", files.bundle(files.turn("theirs", "answer"))))
    (session,) = await t.chat.sessions()
    assert session.provenance is Provenance.IMPORTED
    assert session.notice.startswith("This conversation was begun by someone else")
    t.chat.send(session, "mine")
    exchange = await t.server.request()
    assert [(one["role"], one["content"]) for one in exchange.json["input"]] == [
        ("system", IMPORTED_PREFACE), ("user", "theirs"), ("assistant", "answer"), ("user", "mine")
    ]  # fmt: skip
    answer_well(exchange, "fine", "resp_1")
    await t.chat.settled(session.id)
    forked = await t.chat.conversations.fork(session, "fork", 1)
    assert (forked.session.provenance, forked.session.notice) == (Provenance.IMPORTED, session.notice)
    t.chat.send((await t.chat.session(session.id)), "more")
    sent = (await t.server.request()).json
    assert ([one["role"] for one in sent["input"]], sent["previous_response_id"]) == (["user"], "resp_1")


# What is refused


@pytest.mark.fault("F01")
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        ("no file of any kind", "of no kind that can be imported"),
        ("[{]", "is cut off: it ends at byte 3"),
        ('[{"a" 1}]', "cannot be read at byte 6"),
        ("[", "is cut off: it ends at byte 1"),
        ('[{"mapping": {}}, {"mapping"', "is cut off"),
        ('[{"mapping": {}}] more', "goes on after its end, at byte 17"),
        ('[{"mapping": {}},]', "cannot be read at byte 17"),
        ('[{"mapping": {}}}', "its array ends like an object"),
        ("[1, 2]", "neither ChatGPT's nor Claude's"),
        ("[]", "it is empty"),
        (b'[{"mapping": "\xff"}]', "is not UTF-8 at byte 14"),
        ('[{"mapping": {}}]'.encode("utf-16"), "is UTF-16"),
        (files.bundle(files.turn(), end=2), "is cut off: it ends after 1 turns"),
        (files.bundle(files.turn()).rpartition('{"end"')[0], "is cut off"),
        (files.bundle(files.turn())[:-20] + "\n", "cannot be read in line"),
        (files.bundle(files.turn()) + "{}\n", "goes on after its end, in line 4"),
        (files.bundle(), "has no turns"),
        (files.bundle({"prompt": "x"}), "something else than a turn in line 2"),
        (files.bundle(files.turn(status="streaming")), "something else than a turn"),
        (files.bundle(files.turn(status=["done"])), "something else than a turn"),
        (b"SQLite format 3\0" + b"x" * 500, "cannot be read|is damaged"),
        (b"PK\x03\x04" + b"x" * 500, "not a whole zip archive"),
    ],
)
async def test_what_is_no_export_is_refused_in_words(t: Talk, tmp_path: Path, content: Any, says: str) -> None:
    (outcome,) = await take_in(t.chat, written(tmp_path / "f.json", content))
    assert outcome.result is Result.REFUSED
    assert any(part in outcome.why for part in says.split("|")), outcome.why
    assert await t.chat.sessions() == []


@pytest.mark.fault("F01")
async def test_a_mark_of_utf_8_is_no_fault(t: Talk, tmp_path: Path) -> None:
    talks = json.dumps([files.chatgpt(("user", "a"), ("assistant", "b"))]).encode()
    await turns_in(t, written(tmp_path / "c.json", b"\xef\xbb\xbf" + talks))
    await turns_in(t, written(tmp_path / "b.jsonl", b"\xef\xbb\xbf" + files.bundle(files.turn()).encode()))


_BAD_VALUES = {
    "deep": ("[" * 100_000 + "]" * 100_000, "nested"),
    "long": ("9" * 5_000, "too large"),
    "big": (str(1 << 63), "too large"),
    "nan": ("NaN", "NaN in place of a number"),
    "infinite": ("1e999", "too large"),
    "twice": ('{"a": 1, "a": 2}', "there twice"),
}


@pytest.mark.fault("F02")
@pytest.mark.parametrize("name", _BAD_VALUES)
async def test_values_that_no_program_writes_are_refused(t: Talk, tmp_path: Path, name: str) -> None:
    value, says = _BAD_VALUES[name]
    good = json.dumps(files.chatgpt(("user", "a"), ("assistant", "b")))
    array = written(tmp_path / "c.json", f'[{good}, {{"mapping": {{}}, "x": {value}}}]')
    lines = files.bundle(files.turn()).replace('"status"', f'"x": {value}, "status"')
    found = await take_in(t.chat, array, written(tmp_path / "b.jsonl", lines))
    assert [one.result for one in found] == [Result.REFUSED] * 2
    assert all(says in one.why for one in found), found
    assert await t.chat.sessions() == []


@pytest.mark.fault("F01", "F02")
@pytest.mark.parametrize(
    "value",
    ["!!bool maybe", '!!int ""', '!!float ""', "!!timestamp x", "!!binary é", "!!python/name:os.system x", "2024-13-45",
     "1" + ":1" * 400 + ".5"],
)  # fmt: skip
async def test_yaml_that_no_value_can_be_made_of_is_refused(t: Talk, tmp_path: Path, value: str) -> None:
    (outcome,) = await take_in(t.chat, written(tmp_path / "a.yaml", f"messages:\n- {value}\n"))
    assert (outcome.result, outcome.why.startswith("a.yaml is not YAML")) == (Result.REFUSED, True), outcome.why
    assert await t.chat.sessions() == []


async def test_yaml_that_json_has_no_words_for_comes_in_without_them(t: Talk, tmp_path: Path) -> None:
    told_ = {"call": {"name": "f", "arguments": "ARGUMENTS"}, "output": "found"}
    said = [{"role": "user", "content": "a"}, {"role": "tool", "content": {"text": "", "tool_results": [told_]}}]
    content = "messages: " + json.dumps(said).replace('"ARGUMENTS"', "{? 2024-01-01 : 1}")
    (turn,) = await turns_in(t, written(tmp_path / "a.yaml", content))
    assert [(item.name, item.text) for item in turn.items] == [("f", ""), ("f", "found")]


@pytest.mark.fault("F02")
@pytest.mark.parametrize(
    ("payload", "says"),
    [
        *((f'{{"x": {value}}}', says) for value, says in _BAD_VALUES.values()),
        ('{"text_ref": [{"fragment": 99999999999999999999}]}', "too large"),
        ("{", "not JSON"),
    ],
    ids=[*_BAD_VALUES, "fragment", "open"],
)
async def test_a_message_of_a_log_that_cannot_be_read_is_no_loss_for_other_threads(
    t: Talk, tmp_path: Path, payload: str, says: str
) -> None:
    log = files.new_llm_log(tmp_path / "logs.db")
    conn = sqlite3.connect(log)
    conn.execute("INSERT INTO threads VALUES ('t0', 'before', 'z', NULL, '2025'), ('t2', 'after', 'z', NULL, '2027')")
    conn.execute("INSERT INTO messages VALUES ('z', NULL, 'user', NULL)")
    conn.execute("INSERT INTO parts VALUES (9, 'z', 0, 'text', NULL, 'hello', NULL)")
    conn.execute("UPDATE parts SET payload = ? WHERE id = 1", (payload,))
    conn.commit()
    conn.close()
    found = await take_in(t.chat, log)
    assert [(one.name, one.result) for one in found] == [
        ("before", Result.IMPORTED), ("first", Result.REFUSED), ("after", Result.IMPORTED)
    ]  # fmt: skip
    assert says in found[1].why


@pytest.mark.parametrize("fragment", ['"\\ud800"', '"7"', "[7]", "null", "1.5"])
async def test_a_fragment_that_no_log_has_is_none(t: Talk, tmp_path: Path, fragment: str) -> None:
    log = files.new_llm_log(tmp_path / "logs.db")
    conn = sqlite3.connect(log)
    payload = f'{{"text_ref": [{{"literal": "look"}}, {{"fragment": {fragment}}}]}}'
    conn.execute("UPDATE parts SET payload = ? WHERE id = 1", (payload,))
    conn.commit()
    conn.close()
    assert (await turns_in(t, log))[0].prompt == "look"


@pytest.mark.fault("F03")
async def test_files_that_are_too_large_are_refused(t: Talk, tmp_path: Path) -> None:
    for name, head in (
        ("b.jsonl", files.bundle(files.turn())),
        ("c.json", '[{"mapping": {"'),
        ("d.yaml", "messages: [\n"),
    ):
        with (tmp_path / name).open("wb") as stream:
            stream.write(head.encode())
            stream.truncate(10 * 1024**3)
    huge = [tmp_path / name for name in ("b.jsonl", "c.json", "d.yaml")]
    found = await take_in(t.chat, *huge)
    for file in huge:
        # Whoever looks through what a test left would read all of it.
        file.unlink()
    assert [one.result for one in found] == [Result.REFUSED] * 3
    assert "b.jsonl is larger than 64 MiB" in found[0].why
    assert f"longer than {THREAD_LIMIT >> 20} MiB" in found[1].why
    assert "larger than 16 MiB" in found[2].why


_MEASURED = """
import re, sys
from pathlib import Path
from tui.errors import FileRefused
from tui.exchange.sources import open_source

try:
    open_source(Path(sys.argv[1])).count(lambda: None)
except FileRefused as error:
    print(error)
# Unlike what getrusage tells, this is not what the process was forked from.
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10)
"""


@pytest.mark.fault("F03")
@pytest.mark.parametrize(
    ("name", "begin", "piece", "count", "says"),
    [
        ("b.jsonl", '{"palaver": "thread", "version": 1}\n', '{"prompt":"","status":"done"}\n', MESSAGE_LIMIT + 2,
         "b.jsonl has more than 1,000,000 turns."),
        ("c.json", '[{"mapping": {', '"m":{},', THREAD_LIMIT // 6,
         "c.json has a conversation longer than 64 MiB."),
    ],
    ids=["turns", "bytes"],
)  # fmt: skip
def test_what_is_refused_for_its_size_takes_little_memory(
    tmp_path: Path, name: str, begin: str, piece: str, count: int, says: str
) -> None:
    file = written(tmp_path / name, begin + piece * count)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(file)], capture_output=True, text=True, timeout=100, check=True
    )
    told_, mebibytes = done.stdout.splitlines()
    assert told_ == says
    assert int(mebibytes) < 200


@pytest.mark.fault("F04")
async def test_archives_that_are_bombs_are_refused(t: Talk, tmp_path: Path) -> None:
    bomb, nested, packed = tmp_path / "bomb.zip", tmp_path / "nested.zip", tmp_path / "c.json.gz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", b'[{"mapping": "' + b" " * (40 << 20) + b'"}]')
    inner = io.BytesIO(bomb.read_bytes())
    with zipfile.ZipFile(nested, "w") as archive:
        archive.writestr("conversations.zip", inner.getvalue())
    packed.write_bytes(b"\x1f\x8b\x08" + b"x" * 100)
    found = await take_in(t.chat, bomb, nested, packed)
    assert [one.result for one in found] == [Result.REFUSED] * 3
    assert "unpacks to more than 100 times its size" in found[0].why
    assert "has no conversations.json in it" in found[1].why
    assert "is compressed" in found[2].why


@pytest.mark.fault("F04")
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
async def test_archives_that_are_damaged_are_refused_wherever_it_is(t: Talk, tmp_path: Path, method: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("conversations.json", json.dumps([files.chatgpt(("user", "a" * 300), ("assistant", "b"))]))
    data = packed.getvalue()
    # Between the name in its head and the list of contents there is nothing but the packed file.
    begin, end = data.index(b"conversations.json") + len(b"conversations.json"), data.index(b"PK\x01\x02")
    for at in range(begin, end, max(1, (end - begin) // 20)):
        broken = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        (outcome,) = await take_in(t.chat, written(tmp_path / "c.zip", broken))
        assert outcome.result is Result.REFUSED, at
    assert await t.chat.sessions() == []


@pytest.mark.parametrize(
    ("at", "new"),
    [
        # The list of contents says that the file begins before the archive, behind its end, shortly before that.
        (-22 + 16, struct.pack("<L", 0xFFFFFF)),
        (-22 - 46 - 18 + 42, struct.pack("<L", 0xFFFFFF)),
        (-22 - 46 - 18 + 42, struct.pack("<L", 100)),
    ],
    ids=["before", "behind", "within"],
)
async def test_archives_whose_list_of_contents_lies_are_refused(t: Talk, tmp_path: Path, at: int, new: bytes) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("conversations.json", json.dumps([files.chatgpt(("user", "a"), ("assistant", "b"))]))
    data = bytearray(packed.getvalue())
    data[len(data) + at : len(data) + at + len(new)] = new
    (outcome,) = await take_in(t.chat, written(tmp_path / "c.zip", bytes(data)))
    assert outcome.result is Result.REFUSED
    assert "c.zip cannot be unpacked" in outcome.why


async def test_a_database_whose_damage_is_no_text_is_refused_in_words(t: Talk, tmp_path: Path) -> None:
    data = files.new_llm_log(tmp_path / "logs.db").read_bytes()
    (outcome,) = await take_in(
        t.chat, written(tmp_path / "f.db", data.replace(b"CREATE TABLE parts", b"CREATE \xff\xfeBLE parts"))
    )
    assert (outcome.result, outcome.why) == (Result.REFUSED, "f.db is damaged.")


@pytest.mark.fault("F05")
@pytest.mark.parametrize("version", [2, 0, -1, "1", None, 1.0, True])
async def test_versions_that_are_not_known_are_named(t: Talk, tmp_path: Path, version: Any) -> None:
    head = {"palaver": "thread", "version": version, "label": "x"}
    (outcome,) = await take_in(t.chat, written(tmp_path / "b.jsonl", files.bundle(files.turn(), head=head)))
    says = (
        "is a bundle of version 2; this Palaver reads 1" if version == 2 else f"its version is {json.dumps(version)}."
    )
    assert (outcome.result, says in outcome.why) == (Result.REFUSED, True), outcome.why


@pytest.mark.fault("F17")
async def test_what_a_later_version_adds_is_passed_over(t: Talk, tmp_path: Path) -> None:
    head = {"palaver": "thread", "version": 1, "label": "work", "mood": {"good": True}}
    more = files.turn("p", "a", stars=5)
    more["answer"] += [
        {"kind": "video", "text": "of a cat", "frames": []},
        {"kind": "message", "state": "sung", "text": "b"},
    ]
    (turn,) = await turns_in(t, written(tmp_path / "b.jsonl", files.bundle(more, head=head)))
    assert told([turn]) == [("p", [("message", "", "a"), ("notice", "video", "of a cat"), ("message", "", "b")])]


@pytest.mark.fault("F07")
@pytest.mark.parametrize("parent", ["m1", "m3", "gone", "m2"])
async def test_trees_that_hang_on_themselves_are_read_as_far_as_they_hang_together(
    t: Talk, tmp_path: Path, parent: str
) -> None:
    talk_ = files.chatgpt(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
    talk_["mapping"]["m2"]["parent"] = parent
    turns = await turns_in(t, written(tmp_path / "c.json", [talk_]))
    assert [(turn.prompt, turn.text) for turn in turns][-1] == ("c", "d")
    assert len(turns) == (2 if parent == "m1" else 1)


@pytest.mark.fault("F07")
@pytest.mark.parametrize(
    ("parent", "prompts"), [("u1-1", ["a", "c"]), ("u1-2", ["c"]), ("u1-3", ["c"]), ("gone", ["c"])]
)
async def test_branches_of_claude_s_that_hang_on_themselves(
    t: Talk, tmp_path: Path, parent: str, prompts: list[str]
) -> None:
    talk_ = files.claude(("human", "a"), ("assistant", "b"), ("human", "c"), ("assistant", "d"))
    for before, message in zip(["", "u1-0", parent, "u1-2"], talk_["chat_messages"], strict=True):
        message["parent_message_uuid"] = before
    turns = await turns_in(t, written(tmp_path / "c.json", [talk_]))
    assert [turn.prompt for turn in turns] == prompts
    assert turns[-1].text == "d"


@pytest.mark.fault("F07")
async def test_a_log_whose_messages_hang_in_a_circle(t: Talk, tmp_path: Path) -> None:
    log = files.new_llm_log(tmp_path / "logs.db")
    conn = sqlite3.connect(log)
    conn.execute("UPDATE messages SET parent_hash = 'd' WHERE hash = 'a'")
    conn.commit()
    conn.close()
    (turn,) = await turns_in(t, log)
    assert turn.text == "done"


@pytest.mark.fault("F03")
async def test_yaml_of_more_values_than_fit_into_memory_is_refused(t: Talk, tmp_path: Path) -> None:
    def session(messages: int) -> str:
        return "messages:\n" + "- {role: user, content: x}\n" * messages

    found = await take_in(
        t.chat,
        written(tmp_path / "few.yaml", session(100)),
        written(tmp_path / "many.yaml", session(VALUES_LIMIT // 4)),
    )
    assert [one.result for one in found] == [Result.IMPORTED, Result.REFUSED]
    assert "many.yaml has more than 200,000 values" in found[1].why


async def test_yaml_that_stands_for_more_than_it_says_is_refused(t: Talk, tmp_path: Path) -> None:
    laughs = "a: &a [x, x]\nb: &b [*a, *a]\nmessages: [*b]\n"
    deep = "messages: " + "[" * 50_000
    found = await take_in(
        t.chat,
        written(tmp_path / "l.yaml", laughs),
        written(tmp_path / "d.yaml", deep),
        written(tmp_path / "n.yaml", "a: 1\n"),
    )
    assert [one.result for one in found] == [Result.REFUSED] * 3
    assert ["references" in found[0].why, "nest" in found[1].why, "no messages" in found[2].why] == [True] * 3


@pytest.mark.fault("D16")
async def test_a_database_with_a_journal_beside_it_is_refused(t: Talk, tmp_path: Path) -> None:
    for suffix in ("-wal", "-journal"):
        log = files.old_llm_log(tmp_path / f"{suffix[1:]}.db")
        log.with_name(log.name + suffix).write_bytes(b"x")
        (outcome,) = await take_in(t.chat, log)
        assert (outcome.result, f"has a {suffix} file beside it" in outcome.why) == (Result.REFUSED, True)


async def test_a_label_is_mended_or_given(t: Talk, tmp_path: Path) -> None:
    for number, label in enumerate(("a\nb\x1b[2J", "", "x" * 5_000, 7, "  ")):
        head = {"palaver": "thread", "version": 1, "label": label}
        await turns_in(t, written(tmp_path / "b.jsonl", files.bundle(files.turn(str(number)), head=head)))
    labels = [session.label for session in await t.chat.sessions()]
    assert labels == ["imported-3", "imported-2", "x" * 119 + "…", "imported", "a b␛[2J"]
    both = [written(tmp_path / f"{name}.jsonl", files.bundle(files.turn(name))) for name in "xy"]
    with pytest.raises(UsageError, match="there are several"):
        await take_in(t.chat, *both, label="mine")
    (outcome,) = await take_in(t.chat, both[0], label="mine")
    assert outcome.session is not None
    assert outcome.session.label == "mine"


async def test_only_a_file_is_read(t: Talk, tmp_path: Path) -> None:
    """What has no end, or no one at its other one, is not begun with."""
    os.mkfifo(tmp_path / "pipe")
    async with asyncio.timeout(10):
        outcomes = await take_in(t.chat, tmp_path / "pipe", Path("/dev/zero"), tmp_path)
    assert [outcome.result for outcome in outcomes] == [Result.REFUSED] * 3
    assert [outcome.why for outcome in outcomes[:2]] == ["pipe is not a file.", "zero is not a file."]
