"""The contract of all protocols, on what goes wrong: errors, forgotten conversations, what only looks like them, and keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.chatting import Chatting
from tests.client.fault_server import refusing_port
from tests.client.protocols.contract import (
    CANCELLED,
    DONE,
    FAILED,
    INTERRUPTED,
    Case,
    Stand,
    mapping_of,
    said,
    shape,
    standing,
)
from tests.client.protocols.contract_cases import every, those
from tests.client.protocols.wire import given
from tests.servers.base import serving
from tests.servers.chat import make as make_other
from tui.model import AttemptKind, Mapping, Session, Turn
from tui.traits import Telling

pytestmark = pytest.mark.usefixtures("nothing_left")

FIRST, RETRY, FRESH = AttemptKind.FIRST, AttemptKind.RETRY, AttemptKind.FRESH
CANARY = "sk-canary-0123456789abcdef"

stale_able = those(lambda case: case.is_stale_able)


def kinds(turn: Turn) -> list[AttemptKind]:
    return [attempt.kind for attempt in turn.attempts]


async def begun(t: Chatting, case: Case) -> tuple[Session, Mapping | None]:
    """A session with one good turn, and what is kept of its conversation."""
    session = await t.chat.open("work")
    turn = await t.say(session, "one")
    assert (turn.status, turn.text) == (DONE, said("one"))
    mapping = await mapping_of(t, session)
    assert (mapping is not None) == case.traits.keeps
    return session, mapping


@every
@pytest.mark.fault("N47", "N48", "S02")
async def test_an_error_is_told_once_and_moves_nothing(case: Case, tmp_path: Path, history: Path) -> None:
    once = [FIRST] if case.traits.keeps else [FIRST, RETRY]
    with standing(case, tmp_path) as s:
        async with s.chatting(history) as t:
            session = await t.chat.open("work")
            for _ in range(2):
                before = await mapping_of(t, session)
                failed = await t.say(session, "fail first")
                assert failed.error is not None
                assert (failed.status, failed.error.exit_status, kinds(failed)) == (FAILED, 6, once)
                assert case.failures[0] in failed.error.message
                assert (shape(failed), failed.conversation_id) == ([], "")
                assert await mapping_of(t, session) == before
                good = await t.say(session, "one")
                assert (good.status, good.error) == (DONE, None)
            before = await mapping_of(t, session)
            count = len(s.net.turns)
            broken = await t.say(session, "fail later")
            assert broken.error is not None
            assert (broken.status, broken.error.exit_status, kinds(broken)) == (INTERRUPTED, 7, [FIRST])
            assert case.failures[1] in broken.error.message
            assert broken.has_output
            assert said("fail later", 3).startswith(broken.text) or broken.text.endswith("so ")
            assert (broken.conversation_id, len(s.net.turns)) == ("", count + 1)
            assert await mapping_of(t, session) == before
            good = await t.say(session, "two")
            assert (good.status, good.error) == (DONE, None)
            assert "fail first" not in s.net.turns[-1].body.decode()


# Conversations that are forgotten


async def forgotten(s: Stand, t: Chatting) -> tuple[Session, Mapping, int]:
    """A session whose conversation the server has forgotten, and how many prompts were sent."""
    session, mapping = await begun(t, s.case)
    assert mapping is not None
    s.running.call(s.service.forget)
    return session, mapping, len(s.net.turns)


@stale_able
@pytest.mark.fault("S01", "H09", "H20")
async def test_a_forgotten_conversation_is_replaced_once_its_answer_is_done(
    case: Case, tmp_path: Path, history: Path
) -> None:
    tells = case.traits.telling is Telling.MISSED
    with standing(case, tmp_path) as s:
        async with s.chatting(history) as t:
            session, before, count = await forgotten(s, t)
            t.chat.send(session, "hang on")
            await t.until(lambda: t.newest().has_output)
            assert await mapping_of(t, session) == before
            s.service.go_on.set()
            turn = await t.ended(session)
            assert turn.status is DONE
            assert turn.text.endswith(said("hang on", 2 if tells else 1))
            assert kinds(turn) == [FIRST, FRESH]
            more = ", with 1 earlier turn sent along" if tells else ""
            assert turn.notes == (f"The server no longer knew this conversation; a new one was started{more}.",)
            first, fresh = s.net.turns[count:]
            assert (case.id_in(first), case.told_in(first)) == (before.conversation_id, [])
            assert case.id_in(fresh) != before.conversation_id
            assert case.told_in(fresh) == (["one"] if tells else [])
            after = await mapping_of(t, session)
            assert after is not None
            assert after.conversation_id == turn.conversation_id != before.conversation_id
            assert (await t.say(session, "two")).notes == ()
            assert case.id_in(s.net.turns[-1]) == after.conversation_id


def on_the_fresh_one(s: Stand, count: int, answer: Callable[[], httpx.Response]) -> None:
    """Have `answer` instead of the server's for the second prompt after `count`."""
    s.net.instead = lambda request: answer() if len(s.net.turns) == count + 2 else None


@stale_able
@pytest.mark.fault("S03", "S04", "S05", "S14")
async def test_a_fresh_start_that_fails_moves_nothing(case: Case, tmp_path: Path, history: Path) -> None:
    with standing(case, tmp_path) as s:
        async with s.chatting(history) as t:
            session, before, count = await forgotten(s, t)

            def same_again() -> httpx.Response:
                head = s.net.heads[-1]
                return given(head.status_code, bytes(s.net.bodies[-1]), head.headers["content-type"])

            on_the_fresh_one(s, count, same_again)
            twice = await t.say(session, "two")
            assert twice.error is not None
            assert (twice.status, twice.error.kind, twice.error.exit_status) == (FAILED, "refused", 6)
            assert (kinds(twice), len(s.net.turns)) == ([FIRST, FRESH], count + 2)
            assert await mapping_of(t, session) == before

            on_the_fresh_one(s, count + 2, lambda: given(401, {"error": {"message": "No."}}))
            other = await t.say(session, "three")
            assert other.error is not None
            assert (other.status, other.error.exit_status, kinds(other)) == (FAILED, 4, [FIRST, FRESH])
            assert await mapping_of(t, session) == before

            t.chat.send(session, "four", allow_fresh=False)
            unwanted = await t.ended(session)
            assert unwanted.error is not None
            assert (unwanted.status, unwanted.error.kind, unwanted.error.exit_status) == (FAILED, "stale", 6)
            assert (kinds(unwanted), len(s.net.turns)) == ([FIRST], count + 5)
            assert await mapping_of(t, session) == before

            s.net.instead = None
            t.chat.send(session, "hang on")
            await t.until(lambda: t.newest().has_output)
            assert t.chat.cancel(session.id)
            stopped = await t.ended(session)
            assert (stopped.status, kinds(stopped)) == (CANCELLED, [FIRST, FRESH])
            assert await mapping_of(t, session) == before


@those(lambda case: case.traits.mints)
async def test_a_server_that_names_no_conversations_forgets_without_a_word(
    case: Case, tmp_path: Path, history: Path
) -> None:
    tells = case.traits.telling is Telling.ALL
    with standing(case, tmp_path) as s:
        async with s.chatting(history) as t:
            session, before, count = await forgotten(s, t)
            turn = await t.say(session, "two")
            assert (turn.status, turn.text, turn.notes) == (DONE, said("two", 2 if tells else 1), ())
            assert kinds(turn) == [FIRST]
            (sent,) = s.net.turns[count:]
            assert (case.id_in(sent), case.told_in(sent)) == (before.conversation_id, ["one"] if tells else [])
            after = await mapping_of(t, session)
            assert after is not None
            assert after.conversation_id == before.conversation_id


# What only looks like it


def error(message: str, **more: str) -> dict[str, object]:
    return {"error": {"message": message, "type": "invalid_request_error", **more}}


LOCKED = "Another process is currently operating on this conversation. Please retry in a few seconds."
PAGE = "<!doctype html><title>Maintenance: conversation not found</title>"

LOOKALIKES: dict[str, tuple[Callable[[Case], httpx.Response], int, int]] = {
    "401": (lambda case: given(401, error("The session was not found: log in again.")), 4, 1),
    "403": (lambda case: given(403, error("Access to this conversation is not allowed.")), 4, 1),
    "404 page": (lambda case: given(404, PAGE, "text/html"), 6, 1),
    "404 route": (lambda case: given(404, case.no_route), 6, 1),
    "no model": (lambda case: given(case.no_model[0], case.no_model[1]), 6, 1),
    "409": (lambda case: given(409, error("another request is already in flight for this conversation id")), 8, 4),
    "429": (lambda case: given(429, error("Too many requests for this conversation.")), 8, 3),
    "locked": (lambda case: given(400, error(LOCKED, param="conversation", code="conversation_locked")), 8, 4),
    "503": (lambda case: given(503, error("The session store is not available.")), 8, 3),
    "503 page": (lambda case: given(503, PAGE, "text/html"), 8, 3),
}
"""What a server may answer that is not "no such conversation", the exit status, and the number of attempts."""


@pytest.mark.parametrize("what", LOOKALIKES)
@every
@pytest.mark.fault("H02", "H06", "H07", "H08", "H12", "H16", "H21", "H22", "S13")
async def test_a_lookalike_starts_nothing_afresh_and_is_no_context(
    case: Case, what: str, tmp_path: Path, history: Path
) -> None:
    answer, exit_status, attempts = LOOKALIKES[what]
    with standing(case, tmp_path) as s:
        async with s.chatting(history) as t:
            session, before = await begun(t, case)
            s.net.instead = lambda request: answer(case)
            failed = await t.say(session, "two lost")
            assert failed.error is not None
            assert (failed.status, failed.error.exit_status) == (FAILED, exit_status)
            assert kinds(failed) == [FIRST, *[RETRY] * (attempts - 1)]
            assert await mapping_of(t, session) == before
            s.net.instead = None
            await assert_goes_on(s, t, session, before, may_be_held=exit_status != 4)


@every
@pytest.mark.fault("N02")
async def test_a_server_that_is_away_starts_nothing_afresh(case: Case, tmp_path: Path, history: Path) -> None:
    held, port = refusing_port()
    with held, standing(case, tmp_path) as s:
        async with s.chatting(history) as t:
            session, before = await begun(t, case)
            s.net.port = port
            failed = await t.say(session, "two lost")
            assert failed.error is not None
            assert (failed.status, failed.error.exit_status, failed.error.kind) == (FAILED, 5, "unreachable")
            assert kinds(failed) == [FIRST, RETRY, RETRY]
            assert await mapping_of(t, session) == before
            s.net.port = 0
            await assert_goes_on(s, t, session, before, may_be_held=False)


async def assert_goes_on(s: Stand, t: Chatting, session: Session, before: Mapping | None, *, may_be_held: bool) -> None:
    """That the next turn goes on from the last good one, as if there had been no other; or says that the server may hold
    that one, where it may, and would not tell."""
    case = s.case
    good = await t.say(session, "three")
    assert (good.status, good.text, good.error) == (DONE, said("three", 2), None)
    assert bool(good.notes) == (may_be_held and case.traits.telling is Telling.AT_FIRST)
    sent = s.net.turns[-1]
    assert "two lost" not in sent.body.decode()
    assert case.id_in(sent) == (before.conversation_id if before else "")
    assert case.told_in(sent) == (["one"] if case.traits.telling is Telling.ALL else [])


# Keys


def echoes(case: Case) -> list[Callable[[], httpx.Response]]:
    """Answers that repeat the key, as refusals and as errors in an answer."""
    words = f"The key {CANARY} is not valid; given: Bearer {CANARY}."
    in_stream = [
        {"type": "error", "error": {"message": words, "code": CANARY}, "errorText": words, "message": words},
        {"type": "error", "error": words, "errorText": words},
        {"error": words},
    ]
    start, kind = (b"data: ", "text/event-stream") if case.is_sse else (b"", "application/x-ndjson")
    return [
        lambda: given(400, error(words, code=CANARY, param=CANARY)),
        lambda: given(401, {"detail": words}),
        lambda: given(500, words, "text/plain"),
        lambda: given(404, f"<!doctype html><title>{words}</title>", "text/html"),
        lambda: given(200, f"<!doctype html><title>{words}</title>", "text/html"),
        lambda: given(200, words, f"text/{CANARY}"),
        *(partial(given, 200, start + json.dumps(said).encode() + case.border, kind) for said in in_stream),
    ]


@every
@pytest.mark.fault("K01", "K04", "K08", "K11", "H27", "N37", "N38")
async def test_the_key_goes_to_its_own_server_and_nowhere_else(
    case: Case, tmp_path: Path, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_KEY", CANARY)
    with standing(case, tmp_path, key=CANARY) as s, serving(make_other()) as other:
        async with s.chatting(history) as t:
            session, before = await begun(t, case)
            for status in (302, 307):
                answer = httpx.Response(status, headers={"location": f"{other.url}/v1?key={CANARY}"})
                s.net.instead = lambda request, answer=answer: answer
                moved = await t.say(session, "two")
                assert moved.error is not None
                assert (moved.status, moved.error.message) == (
                    FAILED,
                    f"127.0.0.1:{s.running.port} moved to {other.url}/v1?key=***.",
                )
            for echo in echoes(case):
                s.net.instead = lambda request, echo=echo: echo()
                turn = await t.say(session, "three")
                assert (turn.has_output, turn.error is not None, turn.conversation_id) == (False, True, "")
            assert await mapping_of(t, session) == before
        assert other.service.asked == []
        assert CANARY not in repr(t.changes)
        written = [file for file in history.parent.rglob("*") if file.is_file()]
        assert history in written
        assert not [file for file in written if CANARY.encode() in file.read_bytes()]
        assert len(s.net.turns) >= 12
        for sent in s.net.sent:
            assert sent.url.port == s.running.port
            assert [header for header in sent.headers if CANARY in header[1]] == [
                (case.key_header, f"{case.key_prefix}{CANARY}")
            ]
            assert CANARY not in str(sent.url)
            assert CANARY.encode() not in sent.body
