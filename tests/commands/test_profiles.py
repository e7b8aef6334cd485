"""`palaver profiles` and `palaver config`, as processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fake_server import completed
from tests.loopback import Call, loopback, palaver, plain_environment, profile_text

Write = Callable[[str], Path]
CANARY = "sk-CANARY-1f2e"


def serve(call: Call) -> None:
    if call.path.endswith("/models"):
        call.answer(200, {"object": "list", "data": [{"id": f"m{number}"} for number in range(7)]})
    elif "count from one" in str(call.body):
        call.hold("one, ")
    else:
        call.head().event(completed("ready"))


def test_listing_says_where_each_comes_from(write_config: Write) -> None:
    file = write_config(profile_text("https://api.example.com/v1"))
    done = palaver("profiles", env=plain_environment(OPENAI_API_KEY=CANARY))
    lines = done.stdout.splitlines()
    assert any(line.startswith("*  here") and line.endswith(str(file)) for line in lines)
    assert any("openai" in line and line.endswith("OPENAI_API_KEY") for line in lines)
    assert any("guide" in line and line.endswith("built in") for line in lines)
    assert CANARY not in done.stdout


@pytest.mark.fault("K05", "K06")
def test_showing_one_names_the_keys_source_only(write_config: Write) -> None:
    write_config(
        profile_text("https://api.example.com/v1", more='api_key_env = "WORK_KEY"\nheaders = { "x-auth" = "hush" }')
    )
    done = palaver("profiles", "show", "here", env=plain_environment(WORK_KEY=CANARY))
    assert "environment variable WORK_KEY" in done.stdout
    assert "x-auth" in done.stdout
    assert CANARY not in done.stdout
    assert "hush" not in done.stdout
    assert palaver("profiles", "show", "nope").returncode == 3


@pytest.mark.parametrize(
    ("more", "timeout", "allowed"),
    [
        ("", "300 s before an answer, 120 s within it", "no"),
        ("idle_timeout = 7.5", "7.5 s", "no"),
        ('protocol = "ollama"\nallow_plain_http = true', "300 s", "yes"),
    ],
)
def test_showing_one_tells_what_is_in_force(write_config: Write, more: str, timeout: str, allowed: str) -> None:
    write_config(f'[profiles.here]\nbase_url = "https://api.example.com/v1"\n{more}\n')
    lines = palaver("profiles", "show", "here").stdout.splitlines()
    assert f"idle_timeout     {timeout}" in lines
    assert f"allow_plain_http {allowed}" in lines


@pytest.mark.fault("K05")
def test_showing_one_tells_no_key_among_its_parameters(write_config: Write) -> None:
    params = 'params = { api_key = "hush1", max_tokens = 5, nested = [{ password = "hush2", model = "m" }] }'
    write_config(profile_text("https://api.example.com/v1", more=params))
    done = palaver("profiles", "show", "here")
    assert (
        'params           {"api_key": "***", "max_tokens": 5, "nested": [{"password": "***", "model": "m"}]}'
        in done.stdout
    )


def test_testing_one_says_what_works(write_config: Write) -> None:
    with loopback(serve) as server:
        write_config(profile_text(server.url, more='api_key_env = "WORK_KEY"'))
        done = palaver("profiles", "test", env=plain_environment(WORK_KEY=CANARY))
        assert done.returncode == 0
        lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
        assert [(line[0], line[1]) for line in lines] == [
            ("key", "ok"),
            ("models", "ok"),
            ("reach", "ok"),
            ("auth", "ok"),
            ("answer", "ok"),
            ("stream", "-"),
            ("continue", "ok"),
            ("cancel", "ok"),
        ]
        assert "m0, m1, m2, m3, m4 and 2 more" in done.stdout
        assert server.calls[0].headers["authorization"] == f"Bearer {CANARY}"
        assert CANARY not in done.stdout + done.stderr


@pytest.mark.fault("H06", "H27")
def test_testing_one_that_does_not_work(write_config: Write) -> None:
    def refuse(call: Call) -> None:
        call.answer(401, {"error": {"message": f"Incorrect API key provided: {CANARY}"}})

    with loopback(refuse) as server:
        write_config(profile_text(server.url, more='api_key_env = "WORK_KEY"'))
        done = palaver("profiles", "test", env=plain_environment(WORK_KEY=CANARY))
        assert done.returncode == 4
        assert "failed" in done.stdout
        assert "refused the key from environment variable WORK_KEY: Incorrect API key provided: ***" in done.stdout
        assert CANARY not in done.stdout + done.stderr
        done = palaver("profiles", "test")
        assert done.returncode == 3
        assert "WORK_KEY is not set" in done.stdout


def test_guide_passes_its_test() -> None:
    done = palaver("profiles", "test", "guide")
    assert done.returncode == 0
    assert "failed" not in done.stdout


def test_where_the_files_are(history: Path) -> None:
    done = palaver("config", "path")
    assert f"history  {history}\n" in done.stdout
    assert "config.toml\n" in done.stdout


def test_beginning_a_configuration(history: Path) -> None:
    file = history.parents[1] / "config" / "config.toml"
    done = palaver("config", "init")
    assert done.returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    file.write_text('theme = "nord"\n')
    done = palaver("config", "init")
    assert (done.returncode, file.read_text()) == (3, 'theme = "nord"\n')
    shown = palaver("config", "show").stdout
    assert "theme                  nord" in shown
    assert "profile                guide" in shown


def test_warnings_are_shown(write_config: Write) -> None:
    write_config('modle = "x"\n')
    assert "warning:" in palaver("config").stdout
    done = palaver("ask", "hello")
    assert done.returncode == 0
    assert "unknown key modle" in done.stderr
