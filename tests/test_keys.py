"""Keys: read from where they are."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import canary
from tests.loopback import loopback, palaver, plain_environment, profile_text
from tui import keys
from tui.credentials import KeySource
from tui.errors import ConfigError
from tui.keys import read_key

Write = Callable[[str], Path]

CANARY = "sk-CANARY-6c1f"


@pytest.mark.fault("G08")
@pytest.mark.parametrize(("environ", "state"), [({}, "not set"), ({"K": "  "}, "empty")])
async def test_a_missing_key_names_the_variable(environ: dict[str, str], state: str) -> None:
    with pytest.raises(ConfigError, match=f"The environment variable K is {state}") as caught:
        await read_key(KeySource("env", ("K",)), environ)
    assert "export K=" in caught.value.hint
    assert caught.value.exit_status == 3


@pytest.mark.fault("G09", "K04")
@pytest.mark.parametrize("value", [f"{CANARY}\x00x", f"{CANARY} x", f"{CANARY}é", f"{CANARY}\r\nx: y"])
async def test_a_key_that_cannot_be_sent_is_not_quoted(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await read_key(KeySource("env", ("K",)), {"K": value})
    assert CANARY not in str(caught.value)
    assert f"position {len(CANARY) + 1}" in caught.value.message


@pytest.mark.fault("G09", "K04")
@pytest.mark.parametrize("value", [f"{CANARY}é", f"{CANARY}\r\nx: y"])
def test_a_key_that_cannot_be_sent_is_not_sent(write_config: Write, value: str) -> None:
    with loopback(lambda call: call.well("fine")) as server:
        write_config(profile_text(server.url, more='api_key_env = "SPOILT_KEY"'))
        done = palaver("ask", "hi", env=plain_environment(SPOILT_KEY=value))
        assert (done.returncode, done.stdout, server.calls) == (3, "", [])
        assert (
            f"environment variable SPOILT_KEY has a character that cannot be sent (position {len(CANARY) + 1})"
            in done.stderr
        )
        assert CANARY not in done.stderr


@pytest.mark.fault("K04")
@pytest.mark.parametrize("key", [CANARY, "gsk_CANARYxx0123456789abcdef", "dapi0123456789abcdef0123456789abcdef", "a b"])
async def test_a_key_in_the_place_of_a_variables_name_is_not_quoted(write_config: Write, key: str) -> None:
    source = KeySource("env", (key,))
    with pytest.raises(ConfigError, match="not the name of an environment variable") as caught:
        await read_key(source, {})
    assert key not in f"{caught.value} {source}"
    write_config(profile_text("http://127.0.0.1:9", more=f'api_key_env = "{key}"'))
    for command in (
        "ask hi",
        "profiles show",
        "profiles list",
        "profiles test",
        "profiles show --json",
        "config show",
        "doctor --json",
    ):
        done = palaver(*command.split())
        assert key not in done.stdout + done.stderr, command


@pytest.mark.fault("K01", "K05")
@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ('api_key_env = "{}"', "put the key into a variable, and name that"),
        ('api_key_keyring = "{}"', "store the key with `keyring set`, and name its entry"),
        ('api_key_command = ["{}"]', "name a command that prints the key"),
    ],
)
@pytest.mark.parametrize("key", ["sk-proj-A1b2C3d4E5f6", "dapi0123456789abcdef0123456789abcdef"])
def test_a_key_in_the_place_of_its_name_is_refused_and_not_kept(
    write_config: Write, history: Path, line: str, hint: str, key: str
) -> None:
    with loopback(lambda call: call.well("fine")) as server:
        write_config(profile_text(server.url, more=line.format(key)))
        for command in ("ask -s test hi", "doctor", "profiles show", "sessions list"):
            done = palaver(*command.split())
            assert key not in done.stdout + done.stderr
            assert done.returncode == (1 if command == "doctor" else 3)
            told = " ".join((done.stdout + done.stderr).split())
            assert f"profiles.here.{line.partition(' ')[0]}: this looks like a key" in told
            assert hint in told
        assert server.calls == []
    assert not history.exists() or key.encode() not in history.read_bytes()


@pytest.mark.fault("K05")
@pytest.mark.parametrize("kind", ["command", "keyring"])
async def test_a_key_in_the_place_of_a_name_is_not_quoted(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", _Keyring(""))
    monkeypatch.setattr(sys.modules["keyring"], "get_password", lambda service, user: "")
    with pytest.raises(ConfigError) as caught:
        await read_key(KeySource(kind, (CANARY,)))
    assert CANARY not in f"{caught.value}"


async def test_blanks_around_a_key_are_stripped() -> None:
    key = await read_key(KeySource("env", ("K",)), {"K": f" {CANARY}\n"})
    assert key is not None
    assert key.reveal() == CANARY


async def test_a_key_from_a_command() -> None:
    python = sys.executable
    key = await read_key(KeySource("command", (python, "-c", f"print({CANARY!r})")))
    assert key is not None
    assert key.reveal() == CANARY
    failing = [
        (("/no/such/command",), "was not found"),
        ((python, "-c", "raise SystemExit(3)"), "ended with status 3"),
        ((python, "-c", ""), "printed nothing"),
    ]
    for command, says in failing:
        with pytest.raises(ConfigError, match=says):
            await read_key(KeySource("command", command))


async def test_a_command_runs_without_a_shell() -> None:
    with pytest.raises(ConfigError, match="was not found"):
        await read_key(KeySource("command", (f"echo {CANARY}; true",)))


async def test_no_source_no_key() -> None:
    assert await read_key(KeySource()) is None


async def test_a_command_that_hangs_ends_with_the_wait_for_it(tmp_path: Path) -> None:
    here = tmp_path / "pid"
    code = f"import os, time; open({str(here)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    task = asyncio.create_task(read_key(KeySource("command", (sys.executable, "-c", code))))
    while not here.exists() or not here.read_text():
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # Nobody has to go on with the loop for the process to be ended and waited for.
    pid = int(here.read_text())
    while _is_alive(pid):
        os.sched_yield()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_command_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COMMAND_TIMEOUT", 0.05)
    with pytest.raises(ConfigError, match="took longer than"):
        await read_key(KeySource("command", (sys.executable, "-c", "import time; time.sleep(600)")))


@pytest.mark.fault("G09")
async def test_a_command_that_prints_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def noted(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(start(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", noted)
    # Where it is read to its end, it takes as long as that.
    monkeypatch.setattr(keys, "COMMAND_TIMEOUT", 0.5)
    with pytest.raises(ConfigError, match="printed more than 64 KiB") as caught:
        await read_key(KeySource("command", ("yes", CANARY)))
    assert CANARY not in str(caught.value)
    assert started[0].returncode is not None


async def test_a_command_may_print_as_much_as_is_read() -> None:
    code = f"print('k' * {keys.OUTPUT_LIMIT - 1})"
    key = await read_key(KeySource("command", (sys.executable, "-c", code)))
    assert key is not None
    assert len(key.reveal()) == keys.OUTPUT_LIMIT - 1


class _Keyring(types.ModuleType):
    """A keyring that never answers, or answers with a word."""

    def __init__(self, word: str) -> None:
        super().__init__("keyring")
        self.word = word
        self.asked: list[tuple[str, str]] = []
        self.hangs = threading.Event()

    def get_password(self, service: str, user: str) -> str:
        self.asked.append((service, user))
        if not self.word:
            self.hangs.wait(60)
        return self.word


async def test_a_key_from_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = _Keyring(CANARY)
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    key = await read_key(KeySource("keyring", ("palaver/me",)))
    assert key is not None
    assert key.reveal() == CANARY
    assert keyring.asked == [("palaver", "me")]


async def test_a_keyring_that_asks_and_waits_can_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = _Keyring("")
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    task = asyncio.create_task(read_key(KeySource("keyring", ("palaver/me",))))
    while not keyring.asked:
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "palaver-aside")
    keyring.hangs.set()


async def test_a_keyring_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match="need the package keyring") as caught:
        await read_key(KeySource("keyring", ("palaver/me",)))
    assert caught.value.hint == "install the package keyring beside Palaver: pip install keyring"


async def test_a_keyring_that_is_locked_or_absent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = _Keyring(CANARY)
    monkeypatch.setitem(sys.modules, "keyring", keyring)

    def locked(service: str, user: str) -> str:
        raise RuntimeError(f"No backend for {CANARY}")

    monkeypatch.setattr(keyring, "get_password", locked)
    with pytest.raises(ConfigError, match=r"The keyring could not be read \(RuntimeError\)") as caught:
        await read_key(KeySource("keyring", ("palaver/me",)))
    assert caught.value.hint == "try keyring get palaver me"
    assert CANARY not in str(caught.value)


@pytest.mark.fault("G08", "K04")
@pytest.mark.parametrize(
    ("backend", "entry", "says"),
    [
        ("tests.keyrings.Open", "palaver/work", ""),
        ("tests.keyrings.Open", "palaver/play", "The keyring has no entry palaver/play — keyring set palaver play"),
        ("tests.keyrings.Open", "palaver", "The keyring has no entry palaver — keyring set palaver ''"),
        ("tests.keyrings.Locked", "palaver/work", "The keyring is locked — unlock it, and try again"),
        (
            "tests.keyrings.Broken",
            "palaver/work",
            "The keyring could not be read (InitError) — try keyring get palaver work",
        ),
        (
            "keyring.backends.fail.Keyring",
            "palaver/work",
            "There is no keyring on this system — use api_key_env or api_key_command instead",
        ),
        ("keyring.backends.null.Keyring", "palaver/work", "The keyring has no entry palaver/work"),
        ("no.such.Keyring", "palaver/work", "The keyring could not be read (ModuleNotFoundError)"),
    ],
)
def test_a_key_from_a_real_keyring(write_config: Write, backend: str, entry: str, says: str) -> None:
    with loopback(lambda call: call.well("fine")) as server:
        write_config(profile_text(server.url, more=f'api_key_keyring = "{entry}"'))
        root = str(Path(__file__).parent.parent)
        done = palaver("ask", "hi", env=plain_environment(PYTHON_KEYRING_BACKEND=backend, PYTHONPATH=root))
        if says:
            assert (done.returncode, done.stdout) == (3, "")
            assert done.stderr.startswith(f"palaver: {says}")
            assert len(done.stderr.splitlines()) == 1
            assert server.calls == []
        else:
            assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
            assert server.calls[0].headers["authorization"] == f"Bearer {canary.KEY}"


@pytest.mark.fault("K06")
def test_a_key_command_is_not_given_other_keys(
    write_config: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its environment, as the system has it, and its line in the list of processes."""
    for name in ("OTHER_KEY", "MEANT_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, f"sk-CANARY-{name}")
    monkeypatch.setenv("GNUPGHOME", "/somewhere")
    monkeypatch.delenv(canary.NAME)
    seen = tmp_path / "seen"
    code = (
        "tr '\\0' '\\n' < /proc/$$/environ > \"$0\"; tr '\\0' ' ' < /proc/$$/cmdline >> \"$0\"; : $MEANT_KEY; echo mine"
    )
    words = ", ".join(json.dumps(word) for word in ("sh", "-c", code, str(seen)))
    others = "".join(
        f'\n[profiles.{name}]\nbase_url = "https://a.b"\napi_key_env = "{key}"\n'
        for name, key in (("other", "OTHER_KEY"), ("meant", "MEANT_KEY"))
    )
    with loopback(lambda call: call.well("fine")) as server:
        write_config(profile_text(server.url, more=f"api_key_command = [{words}]{others}"))
        assert palaver("ask", "hi").returncode == 0
        assert server.calls[0].headers["authorization"] == "Bearer mine"
    text = seen.read_text()
    assert "GNUPGHOME=/somewhere" in text
    assert f"HOME={tmp_path / 'home'}" in text
    assert "sk-CANARY-MEANT_KEY" in text
    assert "sk-CANARY-OTHER_KEY" not in text
    assert "sk-CANARY-OPENAI_API_KEY" not in text
