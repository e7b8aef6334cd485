"""Payloads through every command: its arguments, files, environment and history; on a terminal, and through pipes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.exchange.files import bundle
from tests.loopback import loopback
from tests.sequences import Reading, bare, read
from tests.terminal import Terminal
from tests.untrusted.home import Home, quoted
from tests.untrusted.server import FAILURES, KINDS, answers, framed
from tui.model import Failure, Item, ItemKind, ItemState, Mapping, Session, Turn, TurnStatus, new_id
from tui.store import Store
from tui.text import clean, one_line, storable


@dataclass(frozen=True)
class Job:
    """A command to run: the entry it is for, its arguments, and what is different in the environment.

    `is_coloured` tells that it writes styles of its own on a terminal. `shows` is what has to be in what it prints.
    """

    entry: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    is_coloured: bool = False
    shows: tuple[str, ...] = ()


@dataclass
class Found:
    """What came of it: payloads by entry, and everything read."""

    reading: Reading = field(default_factory=Reading)
    entries: dict[str, int] = field(default_factory=dict)
    looked_for: int = 0

    def note(self, entry: str, count: int) -> None:
        self.entries[entry] = self.entries.get(entry, 0) + count


def sweep(folder: Path, some: list[str], *, is_blinded: bool = False) -> Found:
    """Run every command with these payloads, once on a terminal and once through pipes."""
    found = Found()
    home = Home(folder)
    with loopback(answers(some)) as server:
        home.configure(server.url)
        asyncio.run(fill(home.history, some))
        jobs = list(_jobs(home, some))
        file = folder / "jobs.json"
        file.write_text(json.dumps([{"argv": job.argv, "env": job.env} for job in jobs]), encoding="utf-8")
        environment = home.environment | ({"PALAVER_TESTS_BLINDED": "1"} if is_blinded else {})
        for kind, outputs in (
            ("terminal", _on_terminal(file, jobs, environment)),
            ("pipe", _through_pipes(file, jobs, environment)),
        ):
            for output in outputs:
                _read(found, jobs, kind, output)
        for log in (folder / "log").glob("*"):
            found.reading.add(_named("log", read(log.read_bytes(), sequences=False, layout="\n")))
        for job in jobs:
            found.note(job.entry, len(some) if job.entry.endswith("(all)") else 1)
    return found


def _on_terminal(file: Path, jobs: list[Job], environment: dict[str, str]) -> list[bytes]:
    t = Terminal([sys.executable, "-m", "tests.untrusted.many", str(file)], (200, 50), environment)
    try:
        t.ends(20 + len(jobs))
        return [t.output]
    finally:
        t.close()


def _through_pipes(file: Path, jobs: list[Job], environment: dict[str, str]) -> list[bytes]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.untrusted.many", str(file)],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        timeout=20 + len(jobs),
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return [done.stdout, done.stderr]


def _read(found: Found, jobs: list[Job], kind: str, output: bytes) -> None:
    """Read what each job printed."""
    parts = re.split(rb"\r?\n@@ (\d+) @@\r?\n", output)
    for number, printed in zip(map(int, parts[1::2]), parts[2::2], strict=True):
        job = jobs[number]
        layout = "\r\n" if kind == "terminal" else "\n"
        found.reading.add(_named(f"{job.entry} ({kind})", read(printed, sequences=job.is_coloured, layout=layout)))
        said = bare(printed.decode("utf-8", "replace"))
        for shown in job.shows if kind == "terminal" else ():
            found.looked_for += 1
            if bare(shown) not in said:
                found.reading.wrong.append(f"{job.entry}: {shown!r} is not shown in {said[:300]!r}")


def _named(name: str, reading: Reading) -> Reading:
    return replace(reading, wrong=[f"{name}: {one}" for one in reading.wrong])


async def fill(file: Path, some: list[str]) -> None:
    """A history with payloads in every field of it, written past every check: someone else may have."""
    store = Store(file)
    await store.open()
    everything = await store.create(Session(new_id(), "everything", "Everything", profile="here"))
    for number, one in enumerate(map(storable, some)):
        text = framed(number, one)
        session = Session(
            new_id(), f"L{text}", f"T{text}", profile=f"here{one}" if number % 2 else "here", model=one, draft=f"D{text}",
            notice=f"N{text}", created_at=1.0,
        )  # fmt: skip
        session = await store.create(session)
        for where, depth, status in ((session, 0, TurnStatus.DONE), (everything, number, TurnStatus.FAILED)):
            turn = _turn(where.id, depth, text, one, status)
            await store.save(turn, None, where)
        await store.conversations.keep(
            Mapping(session.id, f"http://h{one}", f"responses{one}", one, f"C{text}", 0, 1.0, 1.0 + number)
        )
    done = _turn(everything.id, len(some), "needle", some[0], TurnStatus.DONE)
    await store.save(done, None, everything)
    await store.close()


def _turn(session_id: str, depth: int, text: str, payload: str, status: TurnStatus) -> Turn:
    states = {ItemKind.APPROVAL: ItemState.OPEN}
    items = tuple(
        Item(f"{place}{payload}", kind, f"{kind}{text}", f"i{text}", f"c{payload}", states.get(kind, ItemState.NONE))
        for place, kind in enumerate(ItemKind)
    )
    error = Failure("refused", f"E{text}", f"H{text}") if status is TurnStatus.FAILED else None
    return Turn(
        new_id(), session_id, depth, f"needle P{text} needle", status, items, 1.0, 1.0, 2.0, None, (f"note{text}",), error,
        finish=f"F{payload}", profile=f"here{payload}", protocol=f"responses{payload}", model=f"M{text}",
        origin=f"http://h{payload}", conversation_id=f"C{payload}",
    )  # fmt: skip


def _jobs(home: Home, some: list[str]) -> Iterator[Job]:
    yield from _history_jobs(some)
    yield from _server_jobs(home, some)
    for number, one in enumerate(some):
        yield from _argument_jobs(home, number, one)
        yield from _environment_jobs(home, number, one)
        yield from _configuration_jobs(home, number, one)
        yield from _file_jobs(home, number, one)


def _history_jobs(some: list[str]) -> Iterator[Job]:
    """What is in the history, printed; payloads are in all of its fields."""
    marked = [framed(number, one) for number, one in enumerate(some)]
    titles = tuple(one_line(f"T{one}", 120) for one in marked)
    yield Job("sessions list (all)", ("sessions", "list"), shows=titles)
    yield Job("sessions list --json (all)", ("sessions", "list", "--json"))
    yield Job("sessions map (all)", ("sessions", "map"), shows=tuple(one_line(f"C{one}", 120) for one in marked))
    yield Job("sessions map --json (all)", ("sessions", "map", "--json"))
    prompts = tuple(clean(f"needle P{one} needle") for one in marked)
    shown = [*prompts, *(clean(f"message{one}") for one in marked), *(one_line(f"note{one}") for one in marked)]
    yield Job("sessions show (all)", ("sessions", "show", "everything"), shows=tuple(shown))
    yield Job("sessions show --json (all)", ("sessions", "show", "everything", "--json"))
    yield Job("search (all)", ("search", "needle", "-n", "10000"), is_coloured=True)
    yield Job("search --json (all)", ("search", "needle", "-n", "10000", "--json"))
    for form in ("md", "html", "json"):
        yield Job(f"export --format {form} (all)", ("export", "everything", "--format", form, "-o", "-"))
    for command in ("check", "backup"):
        yield Job(f"history {command} (all)", ("history", command))
    yield Job("doctor (all)", ("doctor",), is_coloured=True)


def _server_jobs(home: Home, some: list[str]) -> Iterator[Job]:
    """What a server says, printed."""
    for kind in KINDS:
        for output in ("text", "json", "jsonl"):
            yield Job(f"ask {kind} {output} (all)", ("ask", "--output", output, kind))
        yield Job(f"ask -s {kind} (all)", ("ask", "-s", "asked", kind))
    yield Job("ask --deny (all)", ("ask", "-s", "asked", "--deny", "why"))
    for way in FAILURES:
        for start in range(0, len(some), 10):
            yield Job(f"ask fail {way}", ("ask", "fail", way, str(start), str(start + 10)))
    yield Job("models (all)", ("profiles", "models"), shows=tuple(one_line(one) for one in some))
    yield Job("profiles test (all)", ("profiles", "test"))
    for number in range(len(some)):
        yield Job("finish", ("ask", "finish", str(number), str(number + 1)))
    named = home.profiles("named", some)
    for command in (("profiles", "list"), ("config", "show")):
        yield Job(f"profile names, {' '.join(command)} (all)", command, named)
    yield Job("profile names, doctor (all)", ("doctor",), named, is_coloured=True)


def _argument_jobs(home: Home, number: int, one: str) -> Iterator[Job]:
    """A payload in the place of each argument."""
    word = framed(number, one).replace("\0", "")
    for entry, argv in {
        "label of show": ("sessions", "show", word),
        "label of export": ("export", word),
        "label to open": ("open", word, "--new"),
        "no such command": ("sessions", word),
        "no such option": ("ask", f"--{word}"),
        "a number": ("ask", "--timeout", word, "x"),
        "a turn": ("sessions", "fork", "everything", "new", "--at", word),
        "a turn to export": ("export", "everything", "--until", word, "-o", "-"),
        "new label": ("sessions", "rename", "everything", word),
        "title": ("sessions", "title", "everything", word),
        "profile to ask": ("ask", "-p", word, "x"),
        "profile to show": ("profiles", "show", word),
        "model to ask": ("ask", "-m", word, "fail", "message", "0", "1"),
        "query": ("search", word),
        "query of a label": ("search", "-l", word, "needle"),
        "query by day": ("search", f"before:{word}"),
        "query with quote": ("search", f'"{word}'),
        "adopted": ("sessions", "adopt", f"a{number}", word),
        "fork": ("sessions", "fork", f"L{word}", f"f{number} {word}"),
        "share": ("sessions", "share", f"L{word}"),
        "detach": ("sessions", "detach", f"L{word}"),
        "delete": ("sessions", "delete", f"L{word}"),
        "restore": ("sessions", "restore", f"L{word}"),
    }.items():
        yield Job(entry, argv, is_coloured=argv[0] == "search")


def _file_jobs(home: Home, number: int, one: str) -> Iterator[Job]:
    """A payload as a file's name, and in a thread that is imported."""
    name = f"q{number}q" + one.replace("\0", "").replace("/", "_").encode("utf-8", "replace").decode()[:60]
    yield Job("file to send", ("ask", "-f", name, "x"), shows=(one_line(name),))
    yield Job("file to import", ("import", name), is_coloured=True)
    yield Job("file to write", ("export", "everything", "-o", str(home.folder / "no" / name)))
    yield Job("file written", ("export", "everything", "--format", "md", "-o", str(home.folder / name)))
    yield Job("file there already", ("export", "everything", "--format", "md", "-o", str(home.folder / name)))
    item = {"name": one, "text": one, "call": one}
    turns = [
        {"prompt": one, "status": "done", "model": one,
         "answer": [{"kind": kind, **item} for kind in (*(kind.value for kind in ItemKind), one)]}
    ]  # fmt: skip
    folder = home.folder / "threads"
    folder.mkdir(exist_ok=True)
    thread = folder / f"{name}.jsonl"
    head = {"palaver": "thread", "version": 1, "label": f"I{framed(number, one)}", "title": f"I{framed(number, one)}"}
    thread.write_text(bundle(*turns, head=head), encoding="utf-8")
    yield Job("thread imported", ("import", str(thread)), is_coloured=True)
    yield Job("thread known", ("import", str(thread)), is_coloured=True)
    bad = folder / f"{name}.bad.jsonl"
    head = {"palaver": "thread", "version": one}
    bad.write_text(f"{json.dumps(head)}\n{one.encode('utf-8', 'replace').decode()}", encoding="utf-8")
    yield Job("thread refused", ("import", str(bad)), is_coloured=True)
    other = folder / f"{name}.other.json"
    other.write_text(json.dumps([{"name": one, "chat_messages": [{"sender": one, "text": one}], "uuid": one}]))
    yield Job("another program's", ("import", str(other)), is_coloured=True)


def _environment_jobs(home: Home, number: int, one: str) -> Iterator[Job]:
    """A payload in the value of each variable that is shown."""
    value = one.replace("\0", "").encode("utf-8", "replace").decode()
    name = value.replace("/", "_")[:60]
    folder = home.folder / f"q{number}q{name}"
    data = {"PALAVER_DATA_DIR": str(folder)}
    for command in ("path", "check", "backup", "repair"):
        yield Job(f"data folder, history {command}", ("history", command), data)
    yield Job("data folder, sessions list", ("sessions", "list"), data)
    yield Job("data folder that is a file", ("sessions", "list"), {"PALAVER_DATA_DIR": str(home.file(folder.name))})
    yield Job("damaged history", ("sessions", "list"), home.damaged(folder.name))
    yield Job("configuration folder", ("config", "path"), {"PALAVER_CONFIG_DIR": str(folder)})
    yield Job("configuration folder, show", ("config", "show"), {"PALAVER_CONFIG_DIR": str(folder)})
    folders = {f"PALAVER_{kind}_DIR": str(folder) for kind in ("CONFIG", "DATA", "LOG")}
    yield Job("folders, doctor", ("doctor",), {**folders, "TERM_PROGRAM": value, "LANG": value}, is_coloured=True)
    yield Job("log folder", ("config", "path"), {"PALAVER_LOG_DIR": str(folder)})
    yield Job("relative folder", ("history", "path"), {"PALAVER_DATA_DIR": value})
    for key, url in (("OPENAI_API_KEY", "OPENAI_BASE_URL"), ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")):
        yield Job(f"{url}", ("profiles", "list"), {key: "k", url: f"http://{value}"})
    yield Job("OPENAI_MODEL", ("profiles", "list"), {"OPENAI_API_KEY": "k", "OPENAI_MODEL": value})
    yield Job("OLLAMA_HOST", ("profiles", "list"), {"OLLAMA_HOST": value})
    yield Job("key", ("ask", "-p", "openai", "x"), {"OPENAI_API_KEY": value, "OPENAI_BASE_URL": home.url})
    yield Job("proxy", ("ask", "x"), {"http_proxy": value, "no_proxy": ""})
    yield Job("certificates", ("ask", "x"), {"SSL_CERT_FILE": value})


def _configuration_jobs(home: Home, number: int, one: str) -> Iterator[Job]:
    """A payload in each place of the configuration that an error or a warning quotes."""
    text = framed(number, one).encode("utf-8", "replace").decode()
    value = quoted(text)
    for entry, content in {
        "configuration with a caret": f"model = {text}",
        "value with a caret": f'profile = "{text}',
        "unknown key": f"{value} = 1",
        "protocol": f"[profiles.p]\nprotocol = {value}",
        "address": f"[profiles.p]\nbase_url = {value}",
        "address's host": f"[profiles.p]\nbase_url = {quoted(f'http://{text}')}",
        "header": f'[profiles.p]\nbase_url = "http://a"\nheaders = {{ {value} = "x" }}',
        "header's value": f'[profiles.p]\nbase_url = "http://a"\nheaders = {{ x = {value} }}',
        "certificates' file": f'[profiles.p]\nbase_url = "http://a"\nca_file = {value}',
        "default profile": f"profile = {value}",
        "profile's name": f"[profiles.{value}]\nprotocol = 1",
        "key's name": f"[keys]\n{value} = 1",
        "key": f"[keys]\n{value} = {value}",
        "theme": f"theme = {value}",
        "key's variable": f'profile = "p"\n[profiles.p]\nbase_url = "https://a"\napi_key_env = {value}',
    }.items():
        yield Job(entry, ("config", "show"), home.configured(f"{number}-{entry}", content))
    missing = f'profile = "p"\n[profiles.p]\nbase_url = "{home.url}"\nmodel = {value}\nallow_plain_http = true\n'
    for entry, line in {
        "key's variable is missing": f"api_key_env = {value}",
        "key's command fails": f"api_key_command = [{value}]",
        "key's command says": f'api_key_command = ["sh", "-c", {quoted(f"printf %s {_shell(text)} >&2; exit 3")}]',
        "key's ring": f"api_key_keyring = {value}",
    }.items():
        yield Job(entry, ("ask", "x"), home.configured(f"{number}-{entry}", missing + line))
    yield Job(
        "everything of a profile",
        ("profiles", "show"),
        home.configured(f"{number}-all", missing + f"system = {value}"),
    )


def _shell(text: str) -> str:
    return "'" + text.replace("\0", "").replace("'", "'\\''") + "'"
