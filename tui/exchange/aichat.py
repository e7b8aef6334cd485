"""Sessions of the `aichat` program: a YAML file for each, with a list of messages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from tui.errors import FileRefused
from tui.exchange.fields import rows, table, text, words
from tui.exchange.one_thread import OneThread
from tui.exchange.thread import Said, Thread, TooLong, turns_of
from tui.model import ItemKind

PROGRAM = "aichat"

SIZE_LIMIT = 16 * 1024 * 1024
"""The longest file, in bytes."""

VALUES_LIMIT = 200_000
"""Values in a file, of which a message has four. Each takes 600 bytes while YAML is read, however short it is (measured)."""


class AichatSession(OneThread):
    """A session's file, to be read."""

    def _read(self) -> Thread:
        session = table(_load(self._text(), self._name))
        if not isinstance(session.get("messages"), list):
            raise FileRefused(f"{self._name} has no messages: it is no session of aichat's.")
        # What is left of messages that were summed up is as much a part of the session as the rest.
        messages = [table(one) for field in ("compressed_messages", "messages") for one in rows(session.get(field))]
        said = [one for message in messages for one in _said(message, text(session.get("model")))]
        digest = hashlib.sha256()
        for one in said:
            digest.update(f"{one.role}\0{one.text}\0".encode("utf-8", "surrogatepass"))
        try:
            return Thread(PROGRAM, digest.hexdigest(), turns_of(said), label=self._file.stem)
        except TooLong as error:
            raise FileRefused(f"{self._name} cannot be taken in: {error.why}.") from None

    def _text(self) -> str:
        try:
            with self._file.open("rb") as stream:
                data = stream.read(SIZE_LIMIT + 1)
        except OSError as error:
            raise FileRefused(f"{self._name} cannot be read: {error.strerror}.") from None
        if len(data) > SIZE_LIMIT:
            raise FileRefused(f"{self._name} is larger than {SIZE_LIMIT >> 20} MiB.")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise FileRefused(f"{self._name} is not UTF-8 at byte {error.start:,}.") from None


def _load(source: str, name: str) -> Any:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        values = 0
        for event in yaml.parse(source, Loader=loader):
            # Nothing aichat writes refers to other parts of it, and references make a little text stand for a lot.
            if isinstance(event, yaml.AliasEvent):
                raise FileRefused(f"{name} has references in it: it is no session of aichat's.")
            values += isinstance(event, yaml.ScalarEvent)
            if values > VALUES_LIMIT:
                raise FileRefused(f"{name} has more than {VALUES_LIMIT:,} values in it.")
        return yaml.load(source, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" in line {mark.line + 1:,}" if mark else ""
        raise FileRefused(f"{name} is not YAML{place}: {error.problem or error.context}.") from None
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        # PyYAML lets through whatever goes wrong while it makes a value of what a tag says is one.
        raise FileRefused(f"{name} is not YAML that can be read.") from None
    except RecursionError:
        raise FileRefused(f"{name} is nested too deeply.") from None


def _said(message: dict[str, Any], model: str) -> Iterator[Said]:
    role, content = text(message.get("role")) or "unknown", message.get("content")
    if isinstance(content, dict):
        # A message with tools: what was said before them, what was called, what came of it.
        if text(content.get("text")):
            yield Said("assistant", text(content.get("text")), model=model)
        for one in map(table, rows(content.get("tool_results"))):
            call = table(one.get("call"))
            name, call_id = text(call.get("name")), text(call.get("id"))
            yield Said("assistant", words(call.get("arguments")), ItemKind.TOOL_CALL, name, call_id)
            yield Said("tool", words(one.get("output")), ItemKind.TOOL_RESULT, name, call_id)
        return
    told = content if isinstance(content, str) else "\n\n".join(filter(None, map(_part, rows(content))))
    if told or role == "user":
        yield Said(role, told, model=model if role == "assistant" else "")


def _part(part: Any) -> str:
    fields = table(part)
    return text(fields.get("text")) or (f"[{text(fields.get('type')) or 'something'}, not taken along]")
