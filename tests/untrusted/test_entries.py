"""A sample of payloads through every entry of the real program; and that the reading of it can fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.loopback import loopback
from tests.payloads import payloads
from tests.sequences import read
from tests.terminal import Terminal
from tests.untrusted import commands, naming, windows
from tests.untrusted.home import Home
from tests.untrusted.server import answers


def test_commands_print_only_what_is_text(tmp_path: Path) -> None:
    found = commands.sweep(tmp_path, payloads("osc")[:1])
    assert found.reading.wrong == []
    assert len(found.entries) > 100


def test_without_the_cleaning_each_kind_is_found_wrong(tmp_path: Path) -> None:
    some = [payloads("osc")[0], payloads("osc")[3], payloads("dcs")[0], payloads("csi")[8], payloads("direction")[4],
            payloads("hidden")[-3], "a\x07b", "e" + "\u0301" * 20]  # fmt: skip
    home = Home(tmp_path)
    with loopback(answers(some)) as server:
        home.configure(server.url)
        for argv in (("ask", "answer"), ("profiles", "models")):
            t = Terminal([sys.executable, "-m", "tests.untrusted.blinded", *argv], (100, 30), home.environment)
            try:
                t.ends(60)
                kinds = {one.partition(":")[0] for one in read(t.output).wrong}
                assert kinds >= {"OSC", "C1", "DCS", "bidi", "tag", "control", "marks"}
            finally:
                t.close()


@pytest.mark.parametrize("scene", [windows.errors_shown, windows.typing_shown])
def test_a_window_shows_only_what_is_text(scene: windows.Scene, tmp_path: Path) -> None:
    found = scene(tmp_path, payloads("osc")[:1])
    assert found.reading.wrong == []
    assert found.looked_for > 10


def test_half_a_character_in_what_a_server_names_is_replaced(tmp_path: Path) -> None:
    assert naming.conversations_shown(tmp_path, ["a\udfffb"]).reading.wrong == []
