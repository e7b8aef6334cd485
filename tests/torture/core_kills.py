"""`kill -9` of a chat on its history, without a window, a few milliseconds after it began: thousands of times in minutes.

Each life runs in a process forked from one that is warm and has never opened SQLite. It tells of everything that has to
outlive it; the next one looks whether it did, then goes on in the same history, and is killed in turn. Now and then the
history is one of the first version of Palaver, so that the next life has to upgrade it, and may be killed over that.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import select
import signal
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import sqlite_utils.migrations  # noqa: F401 - not once more in every fork

import tui.client.protocols.responses
import tui.exchange.bundle
import tui.exchange.one_thread
import tui.exchange.sources
import tui.exchange.writing
import tui.store.sql.imports  # noqa: F401 - likewise
from tests.fake_server import PROFILE, completed, delta
from tests.store.histories import rows
from tests.torture.io_faults import forked, make_old, tell_on
from tests.torture.report import Report
from tui.chat import Chat
from tui.client import Client
from tui.config import Config
from tui.errors import PalaverError, UsageError
from tui.exchange import Form, Result
from tui.model import Mapping, Session, Turn
from tui.store import Store, schema
from tui.store.upkeep import check

MEMORY = "/dev/shm"
LIVES = 40
"""Lives that share one history, before another one begins."""

WORD = "x" * 1500 + " "
"""One piece of an answer: large, so that text is saved while it streams, not only at its end."""

WORDS = 6
OLD = 0.1
"""The share of lives that find a history of the first version."""

TAKEN = "in "
"""How the labels of sessions begin that were taken in from a file: no one speaks in them."""

Tell = Callable[[object], None]


@dataclass
class Ledger:
    """What has to be found in a history, by those who told of it.

    `sent` are prompts, `kept` the text of turns and `ended` their end, by prompt; `fields` the values each session may
    have: those it had, which need not have been told of before, and those that were being saved since. `written` are
    files, and `taken` how many turns a session has, by its label, that is taken in from a file.
    """

    sent: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    fields: dict[str, list[list[Any]]] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    taken: dict[str, int] = field(default_factory=dict)

    def note(self, told: dict[str, Any]) -> None:
        match told:
            case {"sent": prompt}:
                self.sent.append(prompt)
            case {"kept": [prompt, pieces, status]}:
                self.kept[prompt] = WORD * pieces
                if status:
                    self.ended[prompt] = status
            case {"trying": [session_id, *values], "before": before}:
                self.fields.setdefault(session_id, [before]).append(values)
            case {"saved": [session_id, *values]}:
                self.fields[session_id] = [values]
            case {"written": name}:
                self.written.append(name)
            case {"taking": [label, turns]}:
                self.taken[label] = turns


class Server(httpx.AsyncBaseTransport):
    """Answers at once; now and then it has forgotten the conversation."""

    def __init__(self, tell: Tell, chance: random.Random) -> None:
        self._tell = tell
        self._chance = chance

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(await request.aread())
        previous = body.get("previous_response_id")
        if previous and self._chance.random() < 0.2:
            error = {
                "code": "previous_response_not_found",
                "message": f"Previous response with id '{previous}' not found.",
            }
            return httpx.Response(404, json={"error": error | {"param": "previous_response_id"}})
        self._tell({"sent": body["input"][-1]["content"]})
        number = self._chance.randrange(1 << 60)
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=_Stream(f"resp_{number}"))


class _Stream(httpx.AsyncByteStream):
    def __init__(self, response_id: str) -> None:
        self._id = response_id

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in [*[delta(WORD)] * WORDS, completed(WORD * WORDS, self._id)]:
            yield f"data: {json.dumps(event)}\n\n".encode()
            await asyncio.sleep(0.001)


class Watched(Store):
    """A store that tells of what it has saved."""

    tell: Tell

    async def save(
        self, turn: Turn, since: Turn | None, session: Session, mapping: Mapping | None = None, *, keeps: bool = False
    ) -> Turn | None:
        saved = await super().save(turn, since, session, mapping, keeps=keeps)
        if saved:
            self.tell({"kept": [turn.prompt, len(turn.text) // len(WORD), turn.status if turn.status.is_final else ""]})
        return saved


class Life:
    """One process: looks at what the ones before it left, then says and does things until it is killed."""

    def __init__(self, file: Path, number: int, ledger: Ledger, tell: Tell, seed: int) -> None:
        self._file = file
        self._folder = file.parent.parent
        self._number = number
        self._ledger = ledger
        self._tell = tell
        self._chance = random.Random(seed)
        self._store = Watched(file)
        self._store.tell = tell
        client = Client(transport_of=lambda _profile: Server(tell, self._chance))
        self._chat = Chat(self._store, client, Config({PROFILE.name: PROFILE}, PROFILE.name))

    async def run(self) -> None:
        wrong = list(check(self._file).wrong) if self._file.exists() and self._file.stat().st_size else []
        await self._store.open()
        wrong += (
            [*self._store.notices, self._store.health.message] if self._store.health.message else self._store.notices
        )
        self._tell({"checked": [*wrong, *self.missed()], "recovered": self._store.recovered})
        count = 0
        while True:
            count += 1
            await self._act(f"k{self._number}n{count}")

    def missed(self) -> list[str]:
        """What is not there as it was told, and what is there that must not be."""
        file, ledger = self._file, self._ledger
        texts: dict[str, list[tuple[str, str]]] = {}
        for prompt, status, text in rows(
            file,
            "SELECT p.text, t.status, coalesce(a.text, '') FROM turns t "
            "JOIN items p ON p.turn_id = t.id AND p.position = 0 "
            "LEFT JOIN items a ON a.turn_id = t.id AND a.position = 1 "
            "JOIN sessions s ON s.id = t.session_id AND s.label NOT LIKE ?",
            f"{TAKEN}%",
        ):
            texts.setdefault(prompt, []).append((status, text))
        times = {prompt: len(texts.get(prompt, [])) for prompt in set(ledger.sent)}
        wrong = [f"{prompt} was sent, and is there {found} times" for prompt, found in times.items() if found != 1]
        for prompt, text in ledger.kept.items():
            found = texts.get(prompt, [("", "")])[0]
            if not found[1].startswith(text) or found[0] != ledger.ended.get(prompt, found[0]):
                end = ledger.ended.get(prompt, "no end")
                wrong.append(f"{prompt}: {len(text)} characters, {end} were told; there is {found[0]} {len(found[1])}")
        sessions = {
            row[0]: list(row[1:]) for row in rows(file, "SELECT id, label, deleted_at IS NULL, turns FROM sessions")
        }
        for session_id, allowed in ledger.fields.items():
            values = sessions.get(session_id)
            if not any(_agrees(values, one) for one in allowed):
                wrong.append(f"session {session_id} is {values}, and may be {allowed}")
        if running := rows(file, "SELECT id FROM turns WHERE status IN ('pending', 'streaming')"):
            wrong.append(f"turns without an end: {running}")
        if moved := rows(file, _UNLIKE):
            wrong.append(f"conversations that are not those of the newest answers: {moved}")
        return wrong + self._missed_of_files()

    def _missed_of_files(self) -> list[str]:
        """What is there by half of what came from a file, and of files."""
        wrong = []
        for label, said, turns in rows(self._file, _TAKEN_IN, f"{TAKEN}%"):
            if (wanted := self._ledger.taken.get(label)) != said or turns != said:
                wrong.append(f"{label} was taken in with {said} of {wanted} turns, and tells of {turns}")
        files = {file.name: file for file in self._folder.glob("*.jsonl")}
        wrong += [f"{name} was written and is gone" for name in self._ledger.written if name not in files]
        for name, file in files.items():
            lines = file.read_bytes().splitlines()
            if not lines or "end" not in json.loads(lines[-1]):
                wrong.append(f"{name} is there by half")
        copies = [one for one in self._file.parent.glob("history.db.backup-*") if ".part" not in one.name]
        return wrong + [f"{one.name} is there by half" for one in copies if not _is_sound(one)]

    async def _act(self, name: str) -> None:
        sessions = [one for one in await self._chat.sessions() if not one.label.startswith(("fork", TAKEN))]
        session = self._chance.choice(sessions) if len(sessions) > 2 else await self._chat.open(name)
        match self._chance.choice(["talk"] * 4 + ["stop", "rename", "delete", "fork"] + ["hand on"] * 3):
            case "talk":
                self._chat.send(session, name)
                await self._chat.settled(session.id)
            case "stop":
                self._chat.send(session, name)
                await asyncio.sleep(self._chance.uniform(0, 0.01))
                self._chat.cancel(session.id)
                await self._chat.settled(session.id)
            case "rename":
                await self._change(session, [name, True], self._chat.rename(session.id, name))
            case "delete":
                await self._change(session, [session.label, False], self._chat.delete(session.id))
                await self._change(session, [session.label, True], self._chat.restore(session.id))
            case "fork" if session.turns:
                try:
                    forked = await self._chat.conversations.fork(session, f"fork {name}", None)
                except PalaverError:
                    return
                self._tell({"saved": [forked.session.id, f"fork {name}", True, forked.session.turns]})
            case "hand on" if session.turns:
                await self._hand_on(session, name)

    async def _hand_on(self, session: Session, name: str) -> None:
        """Write a session to a file, and take it in again from there."""
        file = self._folder / f"{name}.jsonl"
        try:
            exported = await self._chat.exchange.export(session, Form.BUNDLE, file)
        except UsageError:
            return
        self._tell({"written": file.name})
        turns = len(exported.plan.outline.turns)
        self._tell({"taking": [f"{TAKEN}{name}", turns]})
        async for outcome in self._chat.exchange.take_in([file], f"{TAKEN}{name}"):
            if outcome.result is Result.IMPORTED and outcome.session is not None:
                self._tell({"saved": [outcome.session.id, f"{TAKEN}{name}", True, turns]})

    async def _change(self, session: Session, values: list[Any], work: Any) -> None:
        self._tell({"trying": [session.id, *values], "before": [session.label, session.deleted_at is None]})
        await work
        self._tell({"saved": [session.id, *values]})


_UNLIKE = """
SELECT s.label, t.conversation_id, c.conversation_id FROM sessions s
JOIN turns t ON t.branch_id = s.branch_id AND t.depth =
    (SELECT max(depth) FROM turns WHERE branch_id = s.branch_id AND status = 'done')
LEFT JOIN conversations c ON c.branch_id = s.branch_id
WHERE t.conversation_id <> coalesce(c.conversation_id, '')
"""


_TAKEN_IN = """
SELECT s.label, count(p.id), s.turns FROM sessions s
LEFT JOIN turns t ON t.session_id = s.id AND t.status NOT IN ('pending', 'streaming')
LEFT JOIN items p ON p.turn_id = t.id AND p.position = 0
WHERE s.label LIKE ? GROUP BY s.id
"""


def _is_sound(file: Path) -> bool:
    try:
        return rows(file, "PRAGMA integrity_check") == [("ok",)]
    except sqlite3.DatabaseError:
        return False


def _agrees(values: list[Any] | None, told: list[Any]) -> bool:
    return values is not None and all(value == one for value, one in zip(values, told, strict=False))


def run(count: int, seed: int) -> Report:
    """So many kills, each a random moment after a life's beginning or after it has looked around."""
    report, chance = Report("kill-core"), random.Random(seed)
    while report.counts["kills"] < count:
        # In memory where there is such a place: a killed process loses nothing that a disk would keep.
        place = MEMORY if os.access(MEMORY, os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix="palaver-core-", dir=place) as name:
            ledger = Ledger()
            for number in range(1, min(LIVES, count - report.counts["kills"]) + 1):
                file = Path(name) / "data" / "history.db"
                is_old = chance.random() < OLD and file.exists() and _make_old(file)
                _one(file, number, ledger, chance, report, is_old=is_old)
            last = _Child(Path(name) / "data" / "history.db", LIVES + 1, ledger, 0)
            last.until_checked(report, ledger)
            last.kill(report, ledger)
    return report


class _Child:
    """A life, from outside."""

    def __init__(self, file: Path, number: int, ledger: Ledger, seed: int) -> None:
        self._reading, writing = os.pipe()
        self._rest = b""
        self._name = f"life {number}"
        self.is_checked = False
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(self._reading)
                life = Life(file, number, ledger, lambda value: tell_on(writing, value), seed)
                asyncio.run(life.run())
            except BaseException as error:  # noqa: BLE001 - told to the parent, whatever it is
                tell_on(writing, {"checked": [f"it ended: {error!r}"], "recovered": 0})
            finally:
                os._exit(70)
        os.close(writing)

    def hear(self, seconds: float, report: Report, ledger: Ledger) -> bool:
        """Take what it tells within so many seconds. False where it has ended."""
        if not select.select([self._reading], [], [], max(0.0, seconds))[0]:
            return True
        data = os.read(self._reading, 1 << 16)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "checked" in told:
                self.is_checked = True
                report.wrong += [f"{self._name}: {one}" for one in told["checked"]]
                report.counts["answers cut short"] += told["recovered"]
                report.counts["looks"] += 1
            else:
                report.counts["told"] += 1
                report.counts["files written"] += "written" in told
                report.counts["files being taken in"] += "taking" in told
                ledger.note(told)
        return bool(data)

    def until_checked(self, report: Report, ledger: Ledger) -> None:
        deadline = time.monotonic() + 30
        while not self.is_checked and time.monotonic() < deadline and self.hear(1.0, report, ledger):
            pass
        report.expect(self.is_checked, f"{self._name} never looked around")

    def kill(self, report: Report, ledger: Ledger) -> None:
        os.kill(self._pid, signal.SIGKILL)
        while self.hear(5.0, report, ledger):
            pass
        os.close(self._reading)
        status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        report.expect(status == -signal.SIGKILL, f"{self._name} ended with {status}")


def _make_old(file: Path) -> bool:
    """Let a history be one of the first version, in a process of its own; only one that no upgrade was broken off of."""

    def work(tell: Tell) -> None:
        if rows(file, "PRAGMA user_version") == [(schema.VERSION,)]:
            old = file.with_name("old")
            make_old(file, old)
            old.replace(file)
            tell({"old": True})

    told, _ = forked(work)
    return told == [{"old": True}]


def _one(
    file: Path, number: int, ledger: Ledger, chance: random.Random, report: Report, *, is_old: bool = False
) -> None:
    child = _Child(file, number, ledger, chance.randrange(1 << 30))
    report.counts["histories of the first version"] += is_old
    # One in four is killed while it starts, and half of those that upgrade; what it would have found, the next one finds.
    if chance.random() < (0.5 if is_old else 0.75):
        child.until_checked(report, ledger)
    # One in ten has the time for what takes long, such as files.
    deadline = time.monotonic() + chance.uniform(0.002, 0.3 if chance.random() < 0.1 else 0.042)
    while (left := deadline - time.monotonic()) > 0 and child.hear(left, report, ledger):
        pass
    child.kill(report, ledger)
    report.counts["kills"] += 1
