"""`palaver ask`, as a process: what comes out where, and with which status."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fake_server import completed, delta
from tests.loopback import Call, loopback, palaver, plain_environment, profile_text, start
from tests.store.histories import a_session, opened, rows, told
from tests.store.other import Other
from tests.store.test_faults import set_aside_file, spoil_in_another_process, texts
from tests.terminal import wait_for
from tests.test_pictures import DOT, PICTURE, URL
from tui.model import Provenance

Write = Callable[[str], Path]

STALE = {"error": {"message": "Previous response with id 'x' not found.", "code": "previous_response_not_found"}}


def well(call: Call) -> None:
    call.well("fine by me")


def test_the_answer_is_all_there_is_on_standard_output(write_config: Write) -> None:
    with loopback(well) as server:
        write_config(profile_text(server.url))
        done = palaver("ask", "how", "are", "you?")
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine by me\n", "")
    assert server.calls[0].prompt == "how are you?"
    assert server.calls[0].json["model"] == "m"


def test_words_and_standard_input_and_files_make_one_prompt(write_config: Write, tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("print('```')\n")
    with loopback(well) as server:
        write_config(profile_text(server.url))
        assert palaver("ask", input="from stdin\n").returncode == 0
        assert palaver("ask", "words", input="from stdin").returncode == 0
        assert palaver("ask", "words", "-f", str(file), "-m", "other", "--system", "Be brief.").returncode == 0
    assert [call.prompt for call in server.calls] == [
        "from stdin\n",
        "words\n\nfrom stdin",
        "words\n\na.py:\n\n````\nprint('```')\n````",
    ]
    assert (server.calls[2].json["model"], server.calls[2].json["instructions"]) == ("other", "Be brief.")


def test_json_is_one_object_and_complete(write_config: Write) -> None:
    usage = {"input_tokens": 3, "output_tokens": 5}
    with loopback(lambda call: call.head().event(completed("fine\x1b é", usage=usage))) as server:
        write_config(profile_text(server.url))
        done = palaver("ask", "-s", "work", "--output", "json", "hi")
    made: dict[str, Any] = json.loads(done.stdout)
    assert done.stdout.isascii()
    assert set(made) == {
        "session", "turn_id", "status", "text", "items", "conversation_id", "profile", "protocol", "model", "origin",
        "usage", "context", "timings", "finish", "notes", "error",
    }  # fmt: skip
    assert (made["session"], made["status"], made["text"], made["conversation_id"]) == (
        "work",
        "done",
        "fine\x1b é",
        "resp_1",
    )
    assert (made["profile"], made["protocol"], made["model"], made["origin"]) == (
        "here",
        "responses",
        "m",
        f"http://127.0.0.1:{server.port}",
    )
    assert (made["usage"]["input_tokens"], made["usage"]["output_tokens"]) == (3, 5)
    assert made["error"] is None
    assert made["items"] == [{"kind": "message", "name": "", "call_id": "", "text": "fine\x1b é", "state": None}]


def test_json_lines_tell_everything_as_it_comes(write_config: Write) -> None:
    with loopback(well) as server:
        write_config(profile_text(server.url))
        done = palaver("ask", "--output", "jsonl", "hi")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["type"] == "item"
    assert lines[-1]["type"] == "turn"
    assert lines[-1]["text"] == "fine by me"
    grown = ""
    for line in lines:
        grown = {"delta": grown + line.get("text", ""), "replace": line.get("text", "")}.get(line["type"], grown)
    assert grown == "fine by me"


def test_a_session_goes_on_and_survives_its_servers_forgetting(write_config: Write) -> None:
    def answer(call: Call) -> None:
        if call.json.get("previous_response_id") == "resp_2":
            call.answer(400, STALE)
        else:
            call.well(f"turn {len(server.calls)}", f"resp_{len(server.calls)}")

    with loopback(answer) as server:
        write_config(profile_text(server.url))
        for number in (1, 2):
            done = palaver("ask", "-s", "work", f"question {number}")
            assert (done.returncode, done.stdout, done.stderr) == (0, f"turn {number}\n", "")
        done = palaver("ask", "-s", "work", "question 3")
        assert (done.returncode, done.stdout) == (0, "turn 4\n")
        assert done.stderr == (
            "palaver: The server no longer knew this conversation; a new one was started, with 2 earlier turns sent along.\n"
        )
        assert len(server.calls) == 4
        shown = json.loads(palaver("sessions", "map", "--json").stdout)
        assert [one["conversation_id"] for one in shown] == ["resp_4"]
        assert [said["content"] for said in server.calls[3].json["input"]] == [
            "question 1",
            "turn 1",
            "question 2",
            "turn 2",
            "question 3",
        ]


@pytest.mark.fault("S14")
def test_no_fresh_makes_a_forgotten_conversation_an_error(write_config: Write) -> None:
    def answer(call: Call) -> None:
        call.answer(400, STALE) if "previous_response_id" in call.json else call.well()

    with loopback(answer) as server:
        write_config(profile_text(server.url))
        palaver("ask", "-s", "work", "one")
        done = palaver("ask", "-s", "work", "--no-fresh", "two")
        assert (done.returncode, done.stdout) == (6, "")
        assert "does not know this conversation" in done.stderr
        assert len(server.calls) == 2


def test_no_history_tells_the_server_nothing_of_before(write_config: Write) -> None:
    with loopback(well) as server:
        text = profile_text(server.url).replace('"responses"', '"responses"\ncontinue_by = "nothing"')
        write_config(text)
        palaver("ask", "-s", "work", "one")
        palaver("ask", "-s", "work", "--no-history", "two")
        palaver("ask", "-s", "work", "three")
    assert [len(call.json["input"]) for call in server.calls] == [1, 1, 5]
    assert all(call.json["store"] is False for call in server.calls)


@pytest.mark.fault("T35")
def test_text_is_clean_and_raw_bytes_are_the_wires_own(write_config: Write) -> None:
    with loopback(lambda call: call.well("a\x1b]52;c;UFdORUQ=\x07b")) as server:
        write_config(profile_text(server.url))
        done = palaver("ask", "hi")
        assert done.stdout == "a␛]52;c;UFdORUQ=␇b\n"
        raw = palaver("ask", "--raw", "-s", "work", "hi")
        assert "tracks no conversation" in raw.stderr
        assert raw.stdout.startswith('data: {"type": "response.output_text.delta"')
        assert json.loads(raw.stdout.split("\n\n")[-2].removeprefix("data: "))["type"] == "response.completed"
        assert palaver("sessions", "list", "--json").stdout.strip() == "[]"


# Statuses


@pytest.mark.fault("N32", "N33", "N35", "H01", "H06", "H07", "H08", "H10", "H14", "H15", "H18")
@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        (lambda call: call.answer(401, {"error": {"message": "bad key"}}), 4, "bad key"),
        (lambda call: call.answer(403, {"error": {"message": "no"}}), 4, "does not allow"),
        (lambda call: call.answer(404, {"error": {"message": "no model m"}}), 6, "no model m"),
        (lambda call: call.answer(405, {}), 6, "does not speak the responses protocol"),
        (lambda call: call.answer(413, {}), 6, "too large for the server"),
        (lambda call: call.answer(422, {"detail": [{"loc": ["body", "input"], "msg": "bad"}]}), 6, "input: bad"),
        (lambda call: call.answer(429, {"error": {"code": "insufficient_quota", "message": "pay"}}), 8, "quota"),
        (lambda call: call.answer(400, {"error": {"code": "context_length_exceeded", "message": "x"}}), 6, "too long"),
        (lambda call: call.answer(302, {}, location="https://evil.example/"), 6, "moved to https://evil.example/"),
        (lambda call: call.head(200, "text/html").send(b"<html><title>Log in</title>"), 6, "web page (“Log in”)"),
        (lambda call: call.head(200, "application/json").send(b'{"error":{"message":"m"}}'), 6, "m"),
        (lambda call: call.head(200, "text/event-stream"), 6, "empty answer"),
        (lambda call: call.head(204, "text/plain"), 6, "empty answer"),
        (lambda call: call.head(200, "application/x-ndjson").send(b'{"a":1}\n{"a":2}\n'), 6, "unexpected content type"),
        (lambda call: call.head().event({"type": "error", "message": "no luck"}), 6, "no luck"),
        (lambda call: call.head().event(delta("half")), 7, "the server stopped"),
        (lambda call: call.head().event(delta("half")).event({"type": "error", "message": "oh"}), 7, "oh"),
        (lambda call: call.head().event(completed("half", status="incomplete")), 7, "stopped the answer early"),
        (lambda call: call.head().event({"type": "response.created", "response": {}}), 5, "no answer"),
    ],
)
def test_what_a_server_says_decides_the_status(write_config: Write, answer: Any, status: int, says: str) -> None:
    with loopback(answer) as server:
        write_config(profile_text(server.url))
        done = palaver("ask", "hi")
    assert done.returncode == status, done.stderr
    assert says.lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("palaver: ")


@pytest.mark.fault("N02")
def test_nothing_answers(write_config: Write) -> None:
    with loopback(well) as server:
        pass
    write_config(profile_text(server.url))
    done = palaver("ask", "hi")
    assert done.returncode == 5
    assert done.stderr == f"palaver: Nothing answers at 127.0.0.1:{server.port} — is the server running?\n"


@pytest.mark.fault("G08", "K06")
def test_configuration_errors(write_config: Write) -> None:
    with loopback(well) as server:
        write_config(profile_text(server.url, more='api_key_env = "MISSING_KEY"'))
        done = palaver("ask", "hi")
        assert (done.returncode, done.stdout) == (3, "")
        assert "environment variable MISSING_KEY is not set" in done.stderr
        done = palaver("ask", "-p", "heer", "hi")
        assert (done.returncode, done.stderr) == (3, "palaver: There is no profile 'heer' — did you mean 'here'?\n")
        file = write_config("a = \n")
        done = palaver("ask", "hi")
        assert done.returncode == 3
        assert f"{file}, line 1, column 5" in done.stderr
        assert done.stderr.splitlines()[-1].strip() == "^"
        assert server.calls == []


@pytest.mark.fault("G10", "L19", "G16")
@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "There is no prompt"),
        (["  "], "There is no prompt"),
        (["--output", "xml", "hi"], "invalid choice"),
        (["--api-key", "sk-1", "hi"], "Unrecognized arguments: --api-key"),
        (["--timeout", "0", "hi"], "number of seconds above 0"),
        (["--timeout", "abc", "hi"], "Argument --timeout: has to be a number of seconds above 0"),
        (["-s", "work", "--at", "abc", "hi"], "Argument --at: has to be a whole number, 1 or more"),
        (["-f", "/no/such/file", "hi"], "No such file"),
        (["-f", "/dev", "hi"], "Is a directory"),
        (["-s", "", "hi"], "The label is empty"),
        (["-s", "a\x1bb", "hi"], "control character"),
        (["-s", "x" * 10_000, "hi"], "10,000 bytes"),
        (["--raw", "--output", "json", "hi"], "do not go together"),
    ],
)
def test_usage_errors(args: list[str], says: str) -> None:
    done = palaver("ask", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.fault("G16")
@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (["--at", "5", "hi"], 9, "There is no session “ghost”"),
        (["--approve"], 9, "There is no session “ghost”"),
        (["--deny", "no"], 9, "There is no session “ghost”"),
        (["--attach", "dot.png", "hi"], 2, "takes no pictures"),
    ],
)
def test_what_cannot_be_asked_leaves_no_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], status: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dot.png").write_bytes(DOT)
    done = palaver("ask", "-s", "ghost", "-p", "guide", *args)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert palaver("sessions", "list", "--json").stdout == "[]\n"


def test_input_that_is_not_text_or_too_much(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui", "ask"], input=b"\x7fELF\x00\x01", capture_output=True, timeout=60
    )
    assert done.returncode == 2
    assert b"not text" in done.stderr
    (tmp_path / "late").write_bytes(b"x" * 10_000 + b"\x00")
    done = subprocess.run(
        [sys.executable, "-m", "tui", "ask", "-f", tmp_path / "late"], capture_output=True, timeout=60
    )
    assert done.returncode == 2
    assert b"not text" in done.stderr
    halves = [tmp_path / "one", tmp_path / "two"]
    for half in halves:
        half.write_text("é" * (5 * 1024 * 512))
    files = [word for half in halves for word in ("-f", half)]
    done = subprocess.run([sys.executable, "-m", "tui", "ask", *files], capture_output=True, timeout=60)
    assert done.returncode == 2
    assert b"The prompt is larger than 8 MiB" in done.stderr
    with (tmp_path / "much").open("wb") as stream:
        stream.write(b"x" * (8 * 1024 * 1024 + 1))
    with (tmp_path / "much").open("rb") as stream:
        done = subprocess.run([sys.executable, "-m", "tui", "ask"], stdin=stream, capture_output=True, timeout=60)
    assert done.returncode == 2
    assert b"larger than 8 MiB" in done.stderr


@pytest.mark.fault("L11")
def test_arguments_that_are_not_utf8() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui", "ask", b"-s", b"lab\xff", b"hi"], capture_output=True, timeout=60
    )
    assert done.returncode == 2
    assert b"not valid UTF-8" in done.stderr


@pytest.mark.fault("G16")
def test_input_that_is_not_utf8_is_read_all_the_same(write_config: Write) -> None:
    with loopback(well) as server:
        write_config(profile_text(server.url))
        done = subprocess.run(
            [sys.executable, "-m", "tui", "ask"],
            input=b"caf\xe9 \xff\xfe na\xc3\xafve",
            capture_output=True,
            timeout=60,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"fine by me\n", b"")
        assert server.calls[0].prompt == "caf\ufffd \ufffd\ufffd naïve"


@pytest.mark.fault("N10")
@pytest.mark.parametrize("output", ["text", "json"])
def test_a_prompt_that_may_have_arrived_is_sent_again_by_no_key(write_config: Write, output: str) -> None:
    """What the window says of its keys is nothing to do at a command line."""
    with loopback(lambda call: None) as server:
        write_config(profile_text(server.url))
        done = palaver("ask", "-s", "work", "--output", output, "hi")
        assert len(server.calls) == 1
    assert done.returncode == 5
    assert done.stderr.endswith("— it may have been received; the same command sends it again\n")
    shown = (
        palaver("sessions", "show", "work").stdout + palaver("sessions", "show", "work", "--json").stdout + done.stdout
    )
    assert "it may have been received" in shown
    assert "press" not in shown


# Signals and readers


@pytest.mark.fault("C12", "C14", "C15")
@pytest.mark.parametrize(
    ("number", "status", "kept"),
    [(signal.SIGINT, 130, "cancelled"), (signal.SIGTERM, 143, "interrupted"), (signal.SIGHUP, 129, "interrupted")],
)
def test_signals_end_it_with_what_came(write_config: Write, number: int, status: int, kept: str) -> None:
    with loopback(lambda call: call.hold("half an answer")) as server:
        write_config(profile_text(server.url))
        process = start("ask", "-s", "work", "hi")
        assert server.call().sent.wait(30)
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 100) == b"half an answer"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == status
    assert (out, err) == (b"\n", b"Cancelled.\n")
    shown = json.loads(palaver("sessions", "show", "work", "--json").stdout)
    assert [(turn["status"], turn["text"]) for turn in shown["messages"]] == [(kept, "half an answer")]
    assert palaver("sessions", "map", "--json").stdout.strip() == "[]"


@pytest.mark.fault("C12", "C14", "C15")
@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_it_when_no_one_reads_on(write_config: Write, number: int, status: int, is_whole: bool) -> None:
    """What is printed fills the pipe, and stays there."""
    text = "word " * 20_000

    def answer(call: Call) -> None:
        if is_whole:
            call.head().event(delta(text)).event(completed(text, "resp_1"))
        else:
            call.hold(text)

    def shown() -> list[tuple[str, str]]:
        messages = json.loads(palaver("sessions", "show", "work", "--json").stdout or "{}").get("messages", [])
        return [(turn["status"], turn["text"].strip()) for turn in messages]

    with loopback(answer) as server:
        write_config(profile_text(server.url))
        process = start("ask", "-s", "work", "hi")
        wait_for(lambda: shown() == [("done" if is_whole else "streaming", text.strip())], "it is never kept")
        process.send_signal(number)
        assert process.wait(10) == status
        process.communicate()
    kept = "done" if is_whole else "cancelled" if number == signal.SIGINT else "interrupted"
    assert shown() == [(kept, text.strip())]


@pytest.mark.fault("C13")
def test_a_second_signal_ends_it_at_once(write_config: Write) -> None:
    with loopback(lambda call: call.hold("half")) as server:
        write_config(profile_text(server.url))
        process = start("ask", "-s", "work", "hi")
        assert server.call().sent.wait(30)
        assert process.stdout is not None
        os.read(process.stdout.fileno(), 100)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        process.communicate()


@pytest.mark.fault("C18")
def test_a_reader_that_leaves_is_not_complained_of(write_config: Write) -> None:
    def answer(call: Call) -> None:
        call.hold("first line\n")
        while True:
            call.event(delta("more of it\n" * 50))

    with loopback(answer) as server:
        write_config(profile_text(server.url))
        process = start("ask", "-s", "work", "hi")
        assert server.call().sent.wait(30)
        assert process.stdout is not None
        assert process.stderr is not None
        os.read(process.stdout.fileno(), 100)
        process.stdout.close()
        server.call().go_on.set()
        assert process.wait(30) == 141
        assert process.stderr.read() == b""
        process.stderr.close()
    shown = json.loads(palaver("sessions", "show", "work", "--json").stdout)
    assert shown["messages"][0]["status"] == "interrupted"


@pytest.mark.fault("G14")
def test_an_ascii_locale_changes_nothing(write_config: Write) -> None:
    with loopback(lambda call: call.well("naïve 日本")) as server:
        write_config(profile_text(server.url))
        environment = plain_environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
        done = subprocess.run(
            [sys.executable, "-m", "tui", "ask", "hi"], capture_output=True, env=environment, stdin=subprocess.DEVNULL
        )
    assert (done.returncode, done.stdout.decode()) == (0, "naïve 日本\n")


@pytest.mark.fault("N13")
def test_a_server_that_only_shows_signs_of_life_has_until_the_timeout(write_config: Write) -> None:
    pings = []

    def answer(call: Call) -> None:
        call.head().event(delta("half"))
        while True:
            # Ends with the connection, which the time-out closes.
            call.send(b": ping\n\n")
            pings.append(call)
            call.go_on.wait(0.02)

    with loopback(answer) as server:
        write_config(profile_text(server.url, more="idle_timeout = 1.5"))
        done = palaver("ask", "-s", "work", "--timeout", "2", "hi")
    assert (done.returncode, done.stdout) == (7, "half\n")
    assert "no complete answer in 2 s" in done.stderr
    assert len(pings) > 5
    assert len(server.calls) == 1


def test_a_timeout_keeps_what_came(write_config: Write) -> None:
    with loopback(lambda call: call.hold("half")) as server:
        write_config(profile_text(server.url))
        done = palaver("ask", "-s", "work", "--timeout", "2", "hi")
    assert (done.returncode, done.stdout) == (7, "half\n")
    assert "no complete answer in 2 s" in done.stderr


@pytest.mark.fault("C24")
def test_a_session_that_is_deleted_is_answered_in_no_more(write_config: Write) -> None:
    with loopback(lambda call: call.hold("half")) as server:
        write_config(profile_text(server.url))
        process = start("ask", "-s", "work", "hi")
        assert server.call().sent.wait(30)
        assert palaver("sessions", "delete", "work").returncode == 0
        out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (7, b"half\n")
    assert said.decode() == "palaver: Stopped: the session was put into the trash.\n"


# History in trouble


def _folder(history: Path) -> None:
    history.mkdir(parents=True)


def _parent_is_file(history: Path) -> None:
    history.parent.parent.mkdir(parents=True)
    history.parent.write_text("x")


def _newer(history: Path) -> None:
    history.parent.mkdir(parents=True)
    _make_newer(history)


def _make_newer(history: Path) -> None:
    conn = sqlite3.connect(history)
    conn.execute("PRAGMA user_version = 99")
    conn.close()


@pytest.mark.fault("D02", "D17", "D43")
@pytest.mark.parametrize(
    ("spoil", "says"), [(_folder, "is a folder"), (_parent_is_file, "is not a folder"), (_newer, "newer version")]
)
def test_a_history_that_cannot_be_had_never_costs_an_answer(
    write_config: Write, history: Path, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(history)
    before = history.read_bytes() if history.is_file() else b""
    with loopback(well) as server:
        write_config(profile_text(server.url))
        done = palaver("ask", "-s", "work", "hi")
    assert (done.returncode, done.stdout) == (0, "fine by me\n")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    if before:
        assert history.read_bytes() == before


@pytest.mark.fault("D17", "D43")
def test_a_new_conversation_is_begun_whether_or_not_it_can_be_noted(write_config: Write, history: Path) -> None:
    with loopback(lambda call: call.well("fine by me", f"resp_{len(server.calls)}")) as server:
        write_config(profile_text(server.url))
        assert palaver("ask", "-s", "work", "one").returncode == 0
        _make_newer(history)
        before = history.read_bytes()
        done = palaver("ask", "-s", "work", "--fresh", "two")
        assert palaver("sessions", "detach", "work").returncode == 9
    assert (done.returncode, done.stdout) == (0, "fine by me\n")
    assert "newer version" in done.stderr
    assert len([line for line in done.stderr.splitlines() if "new conversation" not in line]) == 1
    assert "previous_response_id" not in server.calls[1].json
    assert history.read_bytes() == before


@pytest.mark.fault("D17", "D43")
@pytest.mark.parametrize("word", ["--approve", "--deny"])
def test_a_question_is_answered_whether_or_not_that_can_be_noted(write_config: Write, history: Path, word: str) -> None:
    asked = {"type": "mcp_approval_request", "id": "q", "server_label": "ops", "name": "deploy", "arguments": "{}"}

    def answer(call: Call) -> None:
        if "mcp_approval_response" in str(call.json):
            call.well("fine by me")
        else:
            call.head().event(completed(response_id="resp_0", output=[asked]))

    with loopback(answer) as server:
        write_config(profile_text(server.url))
        assert palaver("ask", "-s", "work", "one").returncode == 7
        _make_newer(history)
        done = palaver("ask", "-s", "work", word)
    assert (done.returncode, done.stdout) == (0, "fine by me\n")
    assert "newer version" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [one["approve"] for one in server.calls[1].json["input"]] == [word == "--approve"]


@pytest.mark.fault("D10")
def test_a_damaged_history_is_set_aside(write_config: Write, history: Path) -> None:
    history.parent.mkdir(parents=True)
    history.write_text("this is not a database, and never was one\n" * 50)
    with loopback(well) as server:
        write_config(profile_text(server.url))
        done = palaver("ask", "-s", "work", "hi")
    assert (done.returncode, done.stdout) == (0, "fine by me\n")
    (aside,) = history.parent.glob("history.db.damaged-*")
    assert aside.read_text().startswith("this is not a database")
    assert str(aside) in done.stderr
    assert json.loads(palaver("sessions", "list", "--json").stdout)[0]["label"] == "work"


@pytest.mark.fault("D12", "D43")
def test_damage_met_while_it_asks_is_told_in_one_line(write_config: Write, history: Path) -> None:
    def answer(call: Call) -> None:
        if call.prompt == "first":
            call.well("one")
        else:
            call.hold("half ").event(completed("half and half", "resp_2"))

    with loopback(answer) as server:
        write_config(profile_text(server.url))
        assert palaver("ask", "-s", "work", "first").returncode == 0
        process = start("ask", "-s", "work", "second")
        assert server.call(2).sent.wait(30)
        wait_for(lambda: rows(history, "SELECT 1 FROM messages WHERE text = 'half '"), "nothing was saved")
        root = rows(history, "SELECT rootpage FROM sqlite_master WHERE name = 'chunks'")[0][0]
        spoil_in_another_process(history, root - 1)
        server.call(2).go_on.set()
        out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"half and half\n")
    assert said.decode().splitlines() == [
        f"palaver: The history was damaged. It is kept as {set_aside_file(history)}. "
        f"2 turns could be read from it into {history}."
    ]
    assert texts(history) == ["first", "one", "second", "half and half"]


@pytest.mark.fault("D28")
def test_a_history_taken_away_while_it_asks_is_told_in_one_line(write_config: Write, history: Path) -> None:
    with loopback(lambda call: call.hold("half ").event(completed("half and half"))) as server:
        write_config(profile_text(server.url))
        process = start("ask", "-s", "work", "hello")
        assert server.call().sent.wait(30)
        wait_for(lambda: rows(history, "SELECT 1 FROM messages WHERE text = 'half '"), "nothing was saved")
        history.rename(history.with_name("elsewhere.db"))
        server.call().go_on.set()
        out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"half and half\n")
    assert said.decode().splitlines() == [
        f"palaver: The history was moved or replaced while it was open; from now on the new one is used: {history}."
    ]
    assert texts(history) == ["hello", "half and half"]


@pytest.mark.fault("D20", "D43")
def test_what_is_asked_in_a_locked_history_is_kept_where_it_was_asked(write_config: Write, history: Path) -> None:
    def answer(call: Call) -> None:
        if call.prompt == "first":
            call.well("one")
        else:
            call.hold("half ").event(completed("half and half", "resp_2"))

    with loopback(answer) as server, Other(history) as other:
        write_config(profile_text(server.url))
        assert palaver("ask", "-s", "work", "first").returncode == 0
        other.do("hold")
        process = start("ask", "-s", "work", "--output", "json", "second")
        assert server.call(2).sent.wait(30)
        other.do("let_go")
        server.call(2).go_on.set()
        out, said = process.communicate(timeout=30)
    assert (process.returncode, json.loads(out)["session"]) == (0, "work")
    assert said.decode().splitlines() == [
        "palaver: History is off: The history is locked by another program. "
        "What was said in “work” before is not known to this answer."
    ]
    assert texts(history) == ["first", "one", "second", "half and half"]
    assert rows(history, "SELECT DISTINCT session FROM messages") == [("work",)]


@pytest.mark.parametrize(
    ("label", "command"),
    [("work", "palaver sessions fork work NEW"), ("-a b", "palaver sessions fork -- '-a b' NEW")],
)
def test_in_someone_elses_conversation_it_names_the_command_that_forks_it(
    history: Path, label: str, command: str
) -> None:
    async def prepare() -> None:
        async with opened(history) as store:
            await told(store, replace(a_session(label), provenance=Provenance.FOREIGN), "hello", "one")

    asyncio.run(prepare())
    done = palaver("ask", f"--session={label}", "hi")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"palaver: This conversation is someone else's — fork it to go on: {command}\n"
    assert palaver(*shlex.split(command)[1:]).returncode == 0
    assert palaver("ask", "-s", "NEW", "hi").returncode == 0


@pytest.mark.fault("C19")
def test_after_a_kill_the_next_start_marks_the_cut_answer(write_config: Write) -> None:
    with loopback(lambda call: call.hold("half an answer")) as server:
        write_config(profile_text(server.url))
        process = start("ask", "-s", "work", "hi")
        assert server.call().sent.wait(30)
        shown = ""
        deadline = time.monotonic() + 30
        while "half an answer" not in shown and time.monotonic() < deadline:
            shown = palaver("sessions", "show", "work", "--json").stdout
        process.kill()
        process.communicate()
    turns = json.loads(palaver("sessions", "show", "work", "--json").stdout)["messages"]
    assert [(turn["status"], turn["text"], turn["error"]["kind"]) for turn in turns] == [
        ("interrupted", "half an answer", "crash")
    ]


# What is loaded


def loaded_by(code: str) -> set[str]:
    """The modules in a fresh interpreter after `code`."""
    script = f"import sys\nsys.argv = ['palaver']\n{code}\nprint('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_help_loads_nothing_heavy() -> None:
    code = "from tui.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    heavy = {"textual", "httpx", "sqlite3", "rich", "asyncio", "sqlite_utils", "platformdirs", "typing", "shutil"}
    assert not heavy & loaded_by(code)
    assert not heavy & loaded_by(code.replace("--help", "--version"))


NOT_FOR_ASKING = {
    "textual", "rich", "markdown_it", "pygments", "yaml", "tui.agent_items", "tui.app", "tui.exchange",
    "tui.matching", "tui.query", "tui.store.finds", "tui.store.search",
}  # fmt: skip


def test_ask_loads_no_textual(write_config: Write) -> None:
    code = (
        "from tui.cli import main\nstatus = main(['ask', '-s', 'work', 'how do I fork a session?'])\nassert status == 0"
    )
    modules = loaded_by(code)
    assert "httpx" in modules
    assert sorted(NOT_FOR_ASKING & modules) == []


def test_ask_without_a_session_loads_no_history(write_config: Write) -> None:
    code = "from tui.cli import main\nstatus = main(['ask', '--raw', '-p', 'nowhere', 'hello'])\nassert status == 5, status"
    write_config('[profiles.nowhere]\nprotocol = "chat"\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "none"\n')
    modules = loaded_by(code)
    assert "httpx" in modules
    assert (
        sorted(
            (NOT_FOR_ASKING | {"sqlite3", "sqlite_utils", "difflib", "logging.handlers", "tui.store.database"})
            & modules
        )
        == []
    )
    assert [name for name in modules if name.startswith("tui.store.sql.")] == []
    assert len([name for name in modules if name.partition(".")[0] == "tui"]) <= 88


def test_a_picture_is_shown_with_a_session_and_without_one(write_config: Write, tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(DOT)
    with loopback(well) as server:
        write_config(profile_text(server.url))
        for words in (["ask"], ["ask", "-s", "work"]):
            assert palaver(*words, "what is it?", "--attach", str(tmp_path / "dot.png")).returncode == 0
    named = f"what is it?\n\n@{tmp_path}/dot.png (70 bytes, picture {PICTURE.key})"
    shown = [{"type": "input_text", "text": named}, {"type": "input_image", "image_url": URL}]
    assert [call.json["input"] for call in server.calls] == [[{"role": "user", "content": shown}]] * 2


def test_files_are_attached_as_in_the_window(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "b.bin").write_bytes(b"\xff")
    (tmp_path / "dot.png").write_bytes(DOT)
    words = ["ask", "-s", "with files", "-p", "guide", "why?", "--attach", str(tmp_path / "a.txt")]
    assert palaver(*words).returncode == 0
    shown = palaver("sessions", "show", "with files", "--json")
    assert f"why?\\n\\n@{tmp_path}/a.txt (3 bytes):\\n\\n```\\none\\n```" in shown.stdout
    shown = palaver("ask", "what is it?", "--attach", str(tmp_path / "dot.png"), "-p", "guide")
    assert shown.returncode == 2
    assert shown.stderr == "palaver: The guide protocol takes no pictures — leave them out\n"
    refused = palaver(*words, "--attach", str(tmp_path / "b.bin"))
    assert refused.returncode == 2
    assert "b.bin is not UTF-8 text." in refused.stderr
