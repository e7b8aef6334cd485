"""Another process with the same history: does what it is told on standard input, a line of JSON for each step.

`python -m tests.store.other FILE [--user UID] [--newer]`; with a user it gives up all rights of root first.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.store.histories import a_session, a_turn, said
from tui.chat import Chat
from tui.client import Client
from tui.config import Config, Profile
from tui.errors import PalaverError
from tui.model import Session, Turn, TurnStatus
from tui.store import Store, schema

HERE = Profile(name="here", protocol="responses", base_url="http://server.localhost:1/v1")
ROOT = Path(__file__).parent.parent.parent


class Other:
    """That process, from the test's side."""

    def __init__(self, file: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.other", str(file), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        self.pid = self.process.pid

    def __enter__(self) -> Other:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def tell(self, name: str, *values: object) -> None:
        """Say what to do, and do not wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, *values]).encode() + b"\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        """What came of the oldest thing it was told: a value, or the error's name and message."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the other process ended"
        return json.loads(line)

    def do(self, name: str, *values: object) -> Any:
        self.tell(name, *values)
        return self.hear()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


class Steps:
    """What it can do."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.store = Store(file)
        self.sessions: dict[str, Session] = {}
        self.turns: dict[str, Turn] = {}
        self.lock = -1
        self.conn: sqlite3.Connection | None = None

    async def ready(self) -> int:
        return os.getpid()

    async def open(self) -> list[object]:
        """How many answers it found cut short, and how the history fares."""
        await self.store.open()
        return [self.store.recovered, self.store.health.message]

    async def close(self) -> bool:
        """Whether all is saved."""
        await self.store.close()
        return not self.store.health.unsaved

    async def labels(self) -> list[str]:
        return [session.label for session in await self.store.sessions()]

    async def texts(self, label: str) -> list[str]:
        session = await self._session(label)
        return [turn.text for turn in await self.store.turns(session.id)]

    async def create(self, label: str) -> str:
        self.sessions[label] = await self.store.create(a_session(label))
        return self.sessions[label].id

    async def join(self, label: str) -> str:
        """As a front end opens a session: made if it is new."""
        self.sessions[label] = await Chat(self.store, Client(), Config({HERE.name: HERE}, HERE.name)).open(label)
        return self.sessions[label].id

    async def begin(self, label: str, prompt: str) -> int:
        session = await self._session(label)
        self.turns[label] = await self.store.begin(a_turn(session, prompt), session)
        return self.turns[label].depth

    async def say(self, label: str, text: str, status: str = "streaming") -> bool:
        before = self.turns[label]
        self.turns[label] = said(before, text, status=TurnStatus(status))
        return await self.store.save(self.turns[label], before, await self._session(label)) is not None

    async def many(self, label: str, count: int) -> int:
        """So many whole turns, each saved three times. Gives how many were really saved."""
        saved = 0
        for number in range(count):
            await self.begin(label, f"prompt {number} of {os.getpid()}")
            steps = [
                await self.say(label, "one"),
                await self.say(label, "one two"),
                await self.say(label, "all", "done"),
            ]
            saved += all(steps) and not self.store.health.unsaved
        return saved

    async def take(self, label: str, dies_at: str) -> None:
        """Make the first prompt that waits a turn, and die at a statement of that; at none: once it is one."""
        session = await self._session(label)
        first, *_ = await self.store.queues.get(session.id) or ()

        def die(statement: str) -> None:
            if statement.startswith(dies_at):
                os._exit(9)

        if dies_at:
            database = self.store._keeper._db
            assert database is not None
            await self.store._call(database.conn.set_trace_callback, die)
        await self.store.queues.begin(first, a_turn(session, first.prompt), session, "")
        os._exit(9)

    async def health(self) -> str:
        return self.store.health.message

    async def heal(self) -> str:
        await self.store._heal()
        return self.store.health.message

    async def reopen(self) -> bool:
        """Begin again with a connection of now."""
        await self.store._call(self.store._keeper._reopen)
        return True

    async def limit(self, size: int) -> bool:
        """Let no file grow beyond this."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        return True

    async def take_lock(self) -> bool:
        """Palaver's own lock, and keep it."""
        self.lock = os.open(f"{self.file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        return True

    async def free_lock(self) -> bool:
        os.close(self.lock)
        return True

    async def hold(self, statement: str = "") -> bool:
        """SQLite's lock, as any program could, and keep it."""
        self.conn = sqlite3.connect(self.file, isolation_level=None)
        self.conn.execute("BEGIN EXCLUSIVE")
        if statement:
            self.conn.execute(statement)
        return True

    async def let_go(self) -> bool:
        assert self.conn is not None
        self.conn.execute("ROLLBACK")
        self.conn.close()
        return True

    async def _session(self, label: str) -> Session:
        if label not in self.sessions:
            self.sessions[label] = await self.store.find(label) or a_session(label)
        return self.sessions[label]


async def _main(file: Path) -> None:
    steps = Steps(file)
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, *values = json.loads(line)
        try:
            result = await getattr(steps, name)(*values)
        except PalaverError as error:
            result = [type(error).__name__, error.message]
        print(json.dumps(result), flush=True)


def add_a_table(db: Any) -> None:
    """A migration after the last."""
    db.execute("CREATE TABLE later (id INTEGER PRIMARY KEY)")


def upgrade_schema() -> None:
    """From now on this process knows one migration more."""
    known = schema.migrations

    def migrations() -> Any:
        steps = known()
        steps()(add_a_table)
        return steps

    schema.migrations = migrations
    schema.VERSION += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--user", type=int)
    parser.add_argument("--newer", action="store_true")
    args = parser.parse_args()
    if args.newer:
        upgrade_schema()
    if args.user:
        import sqlite_utils.migrations  # noqa: F401 - before the rights to read it may be gone

        os.setgroups([])
        os.setgid(args.user)
        os.setuid(args.user)
    asyncio.run(_main(args.file))
