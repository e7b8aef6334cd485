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


@pytest.mark.fault("K01", "K05")
def test_no_more_than_the_first_word_of_a_command_is_kept() -> None:
    one, two = (KeySource("command", ("vault", "read", f"--token={CANARY}{more}")).principal for more in ("", "2"))
    assert re.fullmatch(r"command:vault #[0-9a-f]{12}", one)
    assert one != two
