"""Configuration: what is taken, what is refused, and the words for it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from wcwidth import wcswidth

from tui.addresses import check_base_url, is_loopback, origin_of
from tui.config import GUIDE, NOTIFY
from tui.config_file import EXAMPLE, load
from tui.errors import ConfigError
from tui.text import clean

Write = Callable[[str], Path]

WORK = """
profile = "work"
conversation_ttl_days = 7

[profiles.work]
protocol = "chat"
base_url = "https://api.example.com/v1/"
model = "m"
api_key_env = "WORK_KEY"
headers = { "x-team" = "infra" }
system = "Be brief."
replay = false
connect_timeout = 3
idle_timeout = 30.5
context_window = 128_000
params = { temperature = 0.2 }
continue_by = "conversation"

[keys]
session.new = "ctrl+t"
"turn.stop" = "escape,ctrl+x"
"""


def test_everything_that_can_be_said(write_config: Write) -> None:
    config = load(write_config(WORK), {})
    profile = config.profile()
    assert (profile.name, profile.protocol, profile.base_url, profile.model) == (
        "work",
        "chat",
        "https://api.example.com/v1",
        "m",
    )
    assert str(profile.key) == "environment variable WORK_KEY"
    assert profile.headers == (("x-team", "infra"),)
    assert (profile.system, profile.replay, profile.continue_by) == ("Be brief.", False, "conversation")
    assert (profile.connect_timeout, profile.idle_timeout) == (3.0, 30.5)
    assert profile.context_window == 128_000
    assert profile.params == {"temperature": 0.2}
    assert profile.origin == "https://api.example.com:443"
    assert config.conversation_ttl == 7 * 86400
    assert config.keys == {"session.new": "ctrl+t", "turn.stop": "escape,ctrl+x"}
    assert config.warnings == ()


def test_without_a_file_guide_answers(tmp_path: Path) -> None:
    config = load(tmp_path / "none.toml", {})
    assert config.profile() == GUIDE
    assert set(config.profiles) == {"guide"}


def test_a_key_in_the_environment_makes_a_profile(tmp_path: Path) -> None:
    config = load(tmp_path / "none.toml", {"OPENAI_API_KEY": "sk-x", "OPENAI_MODEL": "mine"})
    profile = config.profile()
    assert (profile.name, profile.model, profile.source) == ("openai", "mine", "OPENAI_API_KEY")
    assert config.profile("guide") == GUIDE
    assert load(tmp_path / "none.toml", {"OPENAI_API_KEY": " "}).profile() == GUIDE


def test_the_example_is_valid_as_it_is_and_with_every_line_in_force(write_config: Write, tmp_path: Path) -> None:
    assert load(write_config(EXAMPLE), {}).warnings == ()
    (tmp_path / "ca.pem").touch()
    lines = [re.sub(r"^# (?=[\[\w])", "", line) for line in EXAMPLE.splitlines()[2:]]
    text = "\n".join(lines).replace("/etc/ssl/our-ca.pem", str(tmp_path / "ca.pem"))
    config = load(write_config(text), {})
    assert config.warnings == ()
    assert config.profile().name == "work"


@pytest.mark.fault("G01", "G02")
@pytest.mark.parametrize(
    ("text", "place", "shown"),
    [
        ('profile = "work', "line 1, column 16", 'profile = "work'),
        ("a = 1\nb == 2\n", "line 2, column 4", "b == 2"),
        ("a = 1\r\nb = [1,\r\n", "line 2, column 8", "b = [1,"),
        ("x = " + "[" * 5000, "", ""),
    ],
)
def test_bad_toml_is_shown_where_it_is(write_config: Write, text: str, place: str, shown: str) -> None:
    file = write_config(text)
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert str(file) in caught.value.message
    assert place in caught.value.message
    if shown:
        line, caret = caught.value.detail.splitlines()
        assert line.strip() == shown
        assert caret.strip() == "^"
    assert caught.value.exit_status == 3


@pytest.mark.parametrize(
    "before", ['"a\u202eb"', '"a\u2028b"', "'\t'", '"\U000e0041"', '"e' + "\u0301" * 20 + '"', '"漢"']
)
def test_the_caret_points_at_the_fault_as_it_is_shown(write_config: Write, before: str) -> None:
    write_config(f"# one\u2028line\u0085\n{before} = ! # more\n")
    with pytest.raises(ConfigError, match="line 2, ") as caught:
        load(Path(os.environ["PALAVER_CONFIG_DIR"], "config.toml"), {})
    line, caret = caught.value.detail.split("\n")
    assert line.endswith(" = ! # more")
    assert wcswidth(line[: line.index("!")]) == caret.index("^")
    assert clean(line) == line


@pytest.mark.fault("G02")
def test_a_byte_order_mark_is_forgiven(write_config: Write) -> None:
    file = write_config("")
    file.write_bytes(b"\xef\xbb\xbf" + b'theme = "nord"\r\n')
    assert load(file, {}).theme == "nord"


@pytest.mark.fault("G03")
def test_unknown_keys_warn_and_name_the_nearest(write_config: Write) -> None:
    text = 'profil = "x"\n[profiles.work]\nbase_url = "https://a.b"\nmodle = "m"\nsomething = 1\n'
    config = load(write_config(text), {})
    assert len(config.warnings) == 3
    assert "did you mean 'profile'" in config.warnings[0]
    assert "profiles.work.modle (did you mean 'model'?)" in config.warnings[1]
    assert config.warnings[2].endswith("profiles.work.something")


@pytest.mark.fault("G04")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("profile = 1", "profile has to be a string"),
        ("profiles = 1", "profiles has to be a table"),
        ("conversation_ttl_days = 0", "conversation_ttl_days has to be a number above 0"),
        ("conversation_ttl_days = true", "a number above 0"),
        ("[profiles]\nwork = 1", "profiles.work has to be a table"),
        ('[profiles.work]\nprotocol = "grpc"', 'profiles.work.protocol has to be one of "responses"'),
        ('[profiles.work]\nbase_url = "https://a.b"\nidle_timeout = "2"', "idle_timeout has to be a number"),
        ('[profiles.work]\nbase_url = "https://a.b"\nidle_timeout = -1', "idle_timeout has to be a number"),
        (
            '[profiles.work]\nbase_url = "https://a.b"\ncontext_window = 0',
            "context_window has to be a whole number above 0",
        ),
        ('[profiles.work]\nbase_url = "https://a.b"\ncontext_window = 1.5', "context_window has to be a whole number"),
        ('[profiles.work]\nbase_url = "https://a.b"\ncontext_window = true', "context_window has to be a whole number"),
        (
            '[profiles.work]\nbase_url = "https://a.b"\ncontext_window = "128k"',
            "context_window has to be a whole number",
        ),
        ('[profiles.work]\nbase_url = "https://a.b"\nreplay = 1', "replay has to be true or false"),
        ('[profiles.work]\nbase_url = "https://a.b"\nheaders = { a = 1 }', "headers.a has to be a string"),
        ('[profiles.work]\nbase_url = "https://a.b"\nheaders = { "a b" = "1" }', "cannot be a header's name"),
        ('[profiles.work]\nbase_url = "https://a.b"\nheaders = { a = "1\\n2" }', "printable ASCII"),
        ('[profiles.work]\nbase_url = "https://a.b"\nca_file = "/no/such"', "there is no file"),
        ('[profiles.work]\nbase_url = "https://a.b"\napi_key_command = "pass x"', "a list of words"),
        ('[profiles.work]\nbase_url = "https://a.b"\napi_key_env = ""', "has to be a name"),
        ('[profiles.work]\nbase_url = "https://a.b"\napi_key_env = "A"\napi_key_keyring = "b"', "both given"),
        ('[profiles.work]\nbase_url = "https://a.b"\napi_key = "sk-1"', "keys are not kept in the file"),
        ("[profiles.work]", "base_url is missing"),
        ("[keys]\nx = 1", "keys.x has to be a string"),
        ('profile = "wrok"\n[profiles.work]\nbase_url = "https://a.b"', "did you mean 'work'"),
    ],
)
def test_wrong_values_name_the_key_and_what_is_accepted(write_config: Write, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write_config(text), {})
    assert says in str(caught.value)


@pytest.mark.fault("G05")
def test_a_configuration_that_is_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "config.toml"
    folder.mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        load(folder, {})
    link = tmp_path / "link.toml"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="link to a file that does not exist"):
        load(link, {})
    other = tmp_path / "latin.toml"
    other.write_bytes(b'theme = "\xe9"')
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load(other, {})


@pytest.mark.fault("G06", "G07")
def test_who_may_read_and_write_it(write_config: Write) -> None:
    file = write_config('[profiles.work]\nbase_url = "https://a.b"\nheaders = { "X-Auth-Token" = "t" }\n')
    assert load(file, {}).warnings == ()
    file.chmod(0o644)
    (warning,) = load(file, {}).warnings
    assert "can be read by others" in warning
    assert f"chmod 600 {file}" in warning
    for mode in (0o620, 0o602, 0o666):
        file.chmod(mode)
        with pytest.raises(ConfigError, match="can be changed by other users") as caught:
            load(file, {})
        assert caught.value.hint == f"chmod 600 {file}"


NAMES_A_SERVER = '[profiles.work]\nbase_url = "https://a.b"\n'


@pytest.mark.fault("G07")
@pytest.mark.parametrize(
    "text", [NAMES_A_SERVER, '[profiles.work]\nprotocol = "guide"\napi_key_command = ["pass", "x"]\n']
)
@pytest.mark.parametrize(("mode", "is_fine"), [(0o755, True), (0o770, False), (0o757, False), (0o1777, True)])
def test_who_may_write_its_folder(write_config: Write, text: str, mode: int, is_fine: bool) -> None:
    file = write_config(text)
    file.parent.chmod(mode)
    if is_fine:
        assert load(file, {}).warnings == ()
    else:
        with pytest.raises(ConfigError, match="can be replaced by other users") as caught:
            load(file, {})
        assert f"chmod go-w {file.parent}," in caught.value.hint


@pytest.mark.fault("G07")
def test_where_its_link_leads(write_config: Write, tmp_path: Path) -> None:
    target = tmp_path / "dots" / "palaver.toml"
    target.parent.mkdir(mode=0o700)
    write_config(NAMES_A_SERVER).rename(target)
    file = tmp_path / "palaver" / "config" / "config.toml"
    file.symlink_to(target)
    assert load(file, {}).warnings == ()
    target.chmod(0o660)
    with pytest.raises(ConfigError, match=f"{target}, which {file} leads to, can be changed") as caught:
        load(file, {})
    assert caught.value.hint == f"chmod 600 {target}"
    target.chmod(0o600)
    for folder in (target.parent, file.parent):
        folder.chmod(0o777)
        with pytest.raises(ConfigError, match="can be replaced by other users"):
            load(file, {})
        folder.chmod(0o700)
    assert "work" in load(file, {}).profiles


@pytest.mark.fault("G07")
@pytest.mark.parametrize("whose", ["the file", "the folder", "nothing"])
def test_a_file_of_another_user(write_config: Write, monkeypatch: pytest.MonkeyPatch, whose: str) -> None:
    """As whoever runs the program sees it: another user's file may change at any time, whatever its mode."""
    file = write_config(NAMES_A_SERVER)
    if os.geteuid() == 0:
        os.chown(file, 4321, -1)
        os.chown(file.parent, 4321, -1)
        os.chown(
            {"the file": file, "the folder": file.parent}.get(whose, file), 1234 if whose != "nothing" else 4321, -1
        )
        monkeypatch.setattr(os, "geteuid", lambda: 4321)
    elif whose != "nothing":
        pytest.skip("only root can give files away")
    if whose == "nothing":
        assert "work" in load(file, {}).profiles
    else:
        with pytest.raises(ConfigError, match="by other users, and says where your key is sent"):
            load(file, {})


def test_a_file_that_names_no_server_may_be_anyones(write_config: Write) -> None:
    file = write_config('theme = "nord"\n')
    file.chmod(0o666)
    assert load(file, {}).theme == "nord"


@pytest.mark.fault("G11", "G12", "N43")
@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "ftp://a.b",
        "https://",
        "https://a.b:99999",
        "https://a.b:0",
        "https://a.b:x",
        "http://xn--/",
        "https://user:pass@a.b",
        "https://a.b/?api_key=sk-1",
        "https://a.b/#x",
        "https://a b/",
        "https://a\x00b/",
        "https://a..b/",
        "https://a.b\\c",
        "http://[::1",
        "https://-\n",
        "https://" + "a" * 300,
        "https://ex\u2028ample.com",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ConfigError):
        check_base_url(url)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://a.b/v1/", "https://a.b/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("https://a.b/openai?api-version=2026-01-01", "https://a.b/openai?api-version=2026-01-01"),
        ("https://bücher.example/v1", "https://xn--bcher-kva.example/v1"),
    ],
)
def test_addresses_as_they_are_used(url: str, kept: str) -> None:
    assert check_base_url(url, has_key=True) == kept


@pytest.mark.parametrize(
    ("environ", "name", "protocol", "url", "model", "key"),
    [
        (
            {"ANTHROPIC_API_KEY": "k"},
            "anthropic",
            "anthropic",
            "https://api.anthropic.com/v1",
            "claude-sonnet-4-5",
            True,
        ),
        (
            {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "https://a.b/", "ANTHROPIC_MODEL": "m"},
            "anthropic",
            "anthropic",
            "https://a.b/v1",
            "m",
            True,
        ),
        ({"OLLAMA_HOST": "0.0.0.0"}, "ollama", "ollama", "http://127.0.0.1:11434", "", False),
        ({"OLLAMA_HOST": ":1234"}, "ollama", "ollama", "http://127.0.0.1:1234", "", False),
        ({"OLLAMA_HOST": "[::1]:99", "OLLAMA_MODEL": "m"}, "ollama", "ollama", "http://[::1]:99", "m", False),
        ({"OLLAMA_HOST": "https://o.example"}, "ollama", "ollama", "https://o.example", "", False),
        (
            {"DATABRICKS_HOST": "w.databricks.example", "DATABRICKS_TOKEN": "t"},
            "genie",
            "genie",
            "https://w.databricks.example",
            "",
            True,
        ),
    ],
)
def test_profiles_from_the_environment(
    tmp_path: Path, environ: dict[str, str], name: str, protocol: str, url: str, model: str, key: bool
) -> None:
    profile = load(tmp_path / "none.toml", environ).profile()
    assert (profile.name, profile.protocol, profile.base_url, profile.model) == (name, protocol, url, model)
    assert (profile.key.kind == "env") is key
    assert profile.idle_timeout == {"genie": 600, "ollama": 300}.get(protocol, 120)


def test_half_of_what_a_profile_needs_makes_none(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml", {"DATABRICKS_HOST": "https://w.example"}).profile() == GUIDE
    with pytest.raises(ConfigError, match="OLLAMA_HOST"):
        load(tmp_path / "none.toml", {"OLLAMA_HOST": "http://a b"})


def test_each_protocol_has_options_of_its_own(write_config: Write) -> None:
    text = '[profiles.a]\nprotocol = "{}"\nbase_url = "https://a.b"\nwarehouse_id = {}\n'
    config = load(write_config(text.format("genie", '"wh1"')), {})
    assert (config.warnings, config.profile("a").options) == ((), {"warehouse_id": "wh1"})
    (warning,) = load(write_config(text.format("chat", '"wh1"')), {}).warnings
    assert "warehouse_id" in warning
    with pytest.raises(ConfigError, match="warehouse_id has to be a string"):
        load(write_config(text.format("genie", "7")), {})


@pytest.mark.fault("G12")
def test_a_key_is_not_sent_unencrypted(write_config: Write) -> None:
    text = '[profiles.work]\nbase_url = "http://a.b/v1"\napi_key_env = "K"\n'
    with pytest.raises(ConfigError, match="unencrypted"):
        load(write_config(text), {})
    assert load(write_config(text + "allow_plain_http = true\n"), {}).profile("work").base_url == "http://a.b/v1"
    assert load(write_config(text.replace("a.b", "localhost:1")), {}).profile("work").origin == "http://localhost:1"


def test_origins() -> None:
    assert origin_of("https://A.b/x") == "https://a.b:443"
    assert origin_of("http://[::1]/x") == "http://[::1]:80"
    assert is_loopback("127.0.0.9")
    assert is_loopback("x.localhost")
    assert not is_loopback("localhost.example.com")


@pytest.mark.fault("G13")
def test_a_file_that_opens_encrypted_connections_is_warned_of(tmp_path: Path) -> None:
    (warning,) = load(tmp_path / "none.toml", {"SSLKEYLOGFILE": "/tmp/keys"}).warnings
    assert warning.startswith("SSLKEYLOGFILE is set")
    assert load(tmp_path / "none.toml", {}).warnings == ()


def test_how_the_terminal_is_told_is_one_of_three(write_config: Write) -> None:
    assert load(write_config(""), {}).notify == "auto"
    for way in NOTIFY:
        assert load(write_config(f'notify = "{way}"\n'), {}).notify == way
    for wrong in ('"loud"', "false"):
        with pytest.raises(ConfigError, match="notify has to be"):
            load(write_config(f"notify = {wrong}\n"), {})
