"""Whether a request may be made again, decided by one question: could the server have acted on it?"""

from __future__ import annotations

import email.utils
import random
import re
from collections.abc import Callable

from tui.client.reply import Rejected, Reply
from tui.errors import Unreachable
from tui.patterns import pattern
from tui.values import dataclass

LONGEST_WAIT = 120.0
"""A server that asks for more patience than this, in seconds, is not waited for."""

_LOCKED_WAITS = (1.0, 2.0, 4.0)
_NOT_TAKEN_UP = {408, 425, 429, 503, 521, 522, 523, 525, 526, 529}
"""What says that the server has not begun with a request, or that no gateway could hand it on."""

_GATEWAY = {502, 504, 520, 524, 527}
"""What a gateway says that has handed a request on and got no answer: the server may be at work on it."""

_TRANSIENT = _NOT_TAKEN_UP | _GATEWAY
_LOCKED = pattern(
    r"(?i)conversation_locked|another (process|request) is (currently|already)|is already (running|processing)"
)
_QUOTA = pattern(r"(?i)insufficient_quota|billing_hard_limit|quota (is )?(used up|exceeded)")
_REPEATED = pattern(r"(?i)idempoten|duplicate (request|message)|already (been )?(received|submitted)")
_IN_STREAM = {"rate_limit_exceeded": 429, "rate_limit_error": 429, "overloaded_error": 529, "slow_down": 503}


@dataclass(frozen=True, slots=True)
class Wait:
    """Try again after `seconds`; `reason` says why in words."""

    seconds: float
    reason: str


@dataclass(slots=True)
class Policy:
    """Counts a turn's retries and says when there are no more.

    `keeps` is whether the server keeps the conversation, so that a request it acted on cannot be made again.
    `budget` is how many seconds all waits together may take.
    """

    keeps: bool
    budget: float = 60.0
    jitter: Callable[[], float] = random.random
    now: Callable[[], float] | None = None
    _connects: int = 0
    _transients: int = 0
    _locks: int = 0
    _waited: float = 0.0

    def after(self, failure: Rejected | Unreachable, *, begun: bool = False) -> Wait | None:
        """How long to wait before the same request is made again, or None when it must not be. `begun`: part of an answer
        to it had come, so that the server has taken it up."""
        if begun and self.keeps:
            return None
        wait = self._rejected(failure) if isinstance(failure, Rejected) else self._unreachable(failure)
        if wait is None or self._waited + wait.seconds > self.budget:
            return None
        self._waited += wait.seconds
        return wait

    def _unreachable(self, failure: Unreachable) -> Wait | None:
        if not failure.retryable or (failure.sent and self.keeps):
            return None
        if self._connects >= (1 if failure.sent else 2):
            return None
        self._connects += 1
        return Wait(self._backoff(self._connects - 1), failure.message.rstrip("."))

    def _rejected(self, failure: Rejected) -> Wait | None:
        reply = failure.reply
        if is_locked(reply):
            if self._locks == len(_LOCKED_WAITS):
                return None
            self._locks += 1
            return Wait(_LOCKED_WAITS[self._locks - 1], f"the conversation is busy, retrying {self._locks}/3")
        status = reply.status or _IN_STREAM.get(reply.code, 0) or _IN_STREAM.get(reply.type, 0)
        if reply.should_retry is False or is_quota(reply):
            return None
        if status in (_NOT_TAKEN_UP if self.keeps else _TRANSIENT) or reply.should_retry:
            if self._transients == 2:
                return None
            asked = read_retry_after(reply.retry_after, self.now() if self.now else None)
            if asked is not None and asked > LONGEST_WAIT:
                return None
            self._transients += 1
            seconds = asked if asked is not None else self._backoff(self._transients - 1)
            return Wait(seconds, f"the server said {_said(status)}, retrying {self._transients}/2")
        if status == 500 and not failure.in_stream and not self.keeps and not self._transients:
            self._transients = 1
            return Wait(self._backoff(0), "the server failed, retrying")
        return None

    def _backoff(self, number: int) -> float:
        return float(min(8.0, 0.5 * 2**number) * (1 - 0.25 * self.jitter()))


def is_locked(reply: Reply) -> bool:
    """Whether someone else is using the conversation at this moment: never a reason to start another one."""
    return (reply.status == 409 and not is_repeated(reply)) or _LOCKED.search(reply.text) is not None


def is_repeated(reply: Reply) -> bool:
    """Whether the server holds the request for one that it has had already."""
    return reply.status == 409 and _REPEATED.search(reply.text) is not None


def is_quota(reply: Reply) -> bool:
    """Whether no amount of waiting helps, although the status says "too many requests"."""
    return _QUOTA.search(reply.text) is not None


def is_limited(reply: Reply) -> bool:
    """Whether the trouble is one of load: it passes by itself."""
    return reply.status in _TRANSIENT or reply.code in _IN_STREAM or reply.type in _IN_STREAM


def may_be_at_work(reply: Reply) -> bool:
    """Whether the server may be at work on the request although a gateway has refused it."""
    return reply.status in _GATEWAY and not reply.should_retry


def read_retry_after(value: str | None, now: float | None) -> float | None:
    """Seconds a Retry-After header asks for, or None where it is absent, past, or makes no sense.

    Values above the longest wait come back as they are, so that the caller can say no.
    """
    if value is None or len(value) > 64:
        return None
    value = value.strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
        seconds = float(value)
    else:
        try:
            date = email.utils.parsedate_to_datetime(value)
            seconds = date.timestamp() - now if now is not None else -1
        except (ValueError, OverflowError, TypeError, IndexError):
            return None
    return seconds if seconds > 0 else None


def _said(status: int) -> str:
    words = {408: "it timed out", 429: "too many requests", 502: "bad gateway", 503: "unavailable", 504: "timed out"}
    return words.get(status, f"status {status}")
