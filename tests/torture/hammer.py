"""A process that writes turns as fast as it can, and tells of each one that is saved: `python -m tests.torture.hammer PLAN`.

It stops itself (SIGSTOP) or kills itself inside a transaction where the plan says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.store.histories import a_session, a_turn, said
from tui.errors import LabelTaken, SessionBusy
from tui.model import Session, TurnStatus
from tui.store import Store


@dataclass
class Plan:
    """What to do: `own` sessions a writer each, and some more that write to `shared` ones."""

    file: str
    name: str
    seconds: float
    own: int = 3
    shared: tuple[str, ...] = ("shared",)
    stop_at: int = 0
    kill_at: int = 0

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.torture.hammer", json.dumps(asdict(self))]


class Hammer:
    """All writers of one process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._store = Store(Path(plan.file))
        self._end = 0.0
        self._commits = 0
        self._calls = 0
        self._busy = 0
        self._longest = 0.0
        self._errors: list[str] = []

    async def run(self) -> None:
        self._watch_commits()
        self._store.on_health = lambda health: self._errors.append(health.message) if health.message else None
        await self._store.open()
        self._end = time.monotonic() + self._plan.seconds
        labels = [*(f"{self._plan.name}-{number}" for number in range(self._plan.own)), *self._plan.shared]
        await asyncio.gather(*(self._write(label) for label in labels))
        unsaved = self._store.health.unsaved
        await self._store.close()
        _tell({"calls": self._calls, "commits": self._commits, "longest": self._longest, "busy": self._busy,
               "errors": self._errors, "unsaved": unsaved})  # fmt: skip

    async def _write(self, label: str) -> None:
        session = await self._session(label)
        number = 0
        while time.monotonic() < self._end:
            number += 1
            prompt = f"{self._plan.name} {label} {number}"
            try:
                turn = await self._timed(self._store.begin(a_turn(session, prompt), session))
            except SessionBusy:
                self._busy += 1
                await asyncio.sleep(0.001)
                continue
            saved, text = turn, ""
            for word in ("one ", "two ", "three"):
                text += word
                growing = said(turn, text, status=TurnStatus.DONE if word == "three" else TurnStatus.STREAMING)
                await self._timed(self._store.save(growing, saved, session))
                saved = growing
            if not self._store.health.unsaved:
                _tell({"session": label, "prompt": prompt, "text": text})

    async def _session(self, label: str) -> Session:
        try:
            return await self._store.find(label) or await self._store.create(a_session(label))
        except LabelTaken:
            found = await self._store.find(label)
            assert found is not None
            return found

    async def _timed(self, work: Any) -> Any:
        begun = time.monotonic()
        try:
            return await work
        finally:
            self._calls += 1
            self._longest = max(self._longest, time.monotonic() - begun)

    def _watch_commits(self) -> None:
        """Count them, and stop or die within one."""

        def step(statement: str) -> None:
            if statement == "COMMIT":
                self._commits += 1
                if self._commits == self._plan.stop_at:
                    os.kill(os.getpid(), signal.SIGSTOP)
                if self._commits == self._plan.kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        def watched(*args: Any, **options: Any) -> sqlite3.Connection:
            conn = sqlite3.Connection(*args, **options)
            conn.set_trace_callback(step)
            return conn

        sqlite3.connect = watched


def _tell(value: object) -> None:
    os.write(1, json.dumps(value).encode() + b"\n")


if __name__ == "__main__":
    asyncio.run(Hammer(Plan(**json.loads(sys.argv[1]))).run())
