"""Commands about what servers have: forks, adopted and shared conversations, models; approvals by `ask`; the trial."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.loopback import palaver, plain_environment, start
from tests.servers import docker_agent, responses, rill
from tests.servers.base import Running, serving

Write = Callable[[str], Path]


@pytest.fixture
def server(write_config: Write) -> Iterator[Running]:
    with serving(responses.make()) as running:
        write_config(responses.profile_text(running.url))
        yield running


def prompts(label: str) -> list[str]:
    return [turn["prompt"] for turn in json.loads(palaver("sessions", "show", label, "--json").stdout)["messages"]]


def test_forking(server: Running) -> None:
    for prompt in ("one", "two", "three"):
        palaver("ask", "-s", "work", prompt)
    done = palaver("sessions", "fork", "work", "other", "--at", "2")
    assert (done.returncode, done.stdout) == (0, "other goes on from 2 turns of work\n")
    assert prompts("other") == ["one", "two"]
    assert palaver("ask", "-s", "other", "four").stdout == "3 prompts so far. You said: four\n"
    assert palaver("sessions", "fork", "work", "other").returncode == 9
    assert palaver("sessions", "fork", "nothing", "x").returncode == 9
    assert palaver("sessions", "fork", "work", "x", "--at", "0").returncode == 2
    assert palaver("sessions", "share", "work").returncode == 2


def test_adopting_and_letting_go(server: Running) -> None:
    palaver("ask", "-s", "work", "one")
    (known,) = json.loads(palaver("sessions", "map", "--json").stdout)
    done = palaver("sessions", "adopt", "found", known["conversation_id"])
    assert done.returncode == 0
    assert palaver("ask", "-s", "found", "two").stdout == "2 prompts so far. You said: two\n"
    assert palaver("sessions", "detach", "found").stdout == "found begins a new conversation next time\n"
    after = palaver("ask", "-s", "found", "three")
    assert after.stdout.startswith("2 prompts so far")
    assert "new conversation" in after.stderr


def test_an_approval_by_command(server: Running) -> None:
    done = palaver("ask", "-s", "work", "approve it")
    assert (done.returncode, done.stdout) == (7, "")
    assert 'ops.deploy wants your approval: {"to": "production"}' in done.stderr
    assert "palaver ask -s work --approve (or --deny) answers it" in done.stderr
    assert palaver("ask", "--approve").returncode == 2
    done = palaver("ask", "-s", "work", "--deny", "not today")
    assert (done.returncode, done.stdout) == (0, "1 prompt so far. You said: no\n")
    assert server.service.asked[-1].json["input"][0]["reason"] == "not today"
    done = palaver("ask", "-s", "work", "--approve")
    assert (done.returncode, "Nothing in this session waits" in done.stderr) == (2, True)


@pytest.mark.fault("L03")
@pytest.mark.parametrize("label", ["-rf", "export", "a  b", "it's"])
def test_the_command_that_answers_means_the_session(server: Running, label: str) -> None:
    done = palaver("ask", f"--session={label}", "approve it")
    assert done.returncode == 7
    line = done.stderr.splitlines()[-1].removeprefix("palaver: palaver ").removesuffix(" (or --deny) answers it")
    assert palaver(*shlex.split(line)).stdout == "1 prompt so far. You said: yes\n"


def test_what_no_one_is_there_to_ask_is_denied(write_config: Write) -> None:
    with serving(docker_agent.make()) as running:
        write_config(docker_agent.profile_text(running.url))
        done = palaver("ask", "-s", "work", "approve it")
        assert done.returncode == 0, done.stderr
        assert "wants your approval" in done.stderr
        assert "denied, as no one is here to ask" in done.stderr
        (resume,) = [asked for asked in running.service.asked if asked.path.endswith("/resume")]
        assert resume.json["confirmation"] == "reject"


def test_sharing_and_listing(write_config: Write) -> None:
    with serving(rill.make()) as running:
        write_config(rill.profile_text(running.url))
        palaver("ask", "-s", "work", "one")
        conversation_id = palaver("sessions", "share", "work").stdout.strip()
        (listed,) = json.loads(palaver("profiles", "conversations", "--json").stdout)
        assert listed["id"] == conversation_id
        assert conversation_id in palaver("profiles", "conversations").stdout
        assert json.loads(palaver("sessions", "list", "--json").stdout)[0]["shared_turns"] == 1
        assert palaver("sessions", "share", "work", "--undo").stdout == "work is no longer shared\n"
        done = palaver("sessions", "adopt", "found", conversation_id)
        assert "1 turn came along" in done.stdout
        assert prompts("found") == ["one"]
        assert "This conversation was found on" in palaver("sessions", "show", "found").stdout


@pytest.mark.fault("L16")
def test_nothing_is_shared_or_forked_up_to_a_turn_that_is_not_there(write_config: Write) -> None:
    with serving(rill.make()) as running:
        write_config(rill.profile_text(running.url))
        for prompt in ("one", "two", "three"):
            palaver("ask", "-s", "work", prompt)
        asked = len(running.service.asked)
        for command in (("share", "work"), ("fork", "work", "other")):
            for at in ("4", "9" * 30):
                done = palaver("sessions", *command, "--at", at)
                assert (done.returncode, done.stdout) == (9, "")
                assert done.stderr == f"palaver: There is no turn {int(at):,} in “work”: it has 3.\n"
        assert len(running.service.asked) == asked
        (only,) = json.loads(palaver("sessions", "list", "--json").stdout)
        assert (only["label"], only["shared_turns"]) == ("work", None)


def test_models(server: Running) -> None:
    assert palaver("profiles", "models").stdout == "fake\nother\n"
    assert palaver("profiles", "conversations").returncode == 2
    assert palaver("profiles", "models", "guide").returncode == 2


def test_a_trial_says_what_works(server: Running) -> None:
    done = palaver("profiles", "test")
    assert done.returncode == 0, done.stdout
    lines = {line.split()[0]: line.split(maxsplit=2) for line in done.stdout.splitlines()}
    assert list(lines) == ["key", "models", "reach", "auth", "answer", "stream", "continue", "cancel"]
    for name in ("key", "models", "reach", "auth", "answer", "continue"):
        assert lines[name][1] == "ok", done.stdout
    assert lines["continue"][2].startswith("the server keeps the conversation; “2 prompts so far.")
    assert palaver("sessions", "list", "--json").stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("label", "command"),
    [
        ("work", "palaver work"),
        ("export", "palaver open export"),
        ("-rf", "palaver open -- -rf"),
        ("a  b", "palaver 'a  b'"),
    ],
)
def test_a_run_in_the_background_goes_on_when_ask_is_terminated(write_config: Write, label: str, command: str) -> None:
    with serving(responses.make()) as running:
        write_config(responses.profile_text(running.url) + "background = true\n")
        process = start("ask", f"--session={label}", "hang on", env=plain_environment())
        assert process.stdout is not None
        assert process.stdout.read(5) == b"1 pro"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 143
        assert b"The server goes on." in errors
        assert f"palaver: {command} shows the rest\n".encode() in errors
        running.service.go_on.set()
        assert [asked.method for asked in running.service.asked] == ["POST"]


def test_control_c_stops_a_run_in_the_background(write_config: Write) -> None:
    with serving(responses.make()) as running:
        write_config(responses.profile_text(running.url) + "background = true\n")
        process = start("ask", "-s", "work", "hang on", env=plain_environment())
        assert process.stdout is not None
        assert process.stdout.read(5) == b"1 pro"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (130, b"Cancelled.\n")
        assert running.service.asked[-1].path.endswith("/cancel")
