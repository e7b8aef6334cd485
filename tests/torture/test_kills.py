"""What is taken for seen of a program that is killed."""

from __future__ import annotations

import pytest

from tests.torture import kills
from tests.torture.kills import Witness


def test_what_was_there_only_between_two_frames_was_not_seen() -> None:
    witness = Witness(settles=0.03)
    witness.look("k1n0w001 k1n1w042", 10.0)
    witness.look("k1n0w001 k1n1w002", 10.001)
    witness.look("k1n0w001 k1n1w002", 10.04)
    assert witness.seen == {"k1n0w001": 10.0, "k1n1w002": 10.001}
    assert witness.by(10.0005) == {"k1n0w001"}


def test_what_is_printed_is_seen_at_once() -> None:
    witness = Witness()
    witness.look("k1n0w001 ", 10.0)
    witness.look("k1n0w001 k1n0w002 ", 11.0)
    assert witness.seen == {"k1n0w001": 10.0, "k1n0w002": 11.0}


@pytest.mark.fault("C19")
def test_a_window_is_killed_in_every_run() -> None:
    report = kills.window(1, 20261127)
    assert report.wrong == []
    assert report.counts["kills"] == 1
