"""Opening the window by command: which arguments are a label, and which are none."""

from __future__ import annotations

import json

import pytest

from tests.loopback import palaver
from tests.terminal import terminal


@pytest.mark.fault("L01")
@pytest.mark.parametrize("args", [[""], ["  "], ["open", ""], ["--new", ""]])
def test_an_empty_label_is_not_the_session_used_last(args: list[str]) -> None:
    palaver("ask", "-s", "work", "hello")
    with terminal(*args) as t:
        assert t.ends() == 2
        assert (b"LABEL and --new do not go together" if "--new" in args else b"The label is empty") in t.output
        assert b"\x1b[?1049h" not in t.output
    assert [one["label"] for one in json.loads(palaver("sessions", "list", "--json").stdout)] == ["work"]
