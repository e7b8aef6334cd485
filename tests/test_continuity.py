"""How a turn takes up its conversation, decided on values: by id, by telling what was said, or in a new one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from tests.fake_server import PROFILE
from tui.client import MAY_BE_RECEIVED, Request
from tui.config import Profile
from tui.continuity import DAY, Start, has_moved, mapping_after, point_after, take_up
from tui.model import Failure, Item, ItemKind, Mapping, MappingState, Message, Turn, TurnStatus
from tui.pictures import Picture

NOW = 1_000_000.0
LIFETIME = 14 * DAY

MISSED = PROFILE  # it knows the conversation, and is told what happened elsewhere
NONE_KEPT = replace(PROFILE, protocol="chat")
NOTHING_TOLD = replace(PROFILE, protocol="genie")
TOLD_AT_FIRST = replace(PROFILE, protocol="agent-server")
ALL_TOLD = replace(PROFILE, protocol="agenta")
ALL_TOLD_ENDED_BY_A_STOP = replace(PROFILE, protocol="docker-chat")


def turn(depth: int, status: TurnStatus = TurnStatus.DONE, *, error: Failure | None = None, text: str = "") -> Turn:
    answer = text or (f"answer {depth}" if status is TurnStatus.DONE else "")
    items = (Item("m", ItemKind.MESSAGE, answer),) if answer else ()
    return Turn(f"t{depth}", "s", depth, f"prompt {depth}", status, items, error=error)


def said(*depths: int) -> tuple[Message, ...]:
    """What turns that went well say."""
    return tuple(
        Message(role, f"{word} {depth}")
        for depth in depths
        for role, word in (("user", "prompt"), ("assistant", "answer"))
    )


def mapping(depth: int = 1, *, idle: float = 0.0, state: MappingState = MappingState.LIVE) -> Mapping:
    return Mapping("s", "o", "responses", "me", "conv_1", depth, NOW - 50 * DAY, NOW - idle, state)


async def pictures(keys: Collection[str]) -> dict[str, Picture]:
    """All there are but one."""
    return {key: Picture("image/png", key.encode()) for key in keys if not key.startswith("0")}


async def start(
    profile: Profile, known: Mapping | None, *turns: Turn, preface: str = "", lifetime: float = LIFETIME
) -> Start:
    async def earlier(after: int) -> list[Turn]:
        return [one for one in turns if one.depth > after]

    request = Request(profile, "now", session_id="s", preface=preface)
    return await take_up(request, known, earlier, pictures, now=NOW, lifetime=lifetime)


def taken(start: Start) -> tuple[str, tuple[Message, ...], str, bool]:
    return start.request.conversation_id, start.request.history, start.note, start.is_stateless


THREE = (turn(0), turn(1), turn(2))
NEW = "A new conversation was started on this server"
LONG_AGO = "The server's conversation was last used {} days ago; a new one was started"


# By its id


@pytest.mark.parametrize(
    ("profile", "history"),
    [
        (MISSED, said(2)),
        (replace(MISSED, replay=False), ()),
        (NOTHING_TOLD, ()),
        (TOLD_AT_FIRST, ()),
        (ALL_TOLD, said(0, 1, 2)),
        (replace(ALL_TOLD, replay=False), said(0, 1, 2)),
        (ALL_TOLD_ENDED_BY_A_STOP, said(0, 1, 2)),
    ],
    ids=["missed", "missed, no replay", "nothing", "at first", "all", "all, no replay", "all, ended by a stop"],
)
async def test_a_live_conversation_is_gone_on_with(profile: Profile, history: tuple[Message, ...]) -> None:
    taken_up = await start(profile, mapping(1), turn(0), turn(1), turn(2))
    note = "The server still holds what was said last without an answer." if profile is TOLD_AT_FIRST else ""
    assert taken(taken_up) == ("conv_1", history, note, False)


@pytest.mark.parametrize("profile", [MISSED, TOLD_AT_FIRST, NOTHING_TOLD])
async def test_where_nothing_was_missed_nothing_is_told(profile: Profile) -> None:
    assert taken(await start(profile, mapping(2), *THREE)) == ("conv_1", (), "", False)


@pytest.mark.parametrize(("idle", "is_taken"), [(0, True), (LIFETIME, True), (LIFETIME + 1, False), (-DAY, True)])
async def test_a_conversation_has_a_lifetime_that_a_clock_cannot_shorten(idle: float, is_taken: bool) -> None:
    taken_up = await start(MISSED, mapping(2, idle=idle), *THREE)
    assert (taken_up.request.conversation_id == "conv_1") is is_taken


@pytest.mark.fault("S08")
@pytest.mark.parametrize("profile", [MISSED, TOLD_AT_FIRST, ALL_TOLD, ALL_TOLD_ENDED_BY_A_STOP])
@pytest.mark.parametrize("idle", [15 * DAY, 15.9 * DAY])
async def test_one_not_used_for_long_is_replaced_and_says_for_how_long(profile: Profile, idle: float) -> None:
    note = f"{LONG_AGO.format(15)}, with 3 earlier turns sent along."
    assert taken(await start(profile, mapping(2, idle=idle), *THREE)) == ("", said(0, 1, 2), note, False)


@pytest.mark.fault("S08")
async def test_one_that_a_stop_has_ended_as_well_says_so_too() -> None:
    taken_up = await start(ALL_TOLD_ENDED_BY_A_STOP, mapping(0, idle=20 * DAY), turn(0), turn(1, TurnStatus.CANCELLED))
    assert taken_up.note == f"{LONG_AGO.format(20)}, with 1 earlier turn sent along."


# After turns that were stopped


STOPPED = [TurnStatus.CANCELLED, TurnStatus.INTERRUPTED]


@pytest.mark.parametrize("status", STOPPED)
async def test_a_server_whose_conversation_a_stop_ends_is_told_all_in_a_new_one(status: TurnStatus) -> None:
    taken_up = await start(ALL_TOLD_ENDED_BY_A_STOP, mapping(0), turn(0), turn(1), turn(2, status))
    assert taken(taken_up) == ("", said(0, 1), "", False)


async def test_a_stop_before_the_last_answer_ended_nothing() -> None:
    taken_up = await start(ALL_TOLD_ENDED_BY_A_STOP, mapping(1), turn(0, TurnStatus.CANCELLED), turn(1))
    assert taken(taken_up) == ("conv_1", said(1), "", False)


async def test_a_turn_that_failed_is_no_stop() -> None:
    taken_up = await start(ALL_TOLD_ENDED_BY_A_STOP, mapping(0), turn(0), turn(1, TurnStatus.FAILED))
    assert taken(taken_up) == ("conv_1", said(0), "", False)


@pytest.mark.parametrize("status", STOPPED)
async def test_others_go_on_after_a_stop_and_are_told_what_was_seen_of_it(status: TurnStatus) -> None:
    taken_up = await start(MISSED, mapping(0), turn(0), turn(1, status, text="half"), turn(2, status))
    told = (Message("user", "prompt 1"), Message("assistant", "half"))
    assert taken(taken_up) == ("conv_1", told, "", False)


HELD = "The server still holds what was said last without an answer."


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (None, HELD),
        (Failure("refused", "no"), HELD),
        (Failure("incomplete", "no", hint="try again later"), HELD),
        (Failure("not-allowed", "no"), ""),
        (Failure("unreachable", "no"), ""),
        (Failure("unreachable", "no", hint="check the address"), ""),
        (Failure("unreachable", "no", hint=MAY_BE_RECEIVED), HELD),
    ],
    ids=lambda value: f"{value.kind} {value.hint}" if isinstance(value, Failure) else None,
)
async def test_a_server_that_may_hold_a_prompt_without_an_answer_is_named(error: Failure | None, note: str) -> None:
    taken_up = await start(TOLD_AT_FIRST, mapping(0), turn(0), turn(1, TurnStatus.FAILED, error=error))
    assert taken(taken_up) == ("conv_1", (), note, False)
    assert (await start(MISSED, mapping(0), turn(0), turn(1, TurnStatus.FAILED, error=error))).note == ""


async def test_one_prompt_that_may_be_held_is_enough() -> None:
    away = turn(1, TurnStatus.FAILED, error=Failure("unreachable", "no"))
    assert (await start(TOLD_AT_FIRST, mapping(0), turn(0), away, turn(2, TurnStatus.CANCELLED))).note == HELD
    assert (await start(TOLD_AT_FIRST, mapping(1), turn(0), turn(1), replace(away, depth=2))).note == ""


# A new one


@pytest.mark.parametrize(
    ("profile", "turns", "known", "history", "note"),
    [
        (MISSED, (), None, (), ""),
        (MISSED, THREE[:1], None, said(0), f"{NEW}, with 1 earlier turn sent along."),
        (MISSED, THREE, None, said(0, 1, 2), f"{NEW}, with 3 earlier turns sent along."),
        (MISSED, THREE, MappingState.DETACHED, said(0, 1, 2), f"{NEW}, with 3 earlier turns sent along."),
        (MISSED, (), MappingState.DETACHED, (), f"{NEW}."),
        (replace(MISSED, replay=False), THREE, None, (), ""),
        (replace(MISSED, replay=False), THREE, MappingState.DETACHED, (), f"{NEW}."),
        (NOTHING_TOLD, THREE, None, (), ""),
        (NOTHING_TOLD, THREE, MappingState.DETACHED, (), f"{NEW}."),
        (TOLD_AT_FIRST, THREE, None, said(0, 1, 2), f"{NEW}, with 3 earlier turns sent along."),
        (ALL_TOLD, THREE, None, said(0, 1, 2), ""),
        (ALL_TOLD, THREE, MappingState.DETACHED, said(0, 1, 2), ""),
        (ALL_TOLD_ENDED_BY_A_STOP, THREE, None, said(0, 1, 2), ""),
    ],
)
async def test_without_one_to_go_on_with_all_is_told_where_that_is_possible(
    profile: Profile, turns: tuple[Turn, ...], known: MappingState | None, history: tuple[Message, ...], note: str
) -> None:
    taken_up = await start(profile, mapping(1, state=known) if known else None, *turns)
    assert taken(taken_up) == ("", history, note, False)


async def test_a_turn_that_failed_is_never_told() -> None:
    taken_up = await start(MISSED, None, turn(0), turn(1, TurnStatus.FAILED, text="half"))
    assert taken(taken_up) == ("", said(0), f"{NEW}, with 1 earlier turn sent along.", False)


async def test_very_much_that_was_said_is_told_too() -> None:
    long = [turn(depth) for depth in range(1_000)]
    assert (await start(NONE_KEPT, None, *long)).request.history == said(*range(1_000))


@pytest.mark.parametrize("idle", [0.0, 100 * DAY])
async def test_servers_that_keep_nothing_are_told_all_each_time(idle: float) -> None:
    stateless = mapping(2, idle=idle, state=MappingState.UNSUPPORTED)
    assert taken(await start(NONE_KEPT, None, *THREE)) == ("", said(0, 1, 2), "", False)
    assert taken(await start(NONE_KEPT, mapping(2, idle=idle), *THREE)) == ("", said(0, 1, 2), "", False)
    assert taken(await start(NONE_KEPT, stateless, *THREE)) == ("", said(0, 1, 2), "", False)
    assert taken(await start(MISSED, stateless, *THREE)) == ("", said(0, 1, 2), "", True)


# What the rest of the request is


async def test_a_preface_goes_before_all_that_was_said_and_before_nothing_else() -> None:
    preface = (Message("system", "of others"),)
    assert (await start(MISSED, None, *THREE, preface="of others")).request.history == preface + said(0, 1, 2)
    assert (await start(NONE_KEPT, None, *THREE, preface="of others")).request.history == preface + said(0, 1, 2)
    assert (await start(MISSED, mapping(1), *THREE, preface="of others")).request.history == said(2)
    assert (await start(MISSED, None, preface="of others")).request.history == ()
    note = f"{NEW}, with 3 earlier turns sent along."
    assert (await start(MISSED, None, *THREE, preface="of others")).note == note, "a preface is no turn"


@pytest.mark.parametrize("known", [None, mapping(1), mapping(1, state=MappingState.UNSUPPORTED)])
@pytest.mark.parametrize("profile", [MISSED, NONE_KEPT, ALL_TOLD])
async def test_a_request_can_recall_all_that_was_said_and_is_else_as_it_was(
    profile: Profile, known: Mapping | None
) -> None:
    request = (await start(profile, known, *THREE, preface="of others")).request
    assert await request.recall() == (Message("system", "of others"), *said(0, 1, 2))
    assert (request.profile, request.prompt, request.session_id) == (profile, "now", "s")
    assert (await request.fresh(with_history=True)).history == await request.recall()


ILLUSTRATED = replace(
    turn(0), prompt="look\n\n@a.png (1 KB, picture 10000000000000ab)\n\n@b (1 KB, picture 00000000000000cd)"
)


@pytest.mark.parametrize(("profile", "count"), [(NONE_KEPT, 1), (ALL_TOLD, 0)])
async def test_what_was_said_is_told_with_its_pictures_where_the_server_takes_them(
    profile: Profile, count: int
) -> None:
    history = (await start(profile, None, ILLUSTRATED, turn(1, text=ILLUSTRATED.prompt))).request.history
    assert [one.text for one in history] == [ILLUSTRATED.prompt, "answer 0", "prompt 1", ILLUSTRATED.prompt]
    assert [len(one.pictures) for one in history] == [count, 0, 0, 0]


# Where the server goes on


@pytest.mark.fault("S11")
@pytest.mark.parametrize(
    ("profile", "sent", "issued", "is_moved"),
    [
        (ALL_TOLD, "one", "two", True),
        (NOTHING_TOLD, "one", "two", True),
        (NOTHING_TOLD, "one", "one", False),
        (NOTHING_TOLD, "", "one", False),
        (MISSED, "resp_1", "resp_2", False),
    ],
)
def test_a_server_that_goes_on_elsewhere_has_moved(profile: Profile, sent: str, issued: str, is_moved: bool) -> None:
    assert has_moved(profile, sent, issued) is is_moved


# What is kept


ANSWERED = replace(turn(4), origin="https://h", protocol="responses", conversation_id="conv_9")


def test_a_turn_that_went_well_moves_the_conversation() -> None:
    assert mapping_after(ANSWERED, "me", is_stateless=False, now=NOW) == Mapping(
        "s", "https://h", "responses", "me", "conv_9", 4, NOW, NOW, MappingState.LIVE
    )


@pytest.mark.parametrize("status", [one for one in TurnStatus if one is not TurnStatus.DONE])
@pytest.mark.parametrize("is_stateless", [False, True])
def test_no_other_turn_does(status: TurnStatus, is_stateless: bool) -> None:
    assert mapping_after(replace(ANSWERED, status=status), "me", is_stateless=is_stateless, now=NOW) is None


def test_a_server_that_gave_no_id_is_remembered_only_as_one_that_keeps_nothing() -> None:
    without = replace(ANSWERED, conversation_id="")
    assert mapping_after(without, "me", is_stateless=False, now=NOW) is None
    assert mapping_after(without, "me", is_stateless=True, now=NOW) == Mapping(
        "s", "https://h", "responses", "me", "", 4, NOW, NOW, MappingState.UNSUPPORTED
    )
    told = mapping_after(ANSWERED, "me", is_stateless=True, now=NOW)
    assert told is not None
    assert (told.state, told.conversation_id) == (MappingState.UNSUPPORTED, "conv_9")


AT_A_POINT = replace(ANSWERED, origin=PROFILE.origin, principal=PROFILE.principal, created_at=NOW - 9, ended_at=NOW - 5)
CONVERSATION = replace(PROFILE, continue_by="conversation")


@pytest.mark.parametrize(("ended_at", "since"), [(NOW - 5, NOW - 5), (None, NOW - 9)])
def test_an_id_that_names_a_point_leads_back_to_it_and_to_when_it_was(ended_at: float | None, since: float) -> None:
    assert point_after(replace(AT_A_POINT, ended_at=ended_at), PROFILE) == Mapping(
        "s", PROFILE.origin, "responses", PROFILE.principal, "conv_9", 4, since, since, MappingState.LIVE
    )


@pytest.mark.parametrize(
    ("turn", "profile"),
    [
        (AT_A_POINT, CONVERSATION),
        (replace(AT_A_POINT, protocol="chat"), NONE_KEPT),
        (replace(AT_A_POINT, origin="https://elsewhere"), PROFILE),
        (replace(AT_A_POINT, protocol="chat"), PROFILE),
        (replace(AT_A_POINT, principal="someone else"), PROFILE),
        (replace(AT_A_POINT, status=TurnStatus.INTERRUPTED), PROFILE),
        (replace(AT_A_POINT, conversation_id=""), PROFILE),
    ],
    ids=["a conversation", "none", "another server", "another protocol", "another key", "stopped", "without an id"],
)
def test_nothing_else_leads_back_to_a_point(turn: Turn, profile: Profile) -> None:
    assert point_after(turn, profile) is None
