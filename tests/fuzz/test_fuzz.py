"""The fuzzer itself: it finds what fails, and says how to see it again."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import engine, imports, machines
from tests.fuzz.engine import Differs, Target
from tests.fuzz.targets import TARGETS


def _bad(data: bytes) -> None:
    if data == b"0":
        raise ValueError("a crash")
    if data == b"1":
        raise Differs
    if data == b"2":
        while True:
            pass


def test_crashes_differences_and_hangs_are_counted_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "FOLDER", tmp_path)
    monkeypatch.setattr(engine, "PATIENCE", 0.05)
    given = iter(range(4))
    target = Target("", lambda: (lambda chance: str(next(given)).encode(), _bad))
    counts = engine.run("bad", target, 4, 7, float("inf"))
    assert (counts.inputs, counts.kinds) == (4, {"crash": 1, "difference": 1, "hang": 1})
    assert counts.line().startswith("bad: 4 inputs, 1 crashes, 1 hangs, 1 differences, longest ")
    assert (tmp_path / "bad-crash-0.bin").read_bytes() == b"0"
    told = json.loads((tmp_path / "bad-crash-0.txt").read_text().splitlines()[0])
    assert "ValueError: a crash" in (tmp_path / "bad-crash-0.txt").read_text()
    assert told["repeat"] == f"python -m tests.fuzz bad --repeat {tmp_path}/bad-crash-0.bin"
    with pytest.raises(ValueError, match="a crash"):
        engine.repeat(target, b"0")


QUICK = {name: target for name, target in TARGETS.items() if name not in machines.TARGETS}
"""Those that take many orders for one input have tests of their own."""


@pytest.mark.parametrize("name", QUICK)
def test_a_target_takes_some_inputs_and_the_same_ones_for_the_same_seed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "WRITTEN_EVERY", 1)
    make, check = QUICK[name].ready()
    for number in range(20):
        data = make(Random(number))
        assert data == make(Random(number))
        check(data)


@pytest.mark.parametrize(("name", "data"), [("anthropic", b"\x99\x0ce")])
def test_what_was_found_once_is_right_now(name: str, data: bytes) -> None:
    TARGETS[name].ready()[1](data)
