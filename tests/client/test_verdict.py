"""What a server's refusal means: the error it stands for, in its words and with what to do about it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import pytest

from tui.client.http import Http
from tui.client.reply import Reply
from tui.client.verdict import explain
from tui.config import Profile
from tui.credentials import KeySource
from tui.errors import Incomplete, Limited, NotAllowed, Refused, TurnError, Unreachable

HOST = "server.localhost:1"
URL = "http://server.localhost:1/v1"
LATER = "try again later"
BUSY = "try again in a moment"


NOW = datetime.datetime(2030, 3, 1, tzinfo=datetime.UTC).timestamp()


def http(*, key: KeySource = KeySource(), proxy: str = "", headers: tuple[tuple[str, str], ...] = ()) -> Http:
    made = Http(Profile("test", "responses", URL, "m", key, headers=headers), None, now=lambda: NOW)
    made.proxy = proxy
    return made


def seen(error: TurnError) -> tuple[type[TurnError], str, str, int | None]:
    return type(error), error.message, error.hint, error.status


@dataclass(frozen=True)
class Row:
    """A reply, and all that the user is told of it. `status` is that of the reply unless it is given."""

    reply: Reply
    kind: type[TurnError]
    message: str
    hint: str = ""


def gateway(status: int) -> str:
    return f"A gateway before {HOST} got no answer (status {status})"


def slow(status: int) -> str:
    return f"{HOST} did not take the request in time (status {status})"


TABLE = {
    "no key": Row(
        Reply(401, "tell us who you are"),
        NotAllowed,
        f"{HOST} wants a key: tell us who you are.",
        "set api_key_env in profile test",
    ),
    "no key, no words": Row(Reply(401), NotAllowed, f"{HOST} wants a key.", "set api_key_env in profile test"),
    "not for you": Row(Reply(403, "not you."), NotAllowed, f"{HOST} does not allow this: not you."),
    "not for you, though busy": Row(Reply(403, code="conversation_locked"), NotAllowed, f"{HOST} does not allow this."),
    "no such place": Row(
        Reply(404, "no model m"), Refused, f"There is no such endpoint or model at {URL}: no model m."
    ),
    "no such place any more": Row(Reply(410), Refused, f"There is no such endpoint or model at {URL}."),
    "a page for no such place": Row(
        Reply(404, "Not Found", form="html"), Refused, f"There is no such endpoint or model at {URL} (“Not Found”)."
    ),
    "no such place, busy": Row(
        Reply(404, "it is already running"), Limited, "The conversation is busy: it is already running.", BUSY
    ),
    "no such place any more, busy": Row(
        Reply(410, "it is already running"), Limited, "The conversation is busy: it is already running.", BUSY
    ),
    **{
        f"another protocol, {status}": Row(
            Reply(status, "no"),
            Refused,
            f"{HOST} does not speak the responses protocol here.",
            "check protocol and base_url",
        )
        for status in (405, 415, 426)
    },
    "a proxy's status without a proxy": Row(Reply(407, "no"), Refused, f"{HOST} refused the request: no."),
    "too large": Row(Reply(413, "4 MB is the most"), Refused, "The message is too large for the server."),
    "in use": Row(Reply(409), Limited, "The conversation is busy.", BUSY),
    "had already": Row(
        Reply(409, "duplicate request."),
        Refused,
        f"{HOST} has had this message already: duplicate request.",
        "see whether it was answered there before you send it again",
    ),
    "not had already, though it says so": Row(
        Reply(400, "duplicate request"), Refused, f"{HOST} refused the request: duplicate request."
    ),
    "in use, in words": Row(Reply(400, "no", "conversation_locked"), Limited, "The conversation is busy: no.", BUSY),
    "in use, inside a stream": Row(
        Reply(0, "no", "conversation_locked"), Limited, "The conversation is busy: no.", BUSY
    ),
    "quota": Row(
        Reply(429, "You exceeded it.", "insufficient_quota"), Limited, "The quota is used up: You exceeded it."
    ),
    "quota, inside a stream": Row(Reply(0, "", "insufficient_quota"), Limited, "The quota is used up."),
    **{
        f"too long, {words}": Row(
            Reply(400, words),
            Refused,
            f"The conversation is too long for the model: {words}.",
            "go on in a new session",
        )
        for words in (
            "context_length_exceeded",
            "CONTEXT_WINDOW",
            "this is more than the maximum context",
            "the max context is 8",
            "too many tokens",
            "prompt is too long",
            "it exceeds the context",
            "they exceed the maximum",
            "context size",
            "the context window is full",
            "context length",
        )
    },
    "too many tokens for now": Row(
        Reply(429, "Too many tokens, please wait before trying again."),
        Limited,
        f"{HOST} says: too many requests: Too many tokens, please wait before trying again.",
        LATER,
    ),
    "too many tokens for now, inside a stream": Row(
        Reply(0, "too many tokens", type="rate_limit_error"),
        Limited,
        f"{HOST} says: too many requests: too many tokens.",
        LATER,
    ),
    "too long, though the server failed": Row(
        Reply(500, "prompt is too long"),
        Refused,
        "The conversation is too long for the model: prompt is too long.",
        "go on in a new session",
    ),
    "long but not too long": Row(
        Reply(400, "the context is fine"), Refused, f"{HOST} refused the request: the context is fine."
    ),
    "too many requests": Row(Reply(429), Limited, f"{HOST} says: too many requests.", LATER),
    "too many requests, in words": Row(
        Reply(429, "slow down"), Limited, f"{HOST} says: too many requests: slow down.", LATER
    ),
    "too many requests, by code": Row(
        Reply(0, code="rate_limit_exceeded"), Limited, f"{HOST} says: too many requests.", LATER
    ),
    "too many requests, by type": Row(
        Reply(0, type="rate_limit_error"), Limited, f"{HOST} says: too many requests.", LATER
    ),
    "too many requests, with patience": Row(
        Reply(429, retry_after=" 90.4 "), Limited, f"{HOST} says: too many requests.", "it asks to wait 90 s"
    ),
    "too many requests, with little patience": Row(
        Reply(429, retry_after="1"), Limited, f"{HOST} says: too many requests.", "it asks to wait 1 s"
    ),
    "too many requests, with less": Row(
        Reply(429, retry_after="0.6"), Limited, f"{HOST} says: too many requests.", "it asks to wait 1 s"
    ),
    **{
        f"too many requests, with the patience of {after}": Row(
            Reply(429, retry_after=after), Limited, f"{HOST} says: too many requests.", LATER
        )
        for after in ("", "0", "0.0", "-5", "1234567890", "soon", "Fri, 29 Sep 2023 16:26:57 GMT", "5 s")
    },
    **{
        f"too many requests, with the patience of {after}": Row(
            Reply(429, retry_after=after), Limited, f"{HOST} says: too many requests.", f"it asks to wait {seconds} s"
        )
        for after, seconds in (("12345678", 12345678), ("Fri, 01 Mar 2030 00:05:00 GMT", 300))
    },
    **{str(status): Row(Reply(status), Limited, f"{gateway(status)}.", LATER) for status in (502, 504)},
    **{str(status): Row(Reply(status), Limited, f"{slow(status)}.", LATER) for status in (408, 425)},
    "a gateway's page": Row(
        Reply(502, "502 Bad Gateway", form="html"), Limited, f"{gateway(502)} (“502 Bad Gateway”).", LATER
    ),
    "a gateway's page without a title": Row(Reply(504, form="html"), Limited, f"{gateway(504)}.", LATER),
    **{
        str(status): Row(Reply(status), Limited, f"{HOST} is overloaded or down (status {status}).", LATER)
        for status in (503, 529, 520, 527)
    },
    "overloaded, inside a stream": Row(
        Reply(0, "so busy", type="overloaded_error"), Limited, f"{HOST} is overloaded or down: so busy.", LATER
    ),
    "slow down, inside a stream": Row(Reply(0, code="slow_down"), Limited, f"{HOST} is overloaded or down.", LATER),
    **{
        str(status): Row(Reply(status, "hm"), Refused, f"{HOST} answered with the unexpected status {status}.")
        for status in (100, 204, 399, 600, 999)
    },
    "400": Row(Reply(400, "bad input..."), Refused, f"{HOST} refused the request: bad input."),
    **{
        f"400 whose words end in {said[-1]}": Row(Reply(400, said), Refused, f"{HOST} refused the request: {words}")
        for said, words in (
            ("Is it a model?", "Is it a model?"),
            ("No such model!", "No such model!"),
            ("and so on…", "and so on…"),
            ("请求过大。", "请求过大。"),
            ("really?..", "really?"),
            ("(no)", "(no)."),
            ('no model "m?"', 'no model "m?".'),
        )
    },
    "400 without words": Row(Reply(400), Refused, f"{HOST} refused the request: status 400."),
    "499": Row(Reply(499), Refused, f"{HOST} refused the request: status 499."),
    "500": Row(Reply(500, " oh no "), Refused, f"{HOST} failed: oh no."),
    "501": Row(Reply(501), Refused, f"{HOST} failed: status 501."),
    "599": Row(Reply(599), Refused, f"{HOST} failed: status 599."),
    "a page of 500": Row(Reply(500, "Oops", form="html"), Refused, f"{HOST} failed (“Oops”)."),
    "a page with a long title": Row(
        Reply(400, "x" * 81, form="html"), Refused, f"{HOST} refused the request (“{'x' * 80}”)."
    ),
    "refused, inside a stream": Row(
        Reply(0, "not that", "invalid_prompt"), Refused, f"{HOST} refused the request: not that."
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_refusal_says_what_it_is_and_what_to_do(name: str) -> None:
    row = TABLE[name]
    assert seen(explain(row.reply, http())) == (row.kind, row.message, row.hint, row.reply.status or None)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("bad key.", " refused the key from environment variable MY_KEY: bad key."),
        ("", " refused the key from environment variable MY_KEY."),
    ],
)
def test_a_key_that_is_refused_is_named_by_its_source(said: str, words: str) -> None:
    assert seen(explain(Reply(401, said), http(key=KeySource("env", ("MY_KEY",))))) == (
        NotAllowed,
        HOST + words,
        "",
        401,
    )


@pytest.mark.fault("H06")
@pytest.mark.parametrize("name", ["Authorization", "x-api-key"])
def test_a_key_in_a_header_that_is_refused_is_named_by_that(name: str) -> None:
    error = explain(Reply(401, "bad key"), http(headers=(("x-team", "infra"), (name, "sk-1"))))
    words = f"{HOST} refused the key in the header {name} of profile test: bad key."
    assert seen(error) == (NotAllowed, words, "", 401)


def test_a_proxy_that_wants_a_password_is_named() -> None:
    error = explain(Reply(407, "no"), http(proxy="proxy:3128"))
    assert seen(error) == (
        Unreachable,
        f"The proxy proxy:3128 refused to connect to {HOST}: it wants a user and a password.",
        "check the proxy settings",
        None,
    )
    assert isinstance(error, Unreachable)
    assert (error.retryable, error.sent) == (False, False)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(0, "we broke", "oops"), "we broke"),
        (Reply(0, "", "oops"), "oops"),
        (Reply(0), "an error without words"),
        (Reply(401, "no key"), "no key"),
        (Reply(503, "busy", "conversation_locked"), "busy"),
    ],
)
def test_after_output_every_refusal_leaves_an_answer_incomplete(reply: Reply, words: str) -> None:
    error = explain(reply, http(), shown=True)
    assert seen(error) == (Incomplete, f"the server broke off: {words}", "", reply.status or None)
