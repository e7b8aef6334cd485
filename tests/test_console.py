"""Standard input, output and error that are closed, full, or of another encoding: what a command says then, and its status."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.loopback import Call, loopback, palaver, plain_environment, profile_text
from tests.servers import docker_agent
from tests.servers.base import serving

Write = Callable[[str], Path]
ROOT = Path(__file__).parent.parent

FULL = "Standard output cannot be written to: No space left on device."
CLOSED = "Standard output is closed."


def redirected(how: str, *args: str) -> subprocess.CompletedProcess[str]:
    """The program, with its streams as a shell's redirections have them."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" "$@" {how}', sys.executable, "-m", "tui", *args],
        cwd=ROOT, env=plain_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def reports() -> list[Path]:
    return list(Path(os.environ["PALAVER_LOG_DIR"]).glob("crash-*"))


PRINTING = [
    "ask hi", "ask -s work hi", "ask --output json hi", "ask --raw hi", "sessions list", "sessions show work",
    "sessions pin work", "config", "config path", "profiles", "profiles show", "profiles models", "history path",
    "history check", "search hello", "doctor", "export work -o -", "completion bash", "completion labels", "--help",
    "--version", "sessions --help", "sessions show --help",
]  # fmt: skip


@pytest.mark.fault("G17")
@pytest.mark.parametrize(("how", "says"), [(">/dev/full", FULL), (">&-", CLOSED)])
def test_standard_output_that_cannot_be_written_to(write_config: Write, how: str, says: str) -> None:
    def answer(call: Call) -> None:
        call.answer(200, {"data": [{"id": "m"}]}) if call.path.endswith("/models") else call.well("hello to you")

    with loopback(answer) as server:
        write_config(profile_text(server.url))
        assert palaver("ask", "-s", "work", "hello").returncode == 0
        for words in PRINTING:
            done = redirected(how, *words.split())
            assert (words, done.returncode, done.stderr) == (words, 1, f"palaver: {says}\n")
    assert reports() == []


@pytest.mark.fault("G17")
def test_a_prompt_is_not_sent_where_its_answer_can_go_nowhere(write_config: Write) -> None:
    with loopback(lambda call: call.well()) as server:
        write_config(profile_text(server.url))
        assert redirected(">&-", "ask", "hi").returncode == 1
        assert server.calls == []


@pytest.mark.fault("C18")
@pytest.mark.parametrize("words", ["--help", "config path", "completion zsh", "export work -o -"])
def test_a_reader_that_has_left_is_not_complained_of(words: str) -> None:
    palaver("ask", "-s", "work", "-p", "guide", "hello")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "tui", *words.split()],
        cwd=ROOT, env=plain_environment(), stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.PIPE, timeout=60,
        check=False,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.fault("G17")
@pytest.mark.parametrize("how", ["2>/dev/full", "2>&-"])
@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("ask -p none hi", 3),
        ("ask --no-such-option hi", 2),
        ("sessions show none", 9),
        ("search nothing", 0),
        ("config", 0),
    ],
)
def test_standard_error_that_cannot_be_written_to_changes_no_status(how: str, words: str, status: int) -> None:
    done = redirected(how, *words.split())
    assert (done.returncode, done.stderr) == (status, "")
    assert reports() == []


@pytest.mark.fault("G17")
def test_a_mistake_without_standard_error_is_kept_all_the_same(write_config: Write, tmp_path: Path) -> None:
    code = "import sys, tui.ask\ndef broken(args): raise ValueError\ntui.ask.main = broken\n"
    code += "from tui import process\nprocess.begin()\nfrom tui.cli import main\nsys.exit(main(['ask', 'hi']))"
    done = subprocess.run(["/bin/sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 1
    assert len(reports()) == 1


@pytest.mark.fault("G16", "G17")
def test_no_file_gets_a_standard_descriptor(write_config: Write) -> None:
    """Whoever is started would write its complaints there, into the history for instance."""
    code = "import os, sys\nfrom tui import process\nprocess.begin()\nfile = os.open('/dev/null', os.O_RDONLY)\n"
    code += "sys.exit(file if sys.stdin is sys.stdout is sys.stderr is None else 1)"
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', sys.executable, "-c", code], cwd=ROOT, check=False
    )
    assert done.returncode == 3


@pytest.mark.fault("G16")
def test_standard_input_that_is_closed_is_none(write_config: Write) -> None:
    with loopback(lambda call: call.well("fine")) as server:
        write_config(profile_text(server.url))
        done = redirected("<&-", "ask", "hi")
        assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
        done = redirected("<&-", "ask")
        assert (done.returncode, done.stdout) == (2, "")
        assert "There is no prompt" in done.stderr
    assert [call.prompt for call in server.calls] == ["hi"]


@pytest.mark.fault("G16")
def test_an_approval_without_standard_input_is_denied(write_config: Write) -> None:
    with serving(docker_agent.make()) as running:
        write_config(docker_agent.profile_text(running.url))
        done = redirected("<&-", "ask", "-s", "work", "approve it")
        assert done.returncode == 0, done.stderr
        assert "denied, as no one is here to ask" in done.stderr
        (resume,) = [asked for asked in running.service.asked if asked.path.endswith("/resume")]
        assert resume.json["confirmation"] == "reject"


@pytest.mark.fault("K05")
@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("ask --api-key sk-1 hi", "--api-key"),
        ("ask --api-key=sk-1 hi", "--api-key"),
        ("profiles list --api-key sk-1", "--api-key"),
        ("profiles list -ksk-1 sk-1", "-k"),
        ("--api-key=sk-1", "--api-key"),
        ("sessions list more words", "more words"),
    ],
)
def test_a_key_among_the_arguments_is_not_repeated(words: str, shown: str) -> None:
    done = palaver(*words.split())
    prog = " ".join(["palaver", *([words.split()[0]] if not words.startswith("-") else [])])
    assert done.returncode == 2
    assert done.stderr == f"palaver: Unrecognized arguments: {shown} — see {prog} --help\n"
