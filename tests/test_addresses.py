"""Addresses of servers: what cannot be one is refused in words."""

from __future__ import annotations

import pytest

from tui.addresses import check_base_url
from tui.errors import ConfigError


@pytest.mark.fault("G11")
@pytest.mark.parametrize(
    ("url", "call"),
    [
        ("https://api.example.com/v1/chat/completions", "/chat/completions"),
        ("https://api.example.com/v1/chat/completions/?api-version=1", "/chat/completions"),
        ("https://api.example.com/v1/Responses", "/Responses"),
        ("https://api.example.com/v1/messages", "/messages"),
        ("http://localhost:11434/api/chat", "/api/chat"),
    ],
)
def test_an_address_that_was_copied_with_the_call_says_what_to_take_off(url: str, call: str) -> None:
    with pytest.raises(ConfigError, match=f"the address ends in {call}") as caught:
        check_base_url(url)
    assert caught.value.hint == f"take {call} off its end"


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/v1/chat",
        "https://responses.example",
        "https://a.example/my-responses",
        "https://a.b/messages",
    ],
)
def test_an_address_that_only_looks_like_a_call_is_taken(url: str) -> None:
    assert check_base_url(url) == url


@pytest.mark.parametrize(
    "url", ["http://[::1é", "http://[:é1]:80/", "http://[::1]é]:80/", "http://é]", "http://[::1]x]:80/"]
)
def test_an_address_with_a_broken_bracket_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"the address (is not valid|has no valid host name)"):
        check_base_url(url)
