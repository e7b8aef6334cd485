"""How a picture goes over each wire that takes one, with the prompt and in what was said before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fake_server import PROFILE
from tui.client import Request
from tui.client.protocols import load
from tui.model import Message
from tui.pictures import Picture
from tui.traits import TRAITS, Can

GIF = Picture("image/gif", b"GIF89a\x00\xff")
DATA = "R0lGODlhAP8="
URL = f"data:image/gif;base64,{DATA}"

IN_PARTS = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": URL}}]
ON_THE_WIRE: dict[str, Any] = {
    "responses": {"content": [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": URL}]},
    "chat": {"content": IN_PARTS},
    "docker-chat": {"content": IN_PARTS},
    "anthropic": {
        "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": DATA}},
            {"type": "text", "text": "look"},
        ]
    },
    "ollama": {"content": "look", "images": [DATA]},
}


def test_these_are_all_that_take_pictures() -> None:
    assert {name for name, traits in TRAITS.items() if Can.PICTURES in traits.can} == set(ON_THE_WIRE)


@pytest.mark.parametrize("protocol", ON_THE_WIRE)
def test_a_picture_on_the_wire(protocol: str) -> None:
    profile = replace(PROFILE, protocol=protocol)
    said = (Message("user", "look", (GIF,)), Message("assistant", "A dot."))
    body = load(protocol).body(Request(profile, "look", history=said, pictures=(GIF,)))
    messages = body["input"] if protocol == "responses" else body["messages"]
    shown = {"role": "user"} | ON_THE_WIRE[protocol]
    assert messages == [shown, {"role": "assistant", "content": "A dot."}, shown]


def test_two_prompts_in_a_row_are_one_message_with_the_pictures_of_both() -> None:
    profile = replace(PROFILE, protocol="anthropic")
    said = (Message("user", "one", (GIF,)), Message("user", "two"))
    (message,) = load("anthropic").body(Request(profile, "look", history=said, pictures=(GIF,)))["messages"]
    assert [part["type"] for part in message["content"]] == ["image", "image", "text"]
    assert message["content"][-1]["text"] == "one\n\ntwo\n\nlook"
