"""Palaver's own file for handing on a thread: JSON lines, a head, a line for each turn, an end.

What is in it is what was said, up to a point: no identifier, address or key of whoever said it. A reader passes over
fields and kinds it does not know, so that only what an older one would misread takes a new version.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tui.attachments import LARGEST_PICTURE, pictures_in
from tui.errors import FileRefused
from tui.exchange import strict_json
from tui.exchange.fields import rows, seconds, table, text
from tui.exchange.one_thread import OneThread
from tui.exchange.outline import Outline, iso_moment
from tui.exchange.packed_turns import PackedTurns
from tui.exchange.strict_json import BadJson
from tui.exchange.thread import MESSAGE_LIMIT, THREAD_LIMIT, Thread
from tui.model import Item, ItemKind, ItemState, Turn, TurnStatus
from tui.pictures import Picture, picture_of
from tui.text import FORBIDDEN

VERSION = 1
SUFFIX = ".palaver.jsonl"

_STATUSES = {TurnStatus.DONE, TurnStatus.CANCELLED, TurnStatus.INTERRUPTED}
_STATES = {ItemState.APPROVED, ItemState.DENIED, ItemState.FAILED}
_TERMINAL_OBEYS = re.compile(FORBIDDEN.pattern)


class BundleWriter:
    """Writes a thread as a bundle."""

    suffix = SUFFIX

    def head(self, outline: Outline) -> str:
        return _line({"palaver": "thread", "version": VERSION, "label": outline.label, "title": outline.title})

    def turn(self, turn: Turn, pictures: Mapping[str, Picture]) -> str:
        calls: dict[str, str] = {}
        answer = []
        for item in turn.items:
            fields = {"kind": item.kind.value, "name": item.name, "text": item.text}
            if item.call_id:
                fields["call"] = calls.setdefault(item.call_id, str(len(calls) + 1))
            if item.state in _STATES:
                fields["state"] = item.state.value
            answer.append({name: value for name, value in fields.items() if value or name == "kind"})
        at = iso_moment(turn.created_at)
        fields_of_turn: dict[str, Any] = {"prompt": turn.prompt, "status": turn.status.value}
        fields_of_turn |= {"at": at} if at else {}
        fields_of_turn |= {"model": turn.model} if turn.model else {}
        shown = [pictures[key].base64 for key in dict.fromkeys(pictures_in(turn.prompt)) if key in pictures]
        fields_of_turn |= {"pictures": shown} if shown else {}
        return _line({**fields_of_turn, "answer": answer})

    def foot(self, outline: Outline) -> str:
        return _line({"end": len(outline.turns)})


def _line(value: dict[str, Any]) -> str:
    """A line of JSON that can be shown on a terminal: whatever that would obey is written by its number."""
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _TERMINAL_OBEYS.sub(_escaped, line) + "\n"


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


class Bundle(OneThread):
    """A bundle, to be read."""

    def _read(self) -> Thread:
        # Counted before anything is read: to be refused after a million turns takes long.
        if sum(1 for _ in self._lines()) - 2 > MESSAGE_LIMIT:
            raise FileRefused(f"{self._name} has more than {MESSAGE_LIMIT:,} turns.")
        digest = hashlib.sha256()
        turns = PackedTurns()
        pictures: dict[str, Picture] = {}
        head: dict[str, Any] | None = None
        end: dict[str, Any] | None = None
        for number, line in enumerate(self._lines(), 1):
            if end is not None:
                raise FileRefused(f"{self._name} goes on after its end, in line {number:,}.")
            fields = self._fields(line, number)
            if head is None:
                head = self._checked(fields)
            elif "end" in fields:
                end = fields
            else:
                digest.update(line)
                turns.add(self._turn(fields, number))
                pictures |= self._pictures(fields, number)
        if head is None or end is None or end["end"] != len(turns):
            raise FileRefused(f"{self._name} is cut off: it ends after {len(turns):,} turns.")
        if not turns:
            raise FileRefused(f"{self._name} has no turns.")
        return Thread(
            "Palaver",
            digest.hexdigest(),
            turns,
            label=text(head.get("label")),
            title=text(head.get("title")),
            created_at=turns[0].created_at,
            is_foreign=True,
            pictures=tuple(pictures.values()),
        )

    def _lines(self) -> Iterator[bytes]:
        try:
            if self._file.stat().st_size > THREAD_LIMIT:
                raise FileRefused(f"{self._name} is larger than {THREAD_LIMIT >> 20} MiB.")
            read = 0
            with self._file.open("rb") as stream:
                while line := stream.readline(THREAD_LIMIT + 1):
                    read += len(line)
                    if read > THREAD_LIMIT:
                        raise FileRefused(f"{self._name} is larger than {THREAD_LIMIT >> 20} MiB.")
                    yield line.removeprefix(b"\xef\xbb\xbf") if read == len(line) else line
        except OSError as error:
            raise FileRefused(f"{self._name} cannot be read: {error.strerror}.") from None

    def _fields(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            fields = strict_json.read(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise FileRefused(f"{self._name} is not UTF-8 in line {number:,}, at byte {error.start:,}.") from None
        except BadJson as error:
            raise FileRefused(
                f"{self._name} cannot be read in line {number:,}, at character {error.offset + 1:,}: {error.why}."
            ) from None
        if not isinstance(fields, dict):
            raise FileRefused(f"{self._name} has something else than a turn in line {number:,}.")
        return fields

    def _checked(self, head: dict[str, Any]) -> dict[str, Any]:
        version = head.get("version")
        if head.get("palaver") != "thread" or type(version) is not int or version < 1:
            told = json.dumps(version)[:40]
            raise FileRefused(f"{self._name} is no bundle of Palaver's: its version is {told}.")
        if version > VERSION:
            raise FileRefused(
                f"{self._name} is a bundle of version {version}; this Palaver reads {VERSION}.",
                hint="a newer Palaver reads it",
            )
        return head

    def _turn(self, fields: dict[str, Any], number: int) -> Turn:
        status, prompt = text(fields.get("status")), fields.get("prompt")
        if status not in _STATUSES or not isinstance(prompt, str):
            raise FileRefused(f"{self._name} has something else than a turn in line {number:,}.")
        at = seconds(fields.get("at")) or 0.0
        answer = [table(one) for one in rows(fields.get("answer"))]
        if len(answer) > MESSAGE_LIMIT:
            raise FileRefused(f"{self._name} has more than {MESSAGE_LIMIT:,} messages in a turn.")
        calls: dict[str, str] = {}
        items = tuple(_item(one, place, calls) for place, one in enumerate(answer, 1))
        return Turn(
            "",
            "",
            0,
            prompt,
            TurnStatus(status),
            items,
            created_at=at,
            ended_at=at or None,
            model=text(fields.get("model")),
        )

    def _pictures(self, fields: dict[str, Any], number: int) -> dict[str, Picture]:
        found = {}
        given = fields.get("pictures")
        for one in given if isinstance(given, list) else []:
            try:
                picture = picture_of(base64.b64decode(text(one), validate=True))
            except ValueError:
                picture = None
            if picture is None or len(picture.data) > LARGEST_PICTURE:
                raise FileRefused(f"{self._name} has something else than a picture in line {number:,}.")
            found[picture.key] = picture
        return found


def _item(fields: dict[str, Any], place: int, calls: dict[str, str]) -> Item:
    """An item with a name of our own; `calls` are those its turn has so far, with theirs."""
    kind, state, call = text(fields.get("kind")), text(fields.get("state")), text(fields.get("call"))
    is_known = kind in set(ItemKind)
    return Item(
        str(place),
        ItemKind(kind) if is_known else ItemKind.NOTICE,
        text(fields.get("text")),
        text(fields.get("name")) or ("" if is_known else kind),
        calls.setdefault(call, str(len(calls) + 1)) if call else "",
        ItemState(state) if state in _STATES else ItemState.NONE,
    )
