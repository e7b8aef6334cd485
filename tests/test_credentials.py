"""Keys: read from where they are, never shown."""

from __future__ import annotations

import pickle
import sys

import pytest

from tui.credentials import KeySource, Secret, read_key
from tui.errors import ConfigError

CANARY = "sk-CANARY-6c1f"


@pytest.mark.fault("K03")
def test_a_secret_shows_itself_to_no_one() -> None:
    secret = Secret(CANARY)
    shown = [str(secret), repr(secret), f"{secret}", f"{secret:>10}", repr([secret]), repr({"key": secret})]
    assert all(CANARY not in text for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret.reveal() == CANARY


@pytest.mark.fault("G08")
@pytest.mark.parametrize(("environ", "state"), [({}, "not set"), ({"K": "  "}, "empty")])
def test_a_missing_key_names_the_variable(environ: dict[str, str], state: str) -> None:
    with pytest.raises(ConfigError, match=f"The environment variable K is {state}") as caught:
        read_key(KeySource("env", ("K",)), environ)
    assert "export K=" in caught.value.hint
    assert caught.value.exit_status == 3


@pytest.mark.fault("G09", "K04")
@pytest.mark.parametrize("value", [f"{CANARY}\x00x", f"{CANARY} x", f"{CANARY}é", f"{CANARY}\r\nx: y"])
def test_a_key_that_cannot_be_sent_is_not_quoted(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_key(KeySource("env", ("K",)), {"K": value})
    assert CANARY not in str(caught.value)
    assert f"position {len(CANARY) + 1}" in caught.value.message


def test_blanks_around_a_key_are_stripped() -> None:
    key = read_key(KeySource("env", ("K",)), {"K": f" {CANARY}\n"})
    assert key is not None
    assert key.reveal() == CANARY


def test_a_key_from_a_command() -> None:
    python = sys.executable
    key = read_key(KeySource("command", (python, "-c", f"print({CANARY!r})")))
    assert key is not None
    assert key.reveal() == CANARY
    failing = [
        (("/no/such/command",), "was not found"),
        ((python, "-c", "raise SystemExit(3)"), "ended with status 3"),
        ((python, "-c", ""), "printed nothing"),
    ]
    for command, says in failing:
        with pytest.raises(ConfigError, match=says):
            read_key(KeySource("command", command))


def test_a_command_runs_without_a_shell(tmp_path: object) -> None:
    with pytest.raises(ConfigError, match="was not found"):
        read_key(KeySource("command", (f"echo {CANARY}; true",)))


def test_no_source_no_key() -> None:
    assert read_key(KeySource()) is None
    assert KeySource().principal == ""
    assert KeySource("env", ("K",)).principal == "env:K"
