"""The retry matrix: whether a request may be made again, how often, and after how long."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tui.client.reply import Rejected, Reply, read_reply
from tui.client.retry import (
    LONGEST_WAIT,
    Policy,
    Wait,
    is_limited,
    is_locked,
    is_quota,
    may_be_at_work,
    read_retry_after,
)
from tui.errors import Unreachable

NOW = 1696004797.0
"""2023-09-29 16:26:37 UTC."""

LOCKED = json.dumps(
    {
        "message": "Another process is currently operating on this conversation. Please retry in a few seconds.",
        "type": "invalid_request_error",
        "param": "conversation",
        "code": "conversation_locked",
    }
).encode()


def policy(keeps: bool = False, budget: float = 1000.0, jitter: float = 0.0) -> Policy:
    return Policy(keeps, budget, jitter=lambda: jitter, now=lambda: NOW)


def rejected(status: int, body: bytes = b"", *, in_stream: bool = False, **headers: str) -> Rejected:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Rejected(read_reply(status, body, named), in_stream=in_stream)


def in_stream(code: str = "", kind: str = "", message: str = "no") -> Rejected:
    return Rejected(Reply(0, message, code, kind, form="json"), in_stream=True)


def waits(failure: Rejected | Unreachable, *, keeps: bool, budget: float = 1000.0, jitter: float = 0.0) -> list[float]:
    """How long the pauses are if the same failure comes again and again, until nothing more may be sent."""
    one = policy(keeps, budget, jitter)
    found: list[float] = []
    while (wait := one.after(failure)) is not None:
        found.append(wait.seconds)
        assert len(found) < 20, "it never gives up"
    return found


# The matrix, row by row: what happened, the pauses on a stateless protocol, the pauses where the server keeps things.

CONNECT = Unreachable("Nothing answers at h.")
TLS = Unreachable("The certificate of h is not accepted.", retryable=False)
SENT = Unreachable("h closed the connection without an answer.", sent=True)
TWICE = [0.5, 1.0]
LOCKS = [1.0, 2.0, 4.0]


@dataclass(frozen=True)
class Row:
    failure: Rejected | Unreachable
    stateless: list[float]
    stateful: list[float]


MATRIX = {
    "before any byte": Row(CONNECT, TWICE, TWICE),
    "before any byte, for good": Row(TLS, [], []),
    "sent, no headers": Row(SENT, [0.5], []),
    "500": Row(rejected(500, b"oops"), [0.5], []),
    "500, to be retried": Row(rejected(500, x_should_retry="true"), TWICE, TWICE),
    "500, not to be retried": Row(rejected(500, x_should_retry="false"), [], []),
    "500 in the stream": Row(in_stream(kind="server_error"), [], []),
    "501": Row(rejected(501), [], []),
    "505": Row(rejected(505), [], []),
    "409": Row(rejected(409), LOCKS, LOCKS),
    "409, had already": Row(rejected(409, b"duplicate request"), [], []),
    "locked": Row(rejected(400, LOCKED), LOCKS, LOCKS),
    "locked in the stream": Row(in_stream("conversation_locked"), LOCKS, LOCKS),
    "locked, in words": Row(rejected(400, b"The conversation is already processing a request"), LOCKS, LOCKS),
    "429 not to be retried": Row(rejected(429, x_should_retry="false"), [], []),
    "429, quota": Row(rejected(429, b'{"error":{"code":"insufficient_quota","message":"You exceeded it"}}'), [], []),
    "429, no quota": Row(rejected(429, b'{"error":{"type":"tokens","message":"Rate limit: quota exceeded?"}}'), [], []),
    "rate limit in the stream": Row(in_stream("rate_limit_exceeded"), TWICE, TWICE),
    "rate limit in the stream, by type": Row(in_stream(kind="rate_limit_error"), TWICE, TWICE),
    "overloaded in the stream": Row(in_stream(kind="overloaded_error"), TWICE, TWICE),
    "slow down in the stream": Row(in_stream("slow_down"), TWICE, TWICE),
    "400": Row(rejected(400, b'{"error":{"message":"no"}}'), [], []),
    "400, to be retried": Row(rejected(400, x_should_retry="true"), TWICE, TWICE),
    "stranger in the stream": Row(in_stream("invalid_prompt"), [], []),
    "504, to be retried": Row(rejected(504, x_should_retry="true"), TWICE, TWICE),
    "504 in the stream": Row(Rejected(Reply(504), in_stream=True), TWICE, []),
    **{str(status): Row(rejected(status), TWICE, TWICE) for status in (408, 425, 429, 503, 521, 522, 523, 525, 526, 529)},
    **{str(status): Row(rejected(status), TWICE, []) for status in (502, 504, 520, 524, 527)},
    **{str(status): Row(rejected(status), [], []) for status in (401, 403, 404, 405, 410, 413, 415, 422, 426, 451, 528, 600)},
}  # fmt: skip


@pytest.mark.parametrize("name", MATRIX)
@pytest.mark.parametrize("keeps", [False, True], ids=["stateless", "stateful"])
def test_the_matrix(name: str, keeps: bool) -> None:
    row = MATRIX[name]
    assert waits(row.failure, keeps=keeps) == (row.stateful if keeps else row.stateless)


@pytest.mark.parametrize("failure", [rejected(503), in_stream("rate_limit_exceeded"), rejected(409), CONNECT])
def test_an_answer_that_has_begun_is_asked_for_again_only_where_the_server_keeps_nothing(
    failure: Rejected | Unreachable,
) -> None:
    assert policy(keeps=True).after(failure, begun=True) is None
    assert policy(keeps=False).after(failure, begun=True) == policy().after(failure)


def test_which_refusals_leave_open_whether_the_server_is_at_work() -> None:
    assert may_be_at_work(Reply(504))
    assert not may_be_at_work(Reply(503))
    assert not may_be_at_work(read_reply(504, b"", {"x-should-retry": "true"}))


def test_pauses_grow_shrink_by_chance_and_have_a_longest() -> None:
    one = policy(jitter=1.0)
    assert waits(CONNECT, keeps=False, jitter=1.0) == [0.375, 0.75]
    assert waits(CONNECT, keeps=False, jitter=0.5) == [0.4375, 0.875]
    assert one._backoff(3) == 3.0
    assert [policy()._backoff(number) for number in range(7)] == [0.5, 1, 2, 4, 8, 8, 8]


def test_chance_is_real_where_none_is_given() -> None:
    for _ in range(50):
        wait = Policy(keeps=False).after(CONNECT)
        assert wait is not None
        assert 0.375 <= wait.seconds <= 0.5


def test_each_kind_of_trouble_counts_for_itself() -> None:
    one = policy()
    found = [one.after(failure) for failure in (CONNECT, rejected(503), rejected(409), CONNECT, rejected(429), CONNECT)]
    assert [wait.seconds if wait else None for wait in found] == [0.5, 0.5, 1.0, 1.0, 1.0, None]
    assert one.after(rejected(503)) is None
    assert one.after(rejected(409)) == Wait(2.0, "the conversation is busy, retrying 2/3")


def test_a_connection_lost_before_headers_is_retried_once_even_after_one_that_was_refused() -> None:
    one = policy()
    assert one.after(CONNECT) is not None
    assert one.after(SENT) is None, "one of the two has been used"


def test_a_failure_of_the_server_after_retries_for_load_is_the_last() -> None:
    one = policy()
    assert one.after(rejected(503)) is not None
    assert one.after(rejected(500)) is None


def test_a_failure_of_the_server_counts_among_the_retries_for_load() -> None:
    one = policy()
    found = [one.after(failure) for failure in (rejected(500), rejected(503), rejected(503))]
    assert [wait.seconds if wait else None for wait in found] == [0.5, 1.0, None]


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (CONNECT, "Nothing answers at h"),
        (Unreachable("Nothing answers at X..."), "Nothing answers at X"),
        (rejected(429), "the server said too many requests, retrying 1/2"),
        (rejected(503), "the server said unavailable, retrying 1/2"),
        (rejected(529), "the server said status 529, retrying 1/2"),
        (rejected(408), "the server said it timed out, retrying 1/2"),
        (rejected(425), "the server said status 425, retrying 1/2"),
        (rejected(502), "the server said bad gateway, retrying 1/2"),
        (rejected(504), "the server said timed out, retrying 1/2"),
        (in_stream("slow_down"), "the server said unavailable, retrying 1/2"),
        (in_stream(kind="overloaded_error"), "the server said status 529, retrying 1/2"),
        (rejected(500), "the server failed, retrying"),
        (rejected(400, LOCKED), "the conversation is busy, retrying 1/3"),
    ],
)
def test_a_pause_says_why(failure: Rejected | Unreachable, words: str) -> None:
    assert policy().after(failure) == Wait(policy().after(failure).seconds, words)


# The budget


@pytest.mark.parametrize(
    ("failure", "budget", "pauses"),
    [
        (rejected(409), 7.0, [1.0, 2.0, 4.0]),
        (rejected(409), 6.9, [1.0, 2.0]),
        (rejected(409), 2.9, [1.0]),
        (rejected(409), 0.0, []),
        (rejected(429, retry_after="60"), 60.0, [60.0]),
        (rejected(429, retry_after="60"), 120.0, [60.0, 60.0]),
        (rejected(429, retry_after="61"), 60.0, []),
        (CONNECT, 0.4, []),
    ],
)
def test_all_pauses_together_keep_to_the_budget(failure: Rejected, budget: float, pauses: list[float]) -> None:
    assert waits(failure, keeps=True, budget=budget) == pauses


def test_the_usual_budget_is_a_minute() -> None:
    minute, more = rejected(429, retry_after="60"), rejected(429, retry_after="60.1")
    assert Policy(keeps=True).after(minute) is not None
    assert Policy(keeps=True).after(more) is None


def test_a_date_to_wait_for_is_ignored_by_a_policy_without_a_clock() -> None:
    dated = rejected(429, retry_after="Fri, 29 Sep 2023 16:26:57 GMT")
    assert Policy(keeps=True, jitter=lambda: 0.0).after(dated) == Wait(
        0.5, "the server said too many requests, retrying 1/2"
    )


def test_a_pause_that_was_too_long_does_not_use_up_the_budget() -> None:
    one = policy(budget=5.0)
    assert one.after(rejected(429, retry_after="6")) is None
    assert one.after(CONNECT) is not None


# Retry-After


RETRY_AFTER = [
    ("20", 20.0),
    ("0", None),
    ("-10", None),
    ("60", 60.0),
    ("61", 61.0),
    ("120", 120.0),
    ("121", 121.0),
    ("0.5", 0.5),
    (" 20 ", 20.0),
    ("Fri, 29 Sep 2023 16:26:57 GMT", 20.0),
    ("Fri, 29 Sep 2023 16:27:37 GMT", 60.0),
    ("Fri, 29 Sep 2023 16:26:37 GMT", None),
    ("Fri, 29 Sep 2023 16:26:27 GMT", None),
    ("Fri, 29 Sep 2023 16:28:37 GMT", 120.0),
    ("Fri, 29 Sep 2023 16:28:38 GMT", 121.0),
    ("Fri, 29 Sep 1923 16:26:37 GMT", None),
    ("Fri, 29 Sep 100000 16:26:37 GMT", None),
    ("Zun, 29 Sep 2023 16:26:27 GMT", None),
    ("Fri, 99 Sep 2023 16:26:57 GMT", None),
    ("Fri, 29 Sep 2023 25:61:61 GMT", None),
    ("99999999999999999999999999999999999", None),
    ("1" * 1_000_000, None),
    ("999999999", 999999999.0),
    ("1000000000", None),
    ("1.123456789", 1.123456789),
    ("1.1234567891", None),
    ("20" + " " * 62, 20.0),
    ("20" + " " * 63, None),
    ("inf", None),
    ("nan", None),
    ("1e3", None),
    ("1_000", None),
    ("+20", None),
    ("0x14", None),
    ("soon", None),
    ("", None),
    (" ", None),
    (None, None),
]


@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTER, ids=lambda value: repr(value)[:32])
@pytest.mark.fault("H17", "N55")
def test_what_a_server_asks_to_wait(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTER, ids=lambda value: repr(value)[:32])
@pytest.mark.fault("H17")
def test_a_server_is_waited_for_as_it_asks_or_not_at_all(value: str | None, seconds: float | None) -> None:
    """A date in the past, or nonsense, is as if it were not there; more than two minutes is a no."""
    failure = rejected(429) if value is None else rejected(429, retry_after=value)
    if seconds is None:
        assert waits(failure, keeps=True) == TWICE
    elif seconds > LONGEST_WAIT:
        assert waits(failure, keeps=True) == []
    else:
        assert waits(failure, keeps=True) == [seconds, seconds]


@pytest.mark.parametrize(
    ("exact", "pauses"),
    [
        ("1500", [1.5, 1.5]),
        (" 20.5 ", [0.0205, 0.0205]),
        ("120000", [120.0, 120.0]),
        ("120001", []),
        ("90000000", []),
        ("99999999999", []),
        ("0", TWICE),
        ("soon", [20.0, 20.0]),
        ("-1", [20.0, 20.0]),
        ("1" * 12, [20.0, 20.0]),
        ("", [20.0, 20.0]),
    ],
)
@pytest.mark.fault("H17")
def test_milliseconds_are_taken_before_seconds(exact: str, pauses: list[float]) -> None:
    found = waits(rejected(429, retry_after="20", retry_after_ms=exact), keeps=True)
    assert found == [pytest.approx(pause, abs=0.001) for pause in pauses]


def test_a_date_means_nothing_without_a_clock() -> None:
    assert read_retry_after("Fri, 29 Sep 2023 16:26:57 GMT", None) is None
    assert read_retry_after("20", None) == 20.0


# What a reply means


@pytest.mark.parametrize(
    ("reply", "locked"),
    [
        (read_reply(400, LOCKED), True),
        (Reply(409), True),
        (Reply(409, "idempotency key reused"), False),
        (Reply(400, "Another request is already in progress"), True),
        (Reply(423, "The session is already running"), True),
        (Reply(400, "the database is locked"), False),
        (Reply(400, "your account is locked"), False),
    ],
)
def test_what_is_busy(reply: Reply, locked: bool) -> None:
    assert is_locked(reply) is locked


def test_what_is_load_and_what_is_a_used_up_quota() -> None:
    assert is_limited(Reply(503))
    assert is_limited(Reply(0, "m", "rate_limit_exceeded"))
    assert not is_limited(Reply(500))
    assert is_quota(Reply(429, "You exceeded your current quota", "insufficient_quota"))
    assert not is_quota(Reply(429, "Rate limit reached"))
