"""Secrets: never shown, never written."""

from __future__ import annotations

import pickle
import re

import pytest

from tui.credentials import KeySource, Secret

CANARY = "sk-CANARY-6c1f"


@pytest.mark.fault("K03")
def test_a_secret_shows_itself_to_no_one() -> None:
    secret = Secret(CANARY)
    shown = [str(secret), repr(secret), f"{secret}", f"{secret:>10}", repr([secret]), repr({"key": secret})]
    assert all(CANARY not in text for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret.reveal() == CANARY


def test_who_the_server_takes_us_for_is_told_without_the_key() -> None:
    assert KeySource().principal == ""
    assert KeySource("env", ("K",)).principal == "env:K"
    assert KeySource("keyring", ("palaver/work",)).principal == "keyring:palaver/work"


KEYS = [
    "sk-proj-A1b2C3d4",
    "sk-ant-api03-xyzw",
    "gsk_0123456789abcdefABCDEF",
    "dapi0123456789abcdef0123456789abcdef",
    "hf_abcdefghijklmnopqrstuvwxyz",
    "a8B3kQ9zL2mN7pR4tV6x",
    "a8B3kQ9zL2mN7pR4tV6x/yz",
]
"""As they are given out, and of no known kind."""


@pytest.mark.fault("K01", "K05")
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("kind", ["env", "command", "keyring"])
def test_a_key_in_the_place_of_its_name_is_not_told(kind: str, key: str) -> None:
    source = KeySource(kind, (key,))
    assert key not in f"{source} {source.named} {source.principal} {KeySource(kind, (key, 'x')).principal}"
    assert re.fullmatch(rf"{kind}:\*\*\* #[0-9a-f]{{12}}", source.principal)
    assert source.principal != KeySource(kind, (f"{key}0",)).principal


@pytest.mark.parametrize(
    ("kind", "where", "principal"),
    [
        ("env", "OPENAI_API_KEY", "env:OPENAI_API_KEY"),
        ("env", "PROD2024EAST1OPENAIKEY", "env:PROD2024EAST1OPENAIKEY"),
        ("env", "my_key2", "env:my_key2"),
        ("keyring", "palaver/550e8400e29b41d4a716446655440000", "keyring:palaver/550e8400e29b41d4a716446655440000"),
        ("keyring", "palaver/openai-work-2024@example.com", "keyring:palaver/openai-work-2024@example.com"),
        ("keyring", "hf_token/work", "keyring:hf_token/work"),
        ("keyring", "https://api.example.com/v1", "keyring:https://api.example.com/v1"),
        ("command", "get-key", "command:get-key #"),
        ("command", "~/bin/key2024", "command:~/bin/key2024 #"),
        (
            "command",
            "/nix/store/1a2b3c4d5e6f7g8h9i0j-pass-1.7/bin/pass",
            "command:/nix/store/1a2b3c4d5e6f7g8h9i0j-pass",
        ),
    ],
)
def test_names_are_kept_as_they_are(kind: str, where: str, principal: str) -> None:
    """A conversation is found again by them."""
    source = KeySource(kind, (where,))
    assert source.principal.startswith(principal)
    assert kind == "command" or source.principal == principal
    assert source.named == where


def test_a_command_line_in_one_word_is_told_by_its_program() -> None:
    source = KeySource("command", (f"vault read --token={CANARY}",))
    assert str(source) == "command vault …"
    assert CANARY not in source.principal


@pytest.mark.fault("K01", "K05")
def test_no_more_than_the_first_word_of_a_command_is_kept() -> None:
    one, two = (KeySource("command", ("vault", "read", f"--token={CANARY}{more}")).principal for more in ("", "2"))
    assert re.fullmatch(r"command:vault #[0-9a-f]{12}", one)
    assert one != two
