"""Inputs: made of known ones, of words that matter, of chance; the same for the same seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from tests.client.protocols.recordings import recordings
from tests.payloads import payloads

MOST = 400
"""Bytes of a known input that are used: many short inputs find more than few long ones."""

WORDS = tuple(
    b"\n |\r|\r\n|\r\n\r\n|\n\n|\xef\xbb\xbf|\xef|\xbb|\x00|\xff|\xc3|\xe2\x80\xa8|data:|data: |event: error\n|id: 1\n|"
    b'retry: 10\n|:|[DONE]|{|}|[|]|"|\\|\\ud800|null|true|-1|1e999|NaN|99999999999999999999|[[[[[[[[|<think>|</think>|'
    b"```|> |- |1. |# |~~~|$$|---\n|<a>|](|![|*|_|`|http://a/%1b]0;x|&#x1b;|&#x202e;|\xe2\x80\xae|\xe2\x80\x8b|"
    b"\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81|\xf3\xa0\x81\x81|\x1b]52;c;eA==\x07|\x9b|\xc2\x9b|\t|<!--|error|type|message".split(
        b"|"
    )
)
VALUES: tuple[Any, ...] = (None, True, False, 0, -1, 1 << 70, 1.5, float("inf"), "", "x", "\ud800", "\x1b[2J", [], {}, [[]],
                           [None], [{}], {"": None}, {"type": 1}, "error", ["a"], {"text": "t"})  # fmt: skip


def vectors() -> list[bytes]:
    """The streams that decoders are tested with."""
    lines = (Path(__file__).parent.parent / "client/sse-vectors.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"].encode() for line in lines if '"text"' in line]


def streams(protocol: str = "") -> list[bytes]:
    """Bodies that real servers sent as events."""
    return [one.body for one in recordings() if one.streamed and protocol in ("", one.protocol)]


def errors() -> list[bytes]:
    """Bodies with which real servers refused."""
    return [one.body for one in recordings() if one.status >= 400 and one.body]


def hostile() -> list[bytes]:
    """Text that terminals or parsers have been made to obey."""
    return [text.encode("utf-8", "surrogatepass") for text in payloads()]


def make(chance: Random, known: Sequence[bytes]) -> bytes:
    """An input: a part of a known one, or of two, changed in a few places; or, rarely, nothing but chance."""
    if chance.random() < 0.05:
        return b"".join(chance.choices(WORDS, k=chance.randrange(30))) + chance.randbytes(chance.randrange(20))
    return _touched(chance, bytearray(_part(chance, chance.choice(known))), known)


def whole(chance: Random, known: Sequence[bytes]) -> bytes:
    """A known input, all of it, changed in a few places."""
    return _touched(chance, bytearray(chance.choice(known)), known)


def _touched(chance: Random, data: bytearray, known: Sequence[bytes]) -> bytes:
    for _ in range(chance.randrange(5)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                del data[at : at + chance.randrange(1, 20)]
            case 1:
                data[at:at] = chance.choice(WORDS)
            case 2:
                data[at : at + 1] = chance.randbytes(1)
            case 3:
                data[at:at] = data[at : at + chance.randrange(60)] * chance.randrange(1, 4)
            case 4:
                data[at:] = _part(chance, chance.choice(known))
            case _:
                data[at:at] = chance.choice(WORDS) * chance.randrange(1, 12)
    return bytes(data)


def with_events(chance: Random, events: Sequence[Any]) -> bytes:
    """Events in a row, as JSON lines, with fields that were changed, lost or given to another."""
    lines: list[str] = []
    for _ in range(min(chance.randrange(1, 9), chance.randrange(1, 9))):
        event = chance.choice(events)
        if chance.random() < 0.7:
            event = changed(chance, event)
        lines.append(json.dumps(event))
    return "\n".join(lines).encode()


def changed(chance: Random, value: Any) -> Any:
    """A JSON value in which one place is another one."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(list(value))
        match chance.randrange(8):
            case 0:
                return {key: one for key, one in value.items() if key != name}
            case 1:
                return {**value, name: value[chance.choice(list(value))]}
            case _:
                return {**value, name: changed(chance, value[name])}
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        return [*value[:at], changed(chance, value[at]), *value[at + chance.randrange(2) :]]
    return chance.choice(VALUES)


def _part(chance: Random, data: bytes) -> bytes:
    if len(data) <= MOST:
        return data
    at = chance.choice((0, chance.randrange(len(data))))
    return data[at : at + chance.randrange(1, MOST)]
