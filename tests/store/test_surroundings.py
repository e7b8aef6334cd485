"""What the history meets in the machine around it: other libraries, few descriptors, no home, sheer size."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.chatting import talk
from tests.fake_server import completed, delta
from tests.loopback import Call, loopback, palaver, plain_environment, profile_text, start
from tests.store.histories import a_session, a_turn, opened, rows, said, told
from tui.config_file import load
from tui.model import TurnStatus
from tui.store import schema

Write = Callable[[str], Path]
ROOT = Path(__file__).parent.parent.parent
STALE = {"error": {"message": "Previous response with id 'x' not found.", "code": "previous_response_not_found"}}


@pytest.mark.fault("D41")
def test_another_sqlite_library_is_not_used(write_config: Write, history: Path, tmp_path: Path) -> None:
    (tmp_path / "others" / "pysqlite3").mkdir(parents=True)
    (tmp_path / "others" / "pysqlite3" / "__init__.py").write_text(
        "import pathlib\npathlib.Path(__file__).with_name('used').touch()\nfrom sqlite3 import *\n"
        "from sqlite3 import dbapi2\n"
    )
    with loopback(lambda call: call.well("fine")) as server:
        write_config(profile_text(server.url))
        done = palaver("ask", "-s", "work", "hello", env=plain_environment(PYTHONPATH=str(tmp_path / "others")))
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
    assert rows(history, "SELECT count(*) FROM turns") == [(1,)]
    assert not (tmp_path / "others" / "pysqlite3" / "used").exists()


@pytest.mark.fault("G19")
async def test_a_sqlite_that_is_too_old_costs_no_answer(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    async with talk(history) as t:
        assert "is too old: it has to be 3.35 or newer" in t.chat.health.message
        session = await t.chat.open("work")
        turn = await t.answered(session, "hello", "hi", "resp_1")
        assert turn.text == "hi"


@pytest.mark.fault("G19")
def test_a_python_that_is_too_old_is_refused_by_the_installer() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    assert sys.version_info >= (3, 11)


@pytest.mark.fault("D40")
def test_few_descriptors_are_enough(write_config: Write, history: Path) -> None:
    with loopback(lambda call: call.well("fine")) as server:
        write_config(profile_text(server.url))
        line = 'ulimit -n 64; exec "$0" -m tui ask -s work hello'
        done = subprocess.run(
            ["sh", "-c", line, sys.executable], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
    assert rows(history, "SELECT status FROM turns") == [("done",)]


@pytest.mark.fault("D40")
@pytest.mark.parametrize("count", [8, 12])
def test_too_few_descriptors_are_said_in_a_line(write_config: Write, count: int) -> None:
    with loopback(lambda call: call.well("fine")) as server:
        write_config(profile_text(server.url))
        line = f'ulimit -n {count}; exec "$0" -m tui ask -s work hello'
        done = subprocess.run(
            ["sh", "-c", line, sys.executable], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode in (0, 1, 5)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.fault("D30")
def test_without_home_the_systems_own_record_of_it_is_used(tmp_path: Path) -> None:
    line = "from tui import paths; f = paths.find(); print(f.data_dir)"
    env = {
        name: value for name, value in os.environ.items() if name != "HOME" and not name.startswith(("PALAVER", "XDG"))
    }
    done = subprocess.run([sys.executable, "-c", line], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(Path(f"~{_user()}").expanduser() / ".local/share/palaver")
    done = subprocess.run([sys.executable, "-c", line], cwd=ROOT, env=env | {"XDG_DATA_HOME": "here", "HOME": "/h"},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == "/h/.local/share/palaver"


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.fault("D39")
async def test_a_command_that_is_started_gets_nothing_of_the_history(
    history: Path, write_config: Write, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    script = (
        "import os, pathlib; found = [f'/proc/self/fd/{n}' for n in os.listdir('/proc/self/fd')];"
        f"pathlib.Path({str(seen)!r}).write_text(repr([os.readlink(one) for one in found if os.path.exists(one)]));"
        "print('key')"
    )
    with loopback(lambda call: call.well("fine")) as server:
        command = json.dumps([sys.executable, "-c", script])
        file = write_config(profile_text(server.url, more=f"api_key_command = {command}"))
        assert load(file, {}).warnings == ()
        done = await asyncio.to_thread(palaver, "ask", "-s", "work", "hello")
    assert (done.returncode, done.stdout) == (0, "fine\n")
    assert server.calls[0].headers["authorization"] == "Bearer key"
    assert "history.db" not in _text(seen)
    assert "pipe" in _text(seen)


def _text(file: Path) -> str:
    return file.read_text()


@pytest.mark.fault("D39")
def test_nothing_forks_without_a_new_program() -> None:
    for file in sorted((ROOT / "tui").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                assert ast.unparse(node) not in ("os.fork", "os.forkpty", "os.posix_spawn"), file
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [getattr(node, "module", None) or "", *(one.name for one in node.names)]
                assert "multiprocessing" not in names, file
            if isinstance(node, ast.keyword):
                assert node.arg not in ("preexec_fn", "pass_fds"), file
                assert node.arg != "close_fds" or ast.unparse(node.value) == "True", file


@pytest.mark.fault("S06")
def test_killed_when_the_fresh_answer_was_there_and_not_yet_saved(write_config: Write, history: Path) -> None:
    sent: list[str | None] = []
    with loopback(lambda call: _forgetful(call, sent, history)) as server:
        write_config(profile_text(server.url))
        assert palaver("ask", "-s", "work", "first").returncode == 0
        process = start("ask", "-s", "work", "second")
        fresh = server.call(3)
        assert fresh.sent.wait(30)
        process.kill()
        process.wait()
        assert process.stdout is not None
        assert process.stdout.read() in (b"", b"answer 3")
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()
        fresh.go_on.set()
        assert rows(history, "SELECT conversation_id FROM conversations") == [("resp_1",)]
        done = palaver("ask", "-s", "work", "third")
    assert (done.returncode, done.stdout) == (0, "answer 5\n")
    # The id from before is tried again, and the server says again that it is gone: nothing else is lost.
    assert sent == [None, "resp_1", None, "resp_1", None]
    assert rows(history, "SELECT conversation_id FROM conversations") == [("resp_5",)]
    assert rows(history, "SELECT text FROM messages WHERE role = 'user'") == [("first",), ("second",), ("third",)]
    assert rows(history, "SELECT status FROM turns ORDER BY depth") == [("done",), ("interrupted",), ("done",)]


def _forgetful(call: Call, sent: list[str | None], history: Path) -> None:
    """Forgets each conversation at once. The third answer is there in full before anything of its end can be saved."""
    sent.append(call.json.get("previous_response_id"))
    number = len(sent)
    if sent[-1]:
        call.answer(404, STALE)
    elif number != 3:
        call.well(f"answer {number}", f"resp_{number}")
    else:
        import fcntl

        lock = os.open(f"{history}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        call.head().event(delta("answer 3")).event(completed("answer 3", "resp_3"))
        # Its end is known to have been read once the other side has closed the connection.
        call._handler.connection.settimeout(30)
        while call._handler.connection.recv(1):
            pass
        call.sent.set()
        call.go_on.wait(30)
        os.close(lock)


@pytest.mark.fault("D37")
async def test_a_hundred_thousand_messages_are_opened_at_once(history: Path) -> None:
    async with opened(history) as store:
        await told(store, a_session("first"))
    await asyncio.to_thread(_fill, history)
    times = []
    for _ in range(3):
        begun = time.process_time()
        async with opened(history) as store:
            sessions = await store.sessions()
            last = await store.last()
            assert last is not None
            count = await store.count(last.id)
            turns = await store.turns(last.id, count - 20)
            times.append(time.process_time() - begun)
        assert len(sessions) == 201
        assert (count, len(turns), turns[-1].text) == (250, 20, "answer")
    assert min(times) < 0.3
    assert rows(history, "SELECT count(*) FROM items") == [(100_002,)]


def _fill(file: Path) -> None:
    """Two hundred sessions of two hundred and fifty turns."""
    with closing(sqlite3.connect(file, isolation_level=None)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        conn.executescript(
            """
            BEGIN;
            CREATE TEMP TABLE n AS WITH RECURSIVE c (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM c WHERE i < 49999)
                SELECT i FROM c;
            INSERT INTO branches (id, session_id) SELECT 'b' || i, 's' || i FROM n WHERE i < 200;
            INSERT INTO sessions (id, label, branch_id, created_at, last_turn_at, turns, last_status, touched)
                SELECT 's' || i, 'label ' || i, 'b' || i, 0, 0, 250, 'done', 1000 + i FROM n WHERE i < 200;
            INSERT INTO turns (id, session_id, branch_id, depth, status, created_at)
                SELECT 't' || i, 's' || (i / 250), 'b' || (i / 250), i % 250, 'done', 0 FROM n;
            INSERT INTO items (turn_id, position, kind, text) SELECT 't' || i, 0, 'prompt', 'prompt' FROM n;
            INSERT INTO items (turn_id, position, kind, text) SELECT 't' || i, 1, 'message', 'answer' FROM n;
            DELETE FROM meta WHERE key = 'shown';
            COMMIT;
            """
        )


@pytest.mark.fault("D38")
async def test_a_message_of_a_hundred_megabytes_is_kept_in_parts(history: Path) -> None:
    session, part = a_session(), "x" * 9_999_999 + " "
    async with opened(history) as store:
        saved = await store.begin(a_turn(session), session)
        for count in range(1, 11):
            growing = said(saved, part * count)
            assert await store.save(growing, saved, session)
            saved = growing
        # While it streams, each part is written once.
        assert rows(history, "SELECT count(*), max(length(text)) FROM chunks") == [(9, 10_000_000)]
        assert await store.save(said(saved, part * 10, status=TurnStatus.DONE), saved, session)
        (turn,) = await store.turns(session.id)
        assert turn.text == part * 10
        assert store.health.message == ""
    assert rows(history, "SELECT count(*) FROM chunks") == [(0,)]
    assert schema.VERSION


HUGE = 10**400
USAGES = {
    "responses": [
        delta("fine"),
        completed("fine", usage={"input_tokens": 1 << 63, "output_tokens": HUGE, "total_tokens": -(1 << 70)}),
    ],
    "chat": [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "fine"}}], "created": HUGE},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "created": 1 << 63},
        {"choices": [], "usage": {"prompt_tokens": 1 << 63, "completion_tokens": -(1 << 63) - 1}},
    ],
    "anthropic": [
        {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 1 << 63, "output_tokens": HUGE}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "fine"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": HUGE}},
        {"type": "message_stop"},
    ],
    "ollama": [
        {"message": {"role": "assistant", "content": "fine"}, "done": False, "created_at": HUGE},
        {"message": {}, "done": True, "done_reason": "stop", "prompt_eval_count": 1 << 63, "eval_count": HUGE},
    ],
}


@pytest.mark.fault("D34")
@pytest.mark.parametrize("protocol", USAGES)
def test_no_number_of_a_server_is_too_large(write_config: Write, history: Path, protocol: str) -> None:
    def answer(call: Call) -> None:
        kind = "application/x-ndjson" if protocol == "ollama" else "text/event-stream"
        call.head(content_type=kind)
        for one in USAGES[protocol]:
            line = json.dumps(one)
            name = f"event: {one['type']}\n" if protocol == "anthropic" else ""
            call.send(f"{line}\n".encode() if protocol == "ollama" else f"{name}data: {line}\n\n".encode())
        if protocol == "chat":
            call.send(b"data: [DONE]\n\n")

    with loopback(answer) as server:
        write_config(profile_text(server.url).replace('"responses"', f'"{protocol}"'))
        done = palaver("ask", "-s", "work", "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
    assert rows(history, "SELECT status, input_tokens, output_tokens FROM turns") == [("done", None, None)]
