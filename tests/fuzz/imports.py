"""Targets that read other programs' files, given as bytes: what is taken in can be written, read again, and is the same."""

from __future__ import annotations

import io
import json
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

from tests.exchange import files
from tests.fuzz import inputs
from tests.fuzz.engine import Check, Target
from tui.errors import FileRefused
from tui.exchange import large_json
from tui.exchange.bundle import BundleWriter
from tui.exchange.markdown import MarkdownWriter
from tui.exchange.mask import Mask
from tui.exchange.names import file_name, handle, mended_label
from tui.exchange.outline import Outline, heading
from tui.exchange.page import PageWriter
from tui.exchange.sources import open_source
from tui.exchange.thread import Refusal, Thread
from tui.model import Turn, check_label
from tui.text import FORBIDDEN, storable

PART = 40
"""The bytes from which on a value is read part by part, where that is tried."""

PARTS_EVERY = 4
"""Of so many inputs that is tried with one, the same one each time."""

Seeds = Callable[[Path], Sequence[bytes]]
Make = Callable[[Random, Sequence[bytes]], bytes]

WRITTEN_EVERY = 16
"""Of so many inputs that are threads, one is written in every form."""

AICHAT = b"""model: openai:gpt-5
messages:
- role: system
  content: Be brief.
- role: user
  content:
  - type: text
    text: Look at this
  - type: image_url
    image_url: {url: "data:,x"}
- role: assistant
  content: |
    Two lines,
    of YAML.
- role: tool
  content:
    text: before
    tool_results:
    - call: {id: c1, name: search, arguments: {q: 1}}
      output: found
"""


def bundles(_: Path) -> list[bytes]:
    some = [files.turn("a", "b\n\nc", model="m", at="2026-01-01T10:00:00Z"), files.turn("d", status="cancelled")]
    calls = {"kind": "tool_call", "name": "run", "text": '{"q": 1}', "call": "1", "state": "denied"}
    some.append({"prompt": "e", "status": "interrupted", "answer": [calls, {"kind": "reasoning", "text": "hm"}]})
    return [files.bundle(*some[: number + 1]).encode() for number in range(len(some))]


def chatgpt(_: Path) -> list[bytes]:
    plain = files.chatgpt(("system", ""), ("user", "Why?"), ("assistant", "Because."))
    rich = files.chatgpt(("user", "Do it"), ("assistant", "Done."), ("user", "Thanks"), title="")
    rich["mapping"]["m3"] = files.node("tool", "", parent="m2", author={"role": "tool", "name": "python"},
                                       content={"content_type": "execution_output", "text": "2"})  # fmt: skip
    rich["mapping"]["m4"] = files.node("assistant", "", parent="m3", content={"content_type": "thoughts", "thoughts": [
        {"summary": "Looking", "content": "hm"}]})  # fmt: skip
    return [json.dumps(value).encode() for value in ([plain], [plain, rich | {"current_node": "m4"}])]


def claude(_: Path) -> list[bytes]:
    plain = files.claude(("human", "Why?"), ("assistant", "Because."))
    rich = files.claude(("human", "Look"), ("assistant", "I see."), source="u2", name="")
    rich["chat_messages"][1]["content"] = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "tool_use", "id": "t1", "name": "search", "input": {"q": 1}},
        {"type": "tool_result", "tool_use_id": "t1", "name": "search", "content": [{"type": "text", "text": "found"}]},
        {"type": "text", "text": "I see."},
    ]
    rich["chat_messages"][0]["attachments"] = [{"file_name": "a.txt", "extracted_content": "text of a file"}]
    return [json.dumps(value).encode() for value in ([plain], [plain, rich])]


def archives(_: Path) -> list[bytes]:
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", method) as archive:
            archive.writestr("conversations.json", chatgpt(Path())[0])
            archive.writestr("user.json", b"{}")
        found.append(packed.getvalue())
    return found


def llm(folder: Path) -> list[bytes]:
    return [_packed(files.old_llm_log(folder / "old.db")), _packed(files.new_llm_log(folder / "new.db"))]


def agents(folder: Path) -> list[bytes]:
    items = (
        {"role": "user", "content": "Why?"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Because."}]},
        {"type": "function_call", "call_id": "c1", "name": "search", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "found"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
    )
    return [_packed(files.agents_sessions(folder / "agents.db", *items))]


def _packed(file: Path) -> bytes:
    """A database's bytes, with as little between its values as there can be."""
    with closing(sqlite3.connect(file, isolation_level=None)) as conn:
        conn.execute("PRAGMA page_size = 512")
        conn.execute("VACUUM")
    return file.read_bytes()


def in_place(chance: Random, known: Sequence[bytes]) -> bytes:
    """A known file in which bytes are other ones, so that what stands behind them stays in its place."""
    if chance.random() < 0.1:
        return inputs.make(chance, known)
    data = bytearray(chance.choice(known))
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data))
        if chance.random() < 0.5:
            # Where there is nothing but noughts there is nothing to change.
            at = next((place for place in range(at, len(data)) if data[place]), at)
        new = chance.choice(inputs.WORDS)[:12] if chance.random() < 0.4 else chance.randbytes(chance.randrange(1, 4))
        end = min(len(data), at + len(new))
        data[at:end] = new[: end - at]
    if chance.random() < 0.05:
        del data[chance.randrange(len(data)) :]
    return bytes(data)


def cells(chance: Random, known: Sequence[bytes]) -> bytes:
    """A known database in which values are other ones; or bytes of it are."""
    if chance.random() < 0.4:
        return in_place(chance, known)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        conn.deserialize(chance.choice(known))
        names = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'"
        places = [place for place in conn.execute(names) if not place[0].startswith("sqlite_")]
        for _ in range(chance.randrange(1, 4)):
            table, column = chance.choice(places)
            found = conn.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
            row, value = chance.choice(found) if found else (0, None)
            with suppress(sqlite3.IntegrityError):
                conn.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (_cell(chance, value), row))
        return conn.serialize()


def _cell(chance: Random, value: Any) -> Any:
    """Another value in place of one in a database."""
    if isinstance(value, str) and value.startswith("{") and chance.random() < 0.8:
        return json.dumps(inputs.changed(chance, json.loads(value)))
    return chance.choice((None, 0, -1, (1 << 63) - 1, 1.5, "", "[", "a", "b", "\U0001f600", "NaN", b"\xff", b""))


def values(chance: Random, known: Sequence[bytes]) -> bytes:
    """A known file of JSON in which values are other ones; or bytes of it are."""
    if chance.random() < 0.4:
        return inputs.make(chance, known)
    lines = chance.choice(known).splitlines()
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(lines))
        lines[at] = json.dumps(inputs.changed(chance, json.loads(lines[at]))).encode()
    return b"\n".join(lines)


def _ready(name: str, seeds: Seeds, make: Make) -> tuple[Callable[[Random], bytes], Check]:
    folder = Path(tempfile.mkdtemp(prefix="palaver-fuzz-"))
    known = seeds(folder)
    file, again = folder / name, folder / "again.palaver.jsonl"
    seen = 0

    def check(data: bytes) -> None:
        nonlocal seen
        file.write_bytes(data)
        threads = _threads(file)
        if file.suffix == ".json" and not crc32(data) % PARTS_EVERY:
            _check_parts(file, threads)
        for thread in threads:
            seen += 1
            _check_thread(thread)
            if seen % WRITTEN_EVERY == 0 and thread.turns:
                _check_written(thread, again)

    return lambda chance: make(chance, known), check


def _threads(file: Path) -> list[Thread]:
    """The threads in a file; none where it is refused, which has to be in words."""
    found = []
    try:
        source = open_source(file)
        try:
            count = source.count(lambda: None)
            for one in source.threads():
                count -= 1
                if isinstance(one, Refusal):
                    _in_words(one.why)
                else:
                    found.append(one)
            assert count >= 0, "there were more threads than were counted"
        finally:
            source.close()
    except FileRefused as error:
        _in_words(str(error))
    return found


def _check_parts(file: Path, threads: Sequence[Thread]) -> None:
    """Read part by part, as what is large is, a file is the same."""
    usual, large_json.LARGE = large_json.LARGE, PART
    try:
        in_parts = _threads(file)
    finally:
        large_json.LARGE = usual
    assert list(map(_told, in_parts)) == list(map(_told, threads))


def _told(thread: Thread) -> tuple[Any, ...]:
    return replace(thread, turns=()), list(map(_said, thread.turns))


def _in_words(told: str) -> None:
    assert told
    assert not FORBIDDEN.search(told), ascii(told)


def _check_thread(thread: Thread) -> None:
    for label in (mended_label(thread.label), handle(thread.title)):
        assert check_label(label) == label
        assert "/" not in file_name(label, ".md")
    assert [turn.depth for turn in thread.turns] == [*range(len(thread.turns))]
    for turn in thread.turns:
        assert turn.status.is_final
        keys = [item.key for item in turn.items]
        assert len(keys) == len(set(keys))


def _check_written(thread: Thread, file: Path) -> None:
    """A thread, as the history would have it, is the same once it was written and read again."""
    turns = [_stored(turn) for turn in thread.turns]
    headings = tuple(heading(turn, number, Mask()) for number, turn in enumerate(turns, 1))
    outline = Outline(mended_label(thread.label), storable(thread.title), headings)
    for writer in (BundleWriter(), MarkdownWriter(), PageWriter()):
        told = writer.head(outline) + "".join(writer.turn(turn, {}) for turn in turns) + writer.foot(outline)
        file.write_text(told, encoding="utf-8")
        assert not FORBIDDEN.search(told.replace("\n", "").replace("\t", "")), writer
        if isinstance(writer, BundleWriter):
            (read,) = _threads(file)
            assert list(map(_said, read.turns)) == list(map(_said, turns))


def _stored(turn: Turn) -> Turn:
    items = [
        replace(item, text=storable(item.text), name=storable(item.name), call_id=storable(item.call_id))
        for item in turn.items
    ]
    return replace(turn, prompt=storable(turn.prompt), model=storable(turn.model), items=tuple(items))


def _said(turn: Turn) -> tuple[Any, ...]:
    return turn.prompt, turn.status, turn.model, [(item.kind, item.name, item.text) for item in turn.items]


def _yaml(chance: Random, known: Sequence[bytes]) -> bytes:
    data = inputs.make(chance, known) if chance.random() < 0.3 else inputs.whole(chance, known)
    if chance.random() < 0.3:
        # A value is said to be of another kind.
        at = data.find(b" ", chance.randrange(len(data) + 1)) + 1
        kind = chance.choice(
            ("bool", "int", "float", "timestamp", "binary", "null", "set", "omap", "pairs", "str", "map")
        )
        data = data[:at] + f"!!{kind} ".encode() + data[at:]
    return data


def _target(told: str, name: str, seeds: Seeds, make: Make) -> Target:
    return Target(told, lambda: _ready(name, seeds, make))


TARGETS = {
    "bundle": _target("bundles of Palaver's", "a.palaver.jsonl", bundles, values),
    "chatgpt": _target("exports of ChatGPT", "conversations.json", chatgpt, values),
    "claude": _target("exports of Claude", "conversations.json", claude, values),
    "archive": _target("exports in archives", "export.zip", archives, in_place),
    "llm": _target("logs of llm", "logs.db", llm, cells),
    "agents-sdk": _target("sessions of the Agents SDK", "agents.db", agents, cells),
    "aichat": _target("sessions of aichat", "session.yaml", lambda _: [AICHAT], _yaml),
}
