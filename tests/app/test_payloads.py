"""Every payload there is, through the real program: only the sequences Palaver itself writes reach a terminal or a pipe."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from tests.fake_server import completed
from tests.loopback import Call, loopback, palaver, profile_text
from tests.payloads import payloads
from tests.terminal import Terminal

Write = Callable[[str], Path]

ALL = payloads()
LINE = " ".join(ALL).replace("\r", " ").replace("\n", " ")
FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2060-\u206f\U000e0000-\U000e007f]")


def answer(call: Call) -> None:
    """All payloads as an answer, as reasoning, as a tool's name, arguments and result; or as an error's words."""
    if call.path.endswith("/models"):
        call.answer(200, {"object": "list", "data": [{"id": one} for one in ALL]})
    elif "fail" in call.prompt:
        call.answer(400, {"error": {"message": LINE, "code": LINE}})
    else:
        part = int(call.prompt)
        some = ALL[part::4]
        text = "\n\n".join(some)
        table = "| a | b |\n|---|---|\n" + "".join(f"| {one.split(chr(10))[0]} | x |\n" for one in some[::5])
        name = " ".join(some[part::9])
        message = [{"type": "output_text", "text": f"{table}\n\n{text}\n\nthe end", "annotations": []}]
        output = [
            {"type": "reasoning", "id": "r1", "summary": [{"type": "summary_text", "text": text}]},
            {"type": "function_call", "id": "f1", "call_id": "c1", "name": name, "arguments": json.dumps({name: text}),
             "status": "completed"},
            {"type": "function_call_output", "id": "o1", "call_id": "c1", "output": text},
            {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": message},
        ]  # fmt: skip
        call.head()
        for item in output:
            call.event({"type": "response.output_item.done", "item": item})
        call.event(completed(text, model=name, output=output))


def test_the_corpus_is_large_and_of_every_class() -> None:
    assert len(set(ALL)) >= 300


def test_commands_print_no_sequence_at_all(write_config: Write) -> None:
    with loopback(answer) as server:
        write_config(profile_text(server.url))
        runs = [palaver("ask", "-s", "work", str(part)) for part in range(4)]
        assert [run.returncode for run in runs] == [0] * 4
        runs.append(palaver("ask", "-s", "work", "fail"))
        assert runs[-1].returncode == 6
        title = LINE.encode("utf-8", "replace").decode().replace("\0", "")[:3000]
        runs += [palaver("sessions", "title", "work", title), palaver("sessions", "show", "work")]
        runs += [
            palaver("sessions", "list"),
            palaver("profiles", "models"),
            palaver("sessions", "show", "no\u202esuch"),
        ]
        for run in runs:
            assert not FORBIDDEN.search(run.stdout), run.args
            assert not FORBIDDEN.search(run.stderr), run.args
        for args in (["sessions", "show", "work"], ["profiles", "models"], ["ask", "1"]):
            t = Terminal([sys.executable, "-m", "tui", *args])
            try:
                assert t.ends(20) == 0
                assert not FORBIDDEN.search(t.output.decode().replace("\r\n", "\n")), args
            finally:
                t.close()
