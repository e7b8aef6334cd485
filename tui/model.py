"""The values Palaver is made of, from sessions down to what an attempt at a turn came to."""

from __future__ import annotations

import os
import re
import time
import unicodedata
from collections.abc import Mapping as Fields
from dataclasses import field
from enum import StrEnum
from typing import Any

from tui.errors import UsageError
from tui.patterns import pattern
from tui.pictures import Picture
from tui.values import dataclass

LABEL_LIMIT = 1024
"""The longest label, in bytes of UTF-8."""

_CONTROL = pattern(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class TurnStatus(StrEnum):
    """Where a turn stands. All but the first two are final."""

    PENDING = "pending"
    STREAMING = "streaming"
    DONE = "done"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self not in (TurnStatus.PENDING, TurnStatus.STREAMING)


class ItemKind(StrEnum):
    """What a part of an answer is."""

    MESSAGE = "message"
    REASONING = "reasoning"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    APPROVAL = "approval"
    NOTICE = "notice"


class ItemState(StrEnum):
    """How it went with what an item asks for or tells of; most items have nothing to go well or badly.

    `OPEN`: an approval that waits for the user. `APPROVED`, `DENIED`: what was said to it. `FAILED`: a tool's result that
    is an error.
    """

    NONE = ""
    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Settled:
    """What a turn says of something that an earlier one asks: of which turn and item, and how it goes with that."""

    turn_id: str
    key: str
    state: ItemState


class Provenance(StrEnum):
    """Whose a session's conversation is: the user's, one made from another one, someone else's, which can be read and
    forked but not gone on with, or one that came from someone else as a file."""

    OWN = ""
    FORKED = "forked"
    FOREIGN = "foreign"
    IMPORTED = "imported"


class TitleSource(StrEnum):
    """Who wrote a session's title; one the user wrote is never overwritten."""

    NONE = "none"
    GENERATED = "generated"
    USER = "user"


class MappingState(StrEnum):
    """What is known of a conversation id: it may be sent, it was replaced, or the server keeps no conversations."""

    LIVE = "live"
    UNSUPPORTED = "unsupported"
    DETACHED = "detached"


@dataclass(frozen=True, slots=True)
class Item:
    """A part of an answer.

    `key` names the item within its turn. `text` is what the item says: Markdown for messages and reasoning, arguments
    for tool calls and approvals, output for tool results. `name` is the tool's (or, for a message, "refusal"). A result
    belongs to the call of the same `call_id`; an approval's `call_id` is the name the server has for the question.
    """

    key: str
    kind: ItemKind
    text: str = ""
    name: str = ""
    call_id: str = ""
    state: ItemState = ItemState.NONE


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the user says to an approval.

    `for_all`: also to those like it that will follow in this session. `reason` is told to the server where it listens.
    `content` are the fields of a form that was asked for.
    """

    approved: bool
    for_all: bool = False
    reason: str = ""
    content: Fields[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the server counted them; None where it did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a turn is not done, in words for the user. `kind` is that of the error it came from."""

    kind: str
    message: str
    hint: str = ""
    status: int | None = None
    exit_status: int = 6

    def __str__(self) -> str:
        return f"{self.message.rstrip('.')} — {self.hint}" if self.hint else self.message


class AttemptKind(StrEnum):
    """Why a request was made: the first one, again after trouble, without an id the server did not know, or to take up
    a run that had gone on without us."""

    FIRST = "first"
    RETRY = "retry"
    FRESH = "fresh"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request made for a turn. Times are seconds since the epoch."""

    number: int
    kind: AttemptKind
    started_at: float
    ended_at: float | None = None
    sent_id: str = ""
    received_id: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One prompt and all that came back for it.

    `depth` is its place in the session, counted from 0. `finish` is the server's own word for why it stopped, where it
    gave one. `run` names the server's work on it, where that goes on without us. `principal` is who the server took us
    for, None where that is not known. Times are seconds since the epoch;
    `first_text_at` is when the first visible text came. `waiting_until` and `waiting_for` tell of a pause before another
    attempt, while it lasts.
    """

    id: str
    session_id: str
    depth: int
    prompt: str
    status: TurnStatus = TurnStatus.PENDING
    items: tuple[Item, ...] = ()
    created_at: float = 0.0
    first_text_at: float | None = None
    ended_at: float | None = None
    usage: Usage | None = None
    notes: tuple[str, ...] = ()
    error: Failure | None = None
    finish: str = ""
    profile: str = ""
    protocol: str = ""
    model: str = ""
    origin: str = ""
    principal: str | None = None
    conversation_id: str = ""
    run: str = ""
    attempts: tuple[Attempt, ...] = ()
    waiting_until: float | None = None
    waiting_for: str = ""

    @property
    def text(self) -> str:
        """The answer: the text of its messages, with an empty line between two."""
        return "\n\n".join(item.text for item in self.items if item.kind is ItemKind.MESSAGE and item.text)

    @property
    def has_output(self) -> bool:
        """Whether the user has been shown anything of an answer."""
        return any(item.text or item.name for item in self.items)

    @property
    def open_approvals(self) -> tuple[Item, ...]:
        """The questions in it that wait for the user's word."""
        return tuple(item for item in self.items if item.kind is ItemKind.APPROVAL and item.state is ItemState.OPEN)

    @property
    def is_context(self) -> bool:
        """Whether a server may be told of this turn as something that was said.

        What the user saw of a stopped answer is part of the talk; a turn that failed never is.
        """
        if self.status is TurnStatus.DONE:
            return True
        return self.status in (TurnStatus.CANCELLED, TurnStatus.INTERRUPTED) and bool(self.text)


@dataclass(frozen=True, slots=True)
class Scroll:
    """A place in a transcript: a turn's depth, the part of it that is drawn in one go, and a line in that; or the end."""

    depth: int = 0
    unit: int = 0
    line: int = 0
    at_end: bool = True


@dataclass(frozen=True, slots=True)
class Queued:
    """A prompt that waits in a session's queue until the turn it `follows` is done.

    `is_held` is whether the user is just changing it.
    """

    id: str
    session_id: str
    prompt: str
    created_at: float = 0.0
    follows: str = ""
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """A local, named thread of turns.

    `notice` is what has to be known of where it came from. `shared` is how many of its turns others may read on the
    server, where that is known. `branch` names the branch its turns are on; only the history sets it.
    """

    id: str
    label: str
    title: str = ""
    title_source: TitleSource = TitleSource.NONE
    profile: str = ""
    model: str = ""
    created_at: float = 0.0
    last_turn_at: float | None = None
    turns: int = 0
    last_status: TurnStatus | None = None
    pinned: bool = False
    archived_at: float | None = None
    deleted_at: float | None = None
    unread: bool = False
    draft: str = ""
    scroll: Scroll = field(default_factory=Scroll)
    notice: str = ""
    provenance: Provenance = Provenance.OWN
    shared: int | None = None
    branch: str = field(default="", compare=False)

    @property
    def last_used_at(self) -> float:
        """When something was last said in it, or when it was made, as a fork of old turns is."""
        return max(self.created_at, self.last_turn_at or 0.0)

    @property
    def name(self) -> str:
        """What to call it: its title, or its label while it has none."""
        return self.title or self.label


class HolderKind(StrEnum):
    """What holds a session while it sends in it."""

    WINDOW = "window"
    ASK = "ask"
    AGENTS = "agents"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class SessionLease:
    """Who is sending in a session, which no one else may do meanwhile.

    `turn_id` is the turn that runs, or the one before what is about to be sent. `holder` is the name of the process, never
    used twice; `process` is its number on `computer`. `heartbeat` is when it last said that it goes on, `uptime` the same
    in seconds of a clock that all of that computer's processes share. `wanted_by` is the holder that wants to take over.
    """

    session_id: str
    turn_id: str
    holder: str
    kind: HolderKind
    process: int
    computer: str
    since: float
    heartbeat: float
    uptime: float
    wanted_by: str = ""


@dataclass(frozen=True, slots=True)
class Variants:
    """The turns there are in one place of a session, oldest first, and which of them is on its present branch.

    There are several where a prompt was changed or asked again.
    """

    turn_ids: tuple[str, ...]
    place: int


@dataclass(frozen=True, slots=True)
class Branch:
    """A way a session was gone on: it parts from the others before turn `parts_at` (counted from 1) with `prompt`.

    `turn_id` is its newest turn, `turns` how many there are on it from the session's beginning. `at` is when something was
    said in it last, in seconds since the epoch.
    """

    turn_id: str
    parts_at: int
    turns: int
    prompt: str
    at: float
    is_present: bool


@dataclass(frozen=True, slots=True)
class Mapping:
    """The conversation a server keeps for a session.

    `depth` is that of the newest turn the server has in it, so that turns after it can be told. Times are seconds since
    the epoch.
    """

    session_id: str
    origin: str
    protocol: str
    principal: str
    conversation_id: str
    depth: int
    issued_at: float
    used_at: float
    state: MappingState = MappingState.LIVE


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as its server lists it. Times are seconds since the epoch; `is_own` is whether it is the user's."""

    id: str
    title: str = ""
    used_at: float | None = None
    is_own: bool = True
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """Something said earlier, as it is told to a server again. `role` is "user", "assistant", or "system" for what we
    have to say of the rest. `pictures` go along with a text that names them."""

    role: str
    text: str
    pictures: tuple[Picture, ...] = ()


def messages_of(turns: list[Turn]) -> tuple[Message, ...]:
    """What was said in `turns`, leaving out those that never became context."""
    said: list[Message] = []
    for turn in turns:
        if turn.is_context:
            said.append(Message("user", turn.prompt))
            if turn.text:
                said.append(Message("assistant", turn.text))
    return tuple(said)


def new_id() -> str:
    """A new identifier: 26 characters, unique, that sort by the time they were made (to the millisecond)."""
    number = (int(time.time() * 1000) & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def check_label(text: str) -> str:
    """The label as it is kept: without surrounding blanks, in Unicode's normal form C.

    Raises:
        UsageError: It is empty, too long, or holds a character that no one can type again.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError("The label is not valid UTF-8.", hint="check the terminal's encoding") from None
    control = _CONTROL.search(text)
    if control:
        raise UsageError(
            f"The label holds a control character (U+{ord(control[0]):04X} at position {control.start() + 1}).",
            hint="leave it out",
        )
    label = unicodedata.normalize("NFC", text.strip())
    if not label:
        raise UsageError("The label is empty.", hint="give the session a name")
    size = len(label.encode())
    if size > LABEL_LIMIT:
        raise UsageError(
            f"The label is {size:,} bytes long; the limit is {LABEL_LIMIT:,}.", hint="use a shorter one, and a title"
        )
    return label


def numbered_label(label: str, number: int) -> str:
    """`label` with a number, and without as much of its end as leaves no room for that."""
    end = f"-{number}"
    return label.encode()[: LABEL_LIMIT - len(end)].decode(errors="ignore") + end


def title_from(prompt: str, limit: int = 60) -> str:
    """A title made from a session's first prompt: its first line with words, cut at a word's end."""
    line = next((line.strip(" #>*-`\t") for line in prompt.splitlines() if line.strip(" #>*-`\t")), "")
    line = re.sub(r"\s+", " ", line)
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    head = cut.rpartition(" ")[0]
    return (head if len(head) > limit // 2 else cut).rstrip(" ,.;:") + "…"
