"""A small part of the long runs that have no test of their own: they run, they count, and they find nothing wrong."""

from __future__ import annotations

from tests.torture import cancels, hammering, network, payloads, two_chats
from tests.untrusted import windows


def test_answers_stopped_at_a_random_moment() -> None:
    report = cancels.run(20, 1)
    assert report.wrong == []
    assert report.counts.total() == 20


def test_processes_that_write_one_history() -> None:
    report = hammering.writers(0.5, count=3)
    assert report.wrong == []
    assert report.counts["processes"] == 3
    assert report.counts["saved turns"] > 0


def test_processes_that_stop_or_die_inside_a_transaction() -> None:
    report = hammering.many(3.0, counts=(2,))
    assert report.wrong == []
    assert (report.counts["stopped inside a transaction"], report.counts["killed inside a transaction"]) == (1, 1)
    assert report.counts["saved turns"] > 0


def test_answers_broken_at_one_byte_each() -> None:
    report = network.run(1_000_003, 1, brief=True)
    assert report.wrong == []
    assert report.counts["faults"] > 100


def test_payloads_through_one_entry() -> None:
    report = payloads.run(2, 1, scenes=(windows.errors_shown,))
    assert report.wrong == []
    assert report.counts["payloads"] == 2
    assert report.counts["texts looked for on the screen"] > 0


def test_two_chats_on_one_history() -> None:
    report = two_chats.run(8, 1)
    assert report.wrong == []
    assert report.counts["sent"] > 10
