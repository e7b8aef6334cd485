"""Keys are in nothing that is written or shown: logs, other processes' view of us, memory dumps, what is committed."""

from __future__ import annotations

import json
import logging
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_server import delta
from tests.loopback import Call, loopback, palaver, plain_environment, profile_text, start
from tests.terminal import Terminal
from tui.logs import _Lines

Write = Callable[[str], Path]

CANARY = "sk-CANARY-0d9e3b"
WITH_KEY = 'api_key_env = "WORK_KEY"'
ROOT = Path(__file__).parent.parent


def written(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.fault("K02", "K11")
@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING"])
@pytest.mark.parametrize(("protocol", "sends"), [("responses", f"Bearer {CANARY}"), ("anthropic", CANARY)])
def test_no_level_of_the_log_holds_the_key_or_what_was_said(
    write_config: Write, tmp_path: Path, level: str, protocol: str, sends: str
) -> None:
    """Nor does what a server says that repeats both, where it refuses a prompt or the end of a run."""

    def answer(call: Call) -> None:
        if call.path.endswith("/cancel") or "hold" not in call.body.decode():
            call.answer(401, {"error": {"message": f"not {CANARY}, for a private question"}})
        else:
            call.head().event({"type": "response.created", "response": {"id": "resp_private"}})
            call.event(delta("a private answer"))
            call.sent.set()
            call.go_on.wait(30)

    with loopback(answer) as server:
        text = profile_text(server.url, more=f"{WITH_KEY}\n" + "background = true\n" * (protocol == "responses"))
        write_config(text.replace('"responses"', f'"{protocol}"'))
        env = plain_environment(WORK_KEY=CANARY, PALAVER_LOG=level)
        assert palaver("ask", "-s", "work", "a private question", env=env).returncode == 4
        assert palaver("profiles", "test", env=env).returncode == 4
        if protocol == "responses":
            number = len(server.calls) + 1
            stopped = start("ask", "-s", "work", "hold a private answer", env=env)
            server.call(number).sent.wait(30)
            assert stopped.stdout is not None
            assert os.read(stopped.stdout.fileno(), 100) == b"a private answer"
            stopped.send_signal(signal.SIGINT)
            assert b"Cancelled." in stopped.communicate(timeout=30)[1]
            assert any(call.path.endswith("/cancel") for call in server.calls)
        (tmp_path / "none" / "history.db").mkdir(parents=True)
        env["PALAVER_DATA_DIR"] = str(tmp_path / "none")
        assert palaver("ask", "-s", "work", "a private question", env=env).returncode == 4
        header = {"responses": "authorization", "anthropic": "x-api-key"}[protocol]
        assert {call.headers[header] for call in server.calls} == {sends}
    log = (tmp_path / "palaver" / "log" / "palaver.log").read_text()
    assert "not saved: " in log
    is_told = protocol == "responses" and level != "WARNING"
    assert ("the server did not stop its run: NotAllowed (401)" in log) is is_told
    for file, data in written(tmp_path / "palaver" / "log").items():
        assert CANARY.encode() not in data, file
        assert b"private" not in data, file
    assert not [file for file, data in written(tmp_path).items() if CANARY.encode() in data]


def test_a_logged_error_is_a_place_without_words() -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        record = logging.LogRecord("tui", logging.ERROR, __file__, 1, "it failed", None, sys.exc_info())
    text = _Lines("%(message)s").format(record)
    assert text.startswith("it failed\n")
    assert text.endswith("ValueError")
    assert "raise ValueError(CANARY)" in text
    assert CANARY not in text


def test_what_others_log_is_a_place_too() -> None:
    """asyncio logs whole tasks, with the error each of them ended with."""
    record = logging.LogRecord("asyncio", logging.ERROR, "/lib/base_events.py", 7, f"task: {CANARY}", None, None)
    assert _Lines("%(name)s: %(message)s").format(record) == "asyncio: logged at base_events.py:7"
    assert CANARY in record.getMessage()


@pytest.mark.fault("K09")
@pytest.mark.parametrize("allowed", [False, True])
def test_no_core_is_dumped(write_config: Write, tmp_path: Path, allowed: bool) -> None:
    """Killed as by a crash while it holds a key. Where a dump is asked for the limit is as it was found."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if not hard:
        pytest.skip("the system lets no one dump here")
    with loopback(lambda call: call.hold("half")) as server:
        write_config(profile_text(server.url, more=WITH_KEY))
        env = plain_environment(WORK_KEY=CANARY, PYTHONPATH=str(ROOT), **({"PALAVER_CORE": "1"} if allowed else {}))
        raise_limit = "import os, resource, sys; h = resource.getrlimit(resource.RLIMIT_CORE)[1]; "
        raise_limit += "resource.setrlimit(resource.RLIMIT_CORE, (h, h)); os.execv(sys.executable, sys.argv[1:])"
        process = subprocess.Popen(
            [sys.executable, "-c", raise_limit, sys.executable, "-m", "tui", "ask", "hello"],
            cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        server.call().sent.wait(30)
        assert core_limit(process.pid) == (
            ("unlimited" if hard == resource.RLIM_INFINITY else str(hard)) if allowed else "1"
        )
        process.send_signal(signal.SIGKILL if allowed else signal.SIGSEGV)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = status
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()
    assert not os.WCOREDUMP(status)
    assert not list(tmp_path.glob("core*"))


@pytest.mark.fault("K09")
def test_no_core_of_the_window_is_dumped(write_config: Write) -> None:
    write_config("")
    t = Terminal([sys.executable, "-m", "tui"], env=plain_environment(TERM="xterm-256color"))
    try:
        t.shows("Type a message")
        assert core_limit(t.pid) in ("0", "1")
    finally:
        t.close()


@pytest.mark.fault("K09")
def test_no_core_of_what_is_started_is_dumped(write_config: Write) -> None:
    """The command for a key holds it, too: here the key is its limit."""
    told = "import resource; print(f'limit-{resource.getrlimit(resource.RLIMIT_CORE)[0]}')"
    with loopback(lambda call: call.well()) as server:
        command = json.dumps([sys.executable, "-c", told])
        write_config(profile_text(server.url, more=f"api_key_command = {command}"))
        assert palaver("ask", "hello").returncode == 0
    assert server.calls[0].headers["authorization"] in ("Bearer limit-0", "Bearer limit-1")


def core_limit(pid: int) -> str:
    """The largest core dump of a process, in bytes, as the system tells it."""
    return re.findall(r"Max core file size +(\S+)", Path(f"/proc/{pid}/limits").read_text())[0]


@pytest.mark.fault("K06")
def test_the_list_of_processes_shows_no_key(write_config: Write) -> None:
    with loopback(lambda call: call.hold("half")) as server:
        write_config(profile_text(server.url, more=WITH_KEY))
        process = start("ask", "hello", env=plain_environment(WORK_KEY=CANARY))
        server.call().sent.wait(30)
        shown = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
        assert f"{process.pid} " in shown
        assert CANARY not in shown
        process.terminate()
        process.communicate(timeout=10)


KEYS = re.compile(
    rb"\b(?:sk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}|gh[pousr]_[A-Za-z0-9]{36}|AKIA[0-9A-Z]{16}|dapi[0-9a-f]{32})"
)


@pytest.mark.fault("K10")
def test_nothing_kept_with_the_tests_holds_a_key() -> None:
    folders = ["tests/app/__snapshots__", "tests/client/protocols/recordings", "assets", "tui/guide"]
    looked = 0
    for folder in folders:
        for file, data in written(ROOT / folder).items():
            if file.suffix != ".pyc":
                looked += 1
                assert not KEYS.search(data), file
                assert b"CANARY" not in data, file
    assert looked > 300
