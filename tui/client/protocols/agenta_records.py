"""What an Agenta server has kept of a session: its records, the runs they belong to, and what these say.

A run writes its records while it works, under a number that counts from nought; they may come late, in batches and in
any order. Servers differ in what they call a record's fields, and older ones do not say which run it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from tui.client.protocols.agenta_events import AgentaReader, finish_of
from tui.client.protocols.agenta_parts import finish_word, parts_of
from tui.client.protocols.fields import Payload, rows, table, text
from tui.client.reply import Reply
from tui.model import Item, ItemKind, ItemState, Turn, Usage
from tui.runner import Fold
from tui.values import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `event` is what happened, `index` its place in its run. `at` is seconds since the epoch."""

    id: str
    kind: str
    event: Payload
    index: int | None = None
    by_user: bool = False
    turn: str = ""
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What was written of one run, in its order. `start` is the index its first record has, or would have."""

    records: tuple[Record, ...]
    start: int = 0

    @property
    def turn(self) -> str:
        return self.records[0].turn

    @property
    def prompt(self) -> str | None:
        """What the user said to begin it; None where nothing was, or it was not written."""
        said = [text(record.event.get("text")) for record in self.records if record.by_user]
        return "\n\n".join(said) if said else None

    @property
    def stop(self) -> str | None:
        """The word for why it ended; None while it has not."""
        ends = [record for record in self.records if record.kind == "done"]
        return next((text(one.event.get("stopReason")) for one in reversed(ends)), None)

    @property
    def ready(self) -> tuple[Record, ...]:
        """The records before the first gap: what comes late cannot change their order."""
        wanted = self.start
        for place, record in enumerate(self.records):
            if record.index is not None and record.index > wanted:
                return self.records[:place]
            wanted = max(wanted, record.index + 1) if record.index is not None else wanted
        return self.records

    @property
    def is_whole(self) -> bool:
        """Whether it ended, and all of it is here."""
        return self.stop is not None and len(self.ready) == len(self.records)

    def asked(self, tokens: frozenset[str]) -> bool:
        """Whether it asked the user one of the questions of those names."""
        return any(
            record.kind == "interaction_request" and text(record.event.get("id")) in tokens for record in self.records
        )


@dataclass(frozen=True, slots=True)
class Account:
    """What runs say: their items, the tokens they used, and how they ended. `failure` is the error they ended with."""

    items: tuple[Item, ...] = ()
    usage: Usage | None = None
    failure: Reply | None = None
    stop: str | None = None
    asks: bool = False

    @property
    def size(self) -> int:
        """How much there is to read, in characters."""
        return sum(len(item.text) for item in self.items)

    @property
    def finish(self) -> str:
        """The word for how it ended."""
        stop = self.stop or ""
        return finish_of(stop if stop == "cancelled" else finish_word(stop), asks=self.asks)

    @property
    def ended_well(self) -> bool:
        return self.failure is None and self.stop not in (None, "cancelled", "error")

    @property
    def ends_in_words(self) -> bool:
        """Whether the last thing in it is an answer, or a question."""
        return bool(self.items) and self.items[-1].kind in (ItemKind.MESSAGE, ItemKind.APPROVAL)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of a session's runs belong to a turn.

    It is the one that `prompt` began (or the one the server calls `turn`) with what went on from it; with `is_steered`
    only that. Where a question was answered, the one of a name in `asked`, it is what came after the run that asked it;
    `known` are the ids of the records that were there before.
    """

    prompt: str = ""
    turn: str = ""
    is_steered: bool = False
    asked: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()

    def among(self, runs: list[Run], *, is_running: bool) -> list[Run]:
        """Those of `runs` that belong to the turn; none while they cannot be told from others."""
        chosen = self._after_question(runs) if self.asked else self._from_prompt(runs)
        if is_running and chosen and chosen[-1] is runs[-1] and chosen[-1].is_whole:
            # Something runs that nothing is written of yet, and this has ended: it may be the same words, said before.
            return []
        return chosen

    def _after_question(self, runs: list[Run]) -> list[Run]:
        asking = [place for place, run in enumerate(runs) if run.asked(self.asked)]
        if asking:
            return runs[asking[-1] + 1 :]
        return [run for run in runs if any(record.id not in self.known for record in run.records)]

    def _from_prompt(self, runs: list[Run]) -> list[Run]:
        begun = [place for place, run in enumerate(runs) if self._is_begun_by(run)]
        if not begun:
            return self._newest(runs)
        if self.is_steered:
            return runs[begun[-1] + 1 :]
        chosen = runs[begun[-1] : begun[-1] + 1]
        for run in runs[begun[-1] + 1 :]:
            if run.prompt is not None and chosen[-1].stop not in (None, "cancelled"):
                break
            chosen.append(run)
        return chosen

    def _newest(self, runs: list[Run]) -> list[Run]:
        """The newest run, where prompts are not written, or it is one that needed none."""
        newest = runs[-1:]
        if self.is_steered and any(run.stop == "cancelled" for run in newest):
            return []
        by_prompt = runs if self.is_steered else newest
        return [] if any(run.prompt is not None for run in by_prompt) else newest

    def _is_begun_by(self, run: Run) -> bool:
        if self.turn and run.turn:
            return run.turn == self.turn
        said = _words(run.prompt or "")
        return bool(said) and (said == _words(self.prompt) or self.prompt.endswith(f"({run.prompt})"))


def read_records(answer: object) -> list[Record]:
    """The records in a server's answer, each once; those that came too late to count are left out."""
    found: dict[str, Record] = {}
    for number, row in enumerate(rows(table(answer).get("records"))):
        if row.get("quarantined_at"):
            continue
        event = table(row.get("attributes")) or table(row.get("payload"))
        index = row.get("record_index", row.get("event_index"))
        name = text(row.get("record_id")) or text(row.get("id")) or f"#{number}"
        found[name] = Record(
            id=name,
            kind=text(row.get("record_type")) or text(row.get("session_update")) or text(event.get("type")),
            event=event,
            index=index if isinstance(index, int) and not isinstance(index, bool) else None,
            by_user=(row.get("record_source") or row.get("sender")) == "user",
            turn=text(row.get("turn_id")),
            at=read_time(row.get("timestamp")) or read_time(row.get("created_at")),
        )
    return list(found.values())


def read_time(value: object) -> float | None:
    """Seconds since the epoch, or None where `value` is no time."""
    try:
        time = datetime.fromisoformat(text(value))
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def runs_of(records: Iterable[Record]) -> list[Run]:
    """The runs that records belong to, the oldest first."""
    named: dict[str, list[Record]] = {}
    unnamed: list[Record] = []
    seen: dict[tuple[str, int | None], list[Payload]] = {}
    for record in records:
        if not record.turn:
            unnamed.append(record)
            continue
        same = seen.setdefault((record.turn, record.index), [])
        if record.event not in same:
            # One that was written twice, as its writer tries again when it hears nothing, is still one.
            same.append(record.event)
            named.setdefault(record.turn, []).append(record)
    runs = _split(unnamed) + [Run(_in_order(group)) for group in named.values()]
    times = [min((record.at for record in run.records if record.at is not None), default=None) for run in runs]
    if None in times:
        return runs
    return [run for _, run in sorted(zip(times, runs, strict=True), key=lambda one: one[0] or 0.0)]


def _split(records: list[Record]) -> list[Run]:
    """The runs of records that do not say which they belong to: told apart by where one ends, or counting begins again."""
    indices = [record.index for record in records if record.index is not None]
    counts_on = len(set(indices)) == len(indices)
    groups: list[list[Record]] = []
    for record in _in_order(records) if counts_on else records:
        if not groups or _begins_another(record, groups[-1], counts_on=counts_on):
            groups.append([])
        groups[-1].append(record)
    runs: list[Run] = []
    for group in groups:
        before = [record.index for record in runs[-1].records if record.index is not None] if runs and counts_on else []
        runs.append(Run(_in_order(group), max(before, default=-1) + 1))
    return runs


def _begins_another(record: Record, group: list[Record], *, counts_on: bool) -> bool:
    if not counts_on:
        return record.index is not None and any(one.index == record.index for one in group)
    return group[-1].kind == "done" or (record.by_user and not group[-1].by_user)


def _in_order(records: list[Record]) -> tuple[Record, ...]:
    """By index; what has none stays behind what it came after."""
    keys: list[int] = []
    for record in records:
        keys.append(record.index if record.index is not None else max(keys, default=0))
    return tuple(records[place] for place in sorted(range(len(records)), key=lambda place: keys[place]))


def tell(runs: list[Run], *, whole: bool = True) -> Account:
    """What `runs` say, as one turn. Without `whole`, only what no late record can come before."""
    reader, fold = AgentaReader(), Fold(Turn("", "", 0, ""))
    failure: Reply | None = None
    stop: str | None = None
    for run in runs:
        for record in run.records if whole else run.ready:
            if record.by_user:
                continue
            if record.kind == "error":
                failure = Reply(0, text(record.event.get("message")), text(record.event.get("code")), form="json")
            elif record.kind == "done":
                stop = text(record.event.get("stopReason")) or stop or ""
            else:
                for part in parts_of(record.kind, record.event, record.id):
                    for event in reader.part(part):
                        fold.apply(event)
        if run is not runs[-1]:
            failure = stop = None
    told = fold.snapshot()
    items = tuple(item for item in told.items if item.text or item.name or item.state is not ItemState.NONE)
    return Account(items, told.usage, failure, stop, bool(reader.open))


def _words(said: str) -> str:
    return " ".join(said.split())
