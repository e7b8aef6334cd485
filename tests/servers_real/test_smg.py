"""Palaver and smg, a gateway that keeps responses and conversations, and really forgets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.loopback import palaver
from tests.servers_real import smg
from tests.servers_real.smg_gateway import Gateway, gateway
from tests.servers_real.talking import ask, conversations, leave, say, turns
from tests.servers_real.upstream import said
from tests.terminal import terminal

Write = Callable[[str], Path]

FORGOTTEN = "The server no longer knew this conversation; a new one was started, with {} sent along."
SIZE = (130, 36)


@pytest.fixture
def here(tmp_path: Path, write_config: Write) -> Iterator[Gateway]:
    with gateway(tmp_path) as made:
        write_config(made.profile())
        yield made


@pytest.fixture
def by_conversation(here: Gateway, write_config: Write) -> Gateway:
    """The same with a profile that goes on by the server's conversations."""
    write_config(here.profile('continue_by = "conversation"'))
    return here


def push_out() -> None:
    """Have the gateway forget what was said before: as many turns elsewhere as it keeps."""
    for number in range(smg.KEPT):
        assert ask(f"other {number}", label="elsewhere").exit_status == 0


# Going on


def test_the_server_remembers_the_first_turn(here: Gateway) -> None:
    first, second = ask("hello"), ask("and again")
    assert (first.exit_status, first.text) == (0, said("hello"))
    assert (second.exit_status, second.text, second.said) == (0, said("and again", 2), [])
    one, two = (exchange.json for exchange in here.tap.exchanges)
    assert "previous_response_id" not in one
    assert two["previous_response_id"] == first.turn["conversation_id"]
    assert two["input"] == [{"role": "user", "content": "and again"}]
    assert here.told() == ["hello", "and again"]
    assert conversations() == {"talk": second.turn["conversation_id"]}


def test_two_turns_in_the_window(here: Gateway) -> None:
    with terminal(size=SIZE) as t:
        t.shows("Type a message")
        say(t, "hello", said("hello"))
        say(t, "and again", said("and again", 2))
        leave(t)
    assert here.tap.asked() == ["POST /v1/responses 200"] * 2


def test_the_window_goes_on_where_ask_left_off(here: Gateway) -> None:
    ask("hello")
    with terminal("talk", size=SIZE) as t:
        t.shows(said("hello"))
        say(t, "and again", said("and again", 2))
        leave(t)
    assert ask("once more").text == said("once more", 3)


def test_a_fork_goes_on_from_the_response_it_was_made_at(here: Gateway) -> None:
    ask("hello")
    ask("and again")
    assert palaver("sessions", "fork", "talk", "other", "--at", "1").returncode == 0
    here.tap.asked()
    assert ask("elsewhere", label="other").text == said("elsewhere", 2)
    assert here.told() == ["hello", "elsewhere"]
    assert ask("once more").text == said("once more", 3)
    assert here.tap.asked() == ["POST /v1/responses 200"] * 2


def test_instructions_are_given_each_time(here: Gateway, write_config: Write) -> None:
    write_config(here.profile('system = "Be brief."'))
    assert [ask(prompt).text for prompt in ("hello", "and again")] == [said("hello"), said("and again", 2)]
    assert [asked["instructions"] for asked in here.prompts()] == ["Be brief."] * 2


@pytest.mark.parametrize("word", ["--approve", "--deny"])
def test_a_tool_that_wants_approval(here: Gateway, word: str) -> None:
    asked = ask("approve it")
    assert (asked.exit_status, asked.turn["finish"]) == (7, "approval")
    (item,) = asked.turn["items"]
    assert (item["kind"], item["name"], item["state"]) == ("approval", "ops.deploy", "open")
    done = palaver("ask", "-s", "talk", word)
    assert (done.returncode, done.stdout) == (0, said("yes" if word == "--approve" else "no") + "\n")


def test_what_tools_and_thoughts_there_were_goes_on_too(here: Gateway) -> None:
    for known, prompt in enumerate(("think", "tool please", "table please"), 1):
        assert ask(prompt).text == said(prompt, known)
    assert [item["kind"] for item in turns()[0]["items"]] == ["reasoning", "message"]
    assert [item["kind"] for item in turns()[1]["items"]] == ["tool_call", "tool_result", "message"]
    assert ask("and again").text == said("and again", 4)


# Forgotten


def test_a_response_that_was_pushed_out(here: Gateway) -> None:
    before = ask("hello")
    push_out()
    here.tap.asked()
    asked = ask("and again")
    assert (asked.exit_status, asked.turn["status"], asked.text) == (0, "done", said("and again", 2))
    assert asked.said == [f"palaver: {FORGOTTEN.format('1 earlier turn')}"]
    assert asked.turn["notes"] == [FORGOTTEN.format("1 earlier turn")]
    first, second = (exchange.json for exchange in here.tap.exchanges)
    assert first["previous_response_id"] == before.turn["conversation_id"]
    assert "previous_response_id" not in second
    assert here.tap.asked() == ["POST /v1/responses 400", "POST /v1/responses 200"]
    assert conversations()["talk"] == asked.turn["conversation_id"] != before.turn["conversation_id"]
    assert ask("once more").text == said("once more", 3)
    assert here.tap.asked() == ["POST /v1/responses 200"]


def test_a_response_that_was_deleted(here: Gateway) -> None:
    before = ask("hello").turn["conversation_id"]
    here.delete(f"responses/{before}")
    here.tap.asked()
    asked = ask("and again")
    assert (asked.exit_status, asked.text) == (0, said("and again", 2))
    assert asked.turn["notes"] == [FORGOTTEN.format("1 earlier turn")]
    assert here.tap.asked() == ["POST /v1/responses 400", "POST /v1/responses 200"]
    assert conversations() == {"talk": asked.turn["conversation_id"]}
    assert [one["kind"] for one in turns()[1]["attempts"]] == ["first", "fresh"]


def test_a_gateway_that_was_started_again(here: Gateway, tmp_path: Path) -> None:
    ask("hello")
    here.process.stop()
    asked = ask("and again")
    assert (asked.exit_status, asked.turn["status"]) == (5, "failed")
    with smg.serving(tmp_path / "smg", here.model.url, port=here.process.port):
        here.tap.asked()
        asked = ask("and again")
        assert (asked.exit_status, asked.text) == (0, said("and again", 2))
        assert asked.turn["notes"] == [FORGOTTEN.format("1 earlier turn")]
        assert here.tap.asked() == ["POST /v1/responses 400", "POST /v1/responses 200"]


def test_forgotten_in_the_window(here: Gateway) -> None:
    before = ask("hello").turn["conversation_id"]
    push_out()
    here.tap.asked()
    with terminal("talk", size=SIZE) as t:
        t.shows(said("hello"))
        say(t, "and again", said("and again", 2))
        t.shows("a new one was started, with 1 earlier turn")
        assert here.tap.asked() == ["POST /v1/responses 400", "POST /v1/responses 200"]
        here.delete(f"responses/{conversations()['talk']}")
        say(t, "once more", said("once more", 3))
        t.shows("a new one was started, with 2 earlier turns")
        assert here.tap.asked() == ["POST /v1/responses 400", "POST /v1/responses 200"]
        leave(t)
    assert conversations()["talk"] != before


def test_forgotten_where_a_new_one_is_not_wanted(here: Gateway) -> None:
    before = ask("hello").turn["conversation_id"]
    here.delete(f"responses/{before}")
    here.tap.asked()
    asked = ask("and again", "--no-fresh")
    assert (asked.exit_status, asked.turn["status"]) == (6, "failed")
    assert asked.error.startswith(f"{here.host} does not know this conversation any more")
    assert here.tap.asked() == ["POST /v1/responses 400"]
    assert conversations() == {"talk": before}


def test_forgotten_where_nothing_is_told_again(here: Gateway, write_config: Write) -> None:
    write_config(here.profile("replay = false"))
    here.delete(f"responses/{ask('hello').turn['conversation_id']}")
    asked = ask("and again")
    assert (asked.exit_status, asked.text) == (0, said("and again"))
    assert asked.turn["notes"] == ["The server no longer knew this conversation; a new one was started."]


def test_trouble_forgets_nothing(here: Gateway) -> None:
    before = ask("hello").turn["conversation_id"]
    for prompt in ("limit it", "fail first", "fail later", "cut it"):
        assert ask(prompt).exit_status != 0
        assert conversations() == {"talk": before}
    here.process.stop()
    assert ask("hello").exit_status == 5
    assert conversations() == {"talk": before}


# Conversations of their own


def test_a_conversation_is_made_and_remembered(by_conversation: Gateway) -> None:
    first, second = ask("hello"), ask("and again")
    assert (first.text, second.text) == (said("hello"), said("and again", 2))
    made, one, two = (exchange.json for exchange in by_conversation.tap.exchanges)
    assert made == {}
    assert one["conversation"] == two["conversation"] == first.turn["conversation_id"]
    assert two["input"] == [{"role": "user", "content": "and again"}]
    assert by_conversation.tap.asked() == ["POST /v1/conversations 200"] + ["POST /v1/responses 200"] * 2
    assert conversations() == {"talk": first.turn["conversation_id"]}


def test_a_conversation_outlives_its_responses(by_conversation: Gateway) -> None:
    ask("hello")
    push_out()
    asked = ask("and again")
    assert (asked.text, asked.turn["notes"]) == (said("and again", 2), [])


def test_a_conversation_that_was_deleted(by_conversation: Gateway) -> None:
    before = ask("hello").turn["conversation_id"]
    by_conversation.delete(f"conversations/{before}")
    by_conversation.tap.asked()
    asked = ask("and again")
    assert (asked.exit_status, asked.text) == (0, said("and again", 2))
    assert asked.turn["notes"] == [FORGOTTEN.format("1 earlier turn")]
    assert by_conversation.tap.asked() == [
        "POST /v1/responses 404",
        "POST /v1/conversations 200",
        "POST /v1/responses 200",
    ]
    assert conversations() == {"talk": asked.turn["conversation_id"]}
    assert asked.turn["conversation_id"].startswith("conv_")
    assert asked.turn["conversation_id"] != before
    assert ask("once more").text == said("once more", 3)


def test_a_conversation_in_the_window(by_conversation: Gateway) -> None:
    with terminal("talk", size=SIZE) as t:
        t.shows("Type a message")
        say(t, "hello", said("hello"))
        say(t, "and again", said("and again", 2))
        by_conversation.delete(f"conversations/{conversations()['talk']}")
        say(t, "once more", said("once more", 3))
        t.shows("a new one was started, with 2 earlier turns")
        leave(t)
