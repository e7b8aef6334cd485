"""Secrets: never shown, never written."""

from __future__ import annotations

import pickle

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
