"""Every disk operation of a scripted session fails, falls short or is the last one, in turn: nothing that was said to be
saved is ever lost.

`sweep` runs the script once for each operation and each way to fail, in processes forked from one that is warm and has
never opened SQLite. Each run tells how far it came; a second process then opens what is left and compares.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlite_utils
from sqlite_utils.migrations import Migrations

from tests.store.histories import NOW, a_mapping, a_session, a_turn, is_whole, rows, said
from tui.errors import StoreError
from tui.model import Session, Turn, TurnStatus
from tui.store import Store, schema
from tui.store.salvage import _TABLES

MODES = {
    "EIO": 1,
    "ENOSPC once": 2,
    "ENOSPC for good": 3,
    "short write": 4,
    "kill before": 5,
    "kill after": 6,
    "power loss": 7,
    "power loss in part": 8,
}
FATAL = ("kill before", "kill after", "power loss", "power loss in part")
SOURCE = Path(__file__).with_name("shim.c")
MEMORY = "/dev/shm"
ROOT = Path(__file__).parent.parent.parent

State = dict[str, Any]
Step = tuple[str, Callable[["Script"], Any]]


class Script:
    """A session from its making to its second start, step by step. After each step it says how things should stand."""

    def __init__(self, file: Path, tell: Callable[[object], None]) -> None:
        self.store = Store(file)
        self.session = a_session()
        self._tell = tell
        self._turn: Turn | None = None
        self._begun: list[str] = []
        self._saved: Turn | None = None
        self._is_refused = False

    async def run(self, steps: list[Step], *, careless: bool = False) -> None:
        """Take the steps; if `careless`, without ever waiting for the disk, as Palaver never does."""
        await self.store.open()
        if careless:
            await self.store._call(lambda: self.store._keeper._db.conn.execute("PRAGMA synchronous = OFF").close())
        for number, (_, step) in enumerate(steps, 1):
            self._tell({"begun": number})
            await step(self)
            self._tell({"done": number, "saved": self._is_saved()})
        await self.store._heal()
        self._tell({"done": len(steps), "saved": self._is_saved()})
        await self.store.close()
        self._tell({"done": len(steps), "saved": self._is_saved(), "closed": True})

    def _is_saved(self) -> bool:
        return not self.store.health.message and not self.store.health.unsaved and not self._is_refused

    async def create(self) -> None:
        await self.store.create(self.session)

    async def begin(self, prompt: str) -> None:
        self._turn = self._saved = await self.store.begin(a_turn(self.session, prompt), self.session, "A title")
        self._begun.append(self._turn.id)

    async def say(self, text: str, status: TurnStatus = TurnStatus.STREAMING, conversation_id: str = "") -> None:
        assert self._turn is not None
        self._turn = replace(said(self._turn, text, status=status), conversation_id=conversation_id)
        mapping = a_mapping(self.session, conversation_id) if conversation_id else None
        if await self.store.save(self._turn, self._saved, self.session, mapping):
            self._saved = self._turn

    async def change(self, **changes: Any) -> None:
        await self.store.update(self.session.id, **changes)

    async def fork(self, turns: int) -> None:
        forked = a_session("forked")
        await self._at_once(lambda: self.store.fork(forked, self._begun[turns - 1]))

    async def take_in(self, *prompts: str) -> None:
        session = a_session("imported")
        turns = [said(a_turn(session, prompt), "answer", status=DONE) for prompt in prompts]
        await self._at_once(lambda: self.store.take_in(session, turns, "source", on_top=True))

    async def _at_once(self, make: Callable[[], Awaitable[object]]) -> None:
        """What is made at once or not at all: where it is refused, it is asked for once more."""
        for _ in range(2):
            try:
                await make()
            except StoreError:
                self._is_refused = True
                await self.store._heal()
            else:
                self._is_refused = False
                return


DONE, CANCELLED = TurnStatus.DONE, TurnStatus.CANCELLED
STEPS: list[Step] = [
    ("create", lambda s: s.create()),
    ("begin the first turn", lambda s: s.begin("first?")),
    ("first words", lambda s: s.say("one")),
    ("more words", lambda s: s.say("one two")),
    ("last words", lambda s: s.say("one two three", DONE, "conv_1")),
    ("begin the second turn", lambda s: s.begin("second?")),
    ("half an answer", lambda s: s.say("half")),
    ("cancel", lambda s: s.say("half", CANCELLED)),
    ("rename", lambda s: s.change(label="renamed")),
    ("delete", lambda s: s.change(deleted_at=NOW)),
    ("restore", lambda s: s.change(deleted_at=None)),
    ("begin the third turn", lambda s: s.begin("third?")),
    ("a whole answer", lambda s: s.say("all of it", DONE, "conv_2")),
    ("draft", lambda s: s.change(draft="to be continued")),
    ("fork", lambda s: s.fork(2)),
    ("import", lambda s: s.take_in("theirs", "more", "last")),
]


def states() -> list[State]:
    """How the history stands after no step, the first, the second and so on, to one who opens it after a crash."""
    label, deleted, draft, conversation = "", False, "", ""
    turns: list[list[str]] = []
    forked: list[str] = []
    imported: list[str] = []
    found: list[State] = []

    def note() -> None:
        found.append({"label": label, "deleted": deleted, "draft": draft, "conversation": conversation,
                      "turns": [list(turn) for turn in turns], "forked": list(forked), "imported": list(imported)})  # fmt: skip

    note()
    label = "work"
    note()
    turns.append(["first?", "", "interrupted"])
    note()
    for text in ("one", "one two"):
        turns[-1][1] = text
        note()
    turns[-1][1:], conversation = ["one two three", "done"], "conv_1"
    note()
    turns.append(["second?", "", "interrupted"])
    note()
    turns[-1][1] = "half"
    note()
    turns[-1][2] = "cancelled"
    note()
    label = "renamed"
    note()
    deleted = True
    note()
    deleted = False
    note()
    turns.append(["third?", "", "interrupted"])
    note()
    turns[-1][1:], conversation = ["all of it", "done"], "conv_2"
    note()
    draft = "to be continued"
    note()
    forked = ["first?", "second?"]
    note()
    imported = ["theirs", "more", "last"]
    note()
    return found


async def state_of(file: Path) -> tuple[State, str]:
    """How it stands now, and what the store has to say about it."""
    store = Store(file)
    await store.open()
    try:
        sessions: list[Session] = [*await store.sessions(), *await store.sessions(deleted=True)]
        said = "; ".join([*store.notices, store.health.message])
        if not sessions:
            return states()[0], said
        (session,) = (one for one in sessions if one.label not in ("forked", "imported"))
        turns = await store.turns(session.id)
        if [turn.depth for turn in turns] != list(range(len(turns))):
            said += f"depths {[turn.depth for turn in turns]}"
        mapping = await store.conversations.get(session.id, "https://host:443", "responses", "")
        return {
            "label": session.label,
            "deleted": session.deleted_at is not None,
            "draft": session.draft,
            "conversation": mapping.conversation_id if mapping else "",
            "turns": [[turn.prompt, turn.text, turn.status.value] for turn in turns],
            **{
                label: [turn.prompt for one in sessions if one.label == label for turn in await store.turns(one.id)]
                for label in ("forked", "imported")
            },
        }, said.strip("; ")
    finally:
        await store.close()


def violations(file: Path, told: list[dict[str, Any]], steps: int) -> list[str]:
    """What is wrong with the file a run left behind, given what that run told."""
    least = max((one["done"] for one in told if one.get("saved")), default=0)
    most = max((one[key] for one in told for key in ("begun", "done") if key in one), default=0)
    found, said = asyncio.run(state_of(file))
    wrong = [f"opening it: {said}"] if said else []
    if found not in states()[least : most + 1]:
        wrong.append(f"steps {least} to {most} were told, but it holds {json.dumps(found)}")
    if told and told[-1].get("closed") and told[-1]["saved"] and found != states()[steps]:
        wrong.append(f"closed with everything saved, but it holds {json.dumps(found)}")
    if not is_whole(file):
        wrong.append("it is not whole")
    if running := rows(file, "SELECT id, status FROM turns WHERE status IN ('pending', 'streaming')"):
        wrong.append(f"turns without an end: {running}")
    if doubles := rows(file, "SELECT branch_id, depth FROM turns GROUP BY 1, 2 HAVING count(*) > 1"):
        wrong.append(f"places taken twice: {doubles}")
    return wrong


# Runs, in forks of a warm process


class Shim:
    """The library that was loaded before all others, as this process can talk to it."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._library.iof_count.restype = ctypes.c_long
        self._library.iof_set.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int]

    def set(self, folder: Path, at: int, mode: int) -> None:
        self._library.iof_set(str(folder).encode(), at, mode)

    @property
    def count(self) -> int:
        return int(self._library.iof_count())


def tell_on(pipe: int, value: object) -> None:
    os.write(pipe, json.dumps(value).encode() + b"\n")


def forked(work: Callable[[Callable[[object], None]], None]) -> tuple[list[dict[str, Any]], int]:
    """Do `work` in a process of its own. Gives what it told, and how it ended (negative: by a signal)."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            os.close(reading)
            work(lambda value: tell_on(writing, value))
            status = 0
        except BaseException as error:  # noqa: BLE001 - told to the parent, whatever it is
            tell_on(writing, {"error": repr(error)})
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as stream:
        told = [json.loads(line) for line in stream]
    return told, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@dataclass
class Case:
    """One way to run: a script on a folder, new or copied from a template."""

    name: str
    steps: list[Step]
    template: Path | None = None
    careless: bool = False

    def run(self, folder: Path, tell: Callable[[object], None], shim: Shim, at: int, mode: int) -> None:
        shim.set(folder, at, mode)
        asyncio.run(Script(folder / "history.db", tell).run(self.steps, careless=self.careless))
        tell({"count": shim.count})

    def check(self, folder: Path, told: list[dict[str, Any]]) -> list[str]:
        if self.template is not None:
            # The steps were taken before the template was made.
            told = [*told, {"done": len(STEPS), "saved": True}]
        return violations(folder / "history.db", told, len(STEPS))


@dataclass
class Result:
    """What a sweep came to."""

    points: int = 0
    runs: int = 0
    killed: int = 0
    wrong: list[str] = field(default_factory=list)


def make_old(file: Path, old: Path) -> None:
    """What a history holds, as the first version of Palaver kept it."""
    steps = Migrations("palaver")
    steps()(schema.m001_initial)
    with closing(sqlite3.connect(old, isolation_level=None)) as conn:
        conn.execute("ATTACH ? AS new", (str(file),))
        conn.execute("BEGIN")
        steps.apply(sqlite_utils.Database(conn, execute_plugins=False))
        for table in ("meta", *_TABLES):
            names = ", ".join(row[1] for row in conn.execute(f"PRAGMA main.table_info({table})"))
            if not names:
                continue  # newer than that version
            conn.execute(f"INSERT OR REPLACE INTO main.{table} ({names}) SELECT {names} FROM new.{table}")
        conn.execute(
            "INSERT INTO items_fts (rowid, text) SELECT i.id, i.text FROM main.items i JOIN main.turns t ON t.id = i.turn_id "
            "WHERE i.kind IN ('prompt', 'message') AND t.status NOT IN ('pending', 'streaming')"
        )
        conn.execute("PRAGMA main.user_version = 1")
        conn.execute("COMMIT")
    old.chmod(0o600)


def one_run(case: Case, shim: Shim, scratch: Path, at: int, mode: str) -> tuple[int, bool, list[str]]:
    """Run a case with one fault. Gives how many operations it took, whether it was killed, and what is wrong."""
    folder = scratch / "data"
    if case.template is not None:
        shutil.copytree(case.template, folder)
    else:
        folder.mkdir(mode=0o700)
    try:
        told, status = forked(lambda tell: case.run(folder, tell, shim, at, MODES.get(mode, 0)))
        killed = status == -signal.SIGKILL
        count = told.pop()["count"] if told and "count" in told[-1] else 0
        wrong = [f"the run ended with {status}: {told[-1:]}"] if status != 0 and not (killed and mode in FATAL) else []
        if mode in ("EIO", "ENOSPC once", "short write") and not (told and told[-1].get("saved")) and not wrong:
            wrong.append("it was not saved although only one operation failed")
        checks, status = forked(lambda tell: tell(case.check(folder, told)))
        wrong += checks[0] if status == 0 else [f"it could not be checked: {checks}"]
        return count, killed, [f"{case.name}, {mode} at {at}: {one}" for one in wrong]
    finally:
        shutil.rmtree(folder)


def share(every: int, offset: int, modes: list[str], deadline: float, careless: bool) -> Result:
    """Every `every`th point from `offset` on, of all cases and modes, until there is no time left."""
    shim, result = Shim(), Result()
    # In memory where there is such a place: the faults are the library's, not the disk's.
    with tempfile.TemporaryDirectory(prefix="palaver-io-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as name:
        scratch = Path(name)
        template, made = scratch / "template", scratch / "made"
        for folder in (template, made):
            folder.mkdir(mode=0o700)
        for work in (
            lambda tell: asyncio.run(Script(made / "history.db", tell).run(STEPS)),
            lambda _tell: make_old(made / "history.db", template / "history.db"),
        ):
            told, status = forked(work)
            assert status == 0, told[-1:]
        cases = [Case("session", STEPS, careless=careless), Case("upgrade", [], template)]
        plan: list[tuple[Case, int, str]] = []
        for case in cases:
            points, _, wrong = one_run(case, shim, scratch, 0, "nothing")
            result.points += points
            result.wrong += wrong
            plan += [(case, at, mode) for at in range(1, points + 1) for mode in modes]
        for case, at, mode in plan[offset::every]:
            if time.monotonic() < deadline:
                _, killed, wrong = one_run(case, shim, scratch, at, mode)
                result.runs += 1
                result.killed += killed
                result.wrong += wrong
    return result


def build(folder: Path) -> Path | None:
    """The library, made with the machine's compiler; None where there is none."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    library = folder / "shim.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    return library


def sweep(
    *,
    every: int = 1,
    modes: list[str] | None = None,
    workers: int = 2,
    seconds: float = 3600.0,
    careless: bool = False,
) -> Result | None:
    """All points and modes, or every `every`th, shared by `workers` processes. None where there is no compiler."""
    with tempfile.TemporaryDirectory(prefix="palaver-shim-") as name:
        library = build(Path(name))
        if library is None:
            return None
        environment = {**os.environ, "LD_PRELOAD": str(library)}
        plans = [
            (every * workers, every * number, modes or list(MODES), seconds, careless) for number in range(workers)
        ]
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.torture.io_faults", json.dumps(plan)],
                cwd=ROOT, env=environment, stdout=subprocess.PIPE,
            )
            for plan in plans
        ]  # fmt: skip
        total = Result()
        for process in processes:
            out, _ = process.communicate()
            if process.returncode != 0:
                total.wrong.append(f"a worker ended with {process.returncode}")
                continue
            part = Result(**json.loads(out))
            total.points = part.points
            total.runs += part.runs
            total.killed += part.killed
            total.wrong += part.wrong
        return total


if __name__ == "__main__":
    _every, _offset, _modes, _seconds, _careless = json.loads(sys.argv[1])
    print(json.dumps(vars(share(_every, _offset, _modes, time.monotonic() + _seconds, _careless))))
