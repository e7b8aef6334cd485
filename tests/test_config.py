"""Configuration: what is taken, what is refused, and the words for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from wcwidth import wcswidth

from tests.loopback import palaver, plain_environment
from tui.addresses import check_base_url, is_loopback, origin_of
from tui.config import GUIDE, NOTIFY
from tui.config_file import EXAMPLE, load
from tui.errors import ConfigError
from tui.text import clean

Write = Callable[[str], Path]

ROOT = Path(__file__).parent.parent

NOBODY = 65534
"""A user who owns nothing else."""

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
    assert (profile.connect_timeout, profile.idle_timeout, profile.begin_timeout) == (3.0, 30.5, None)
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
        ("x = " + "[" * 5000, "nested too deeply", ""),
        ("[keys]\na" + ".a" * 1100 + " = 1", "nested too deeply", ""),
        ("x = " + "[" * 400 + "]" * 400, "nested too deeply", ""),
        ('a = "1234"\nx = ' + "1" * 5000, "line 2: a number has too many digits", ""),
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


@pytest.mark.fault("G01", "K05")
@pytest.mark.parametrize(
    ("text", "shown", "at"),
    [
        (
            'headers = { x = "1", Authorization = "Bearer sk-1 }',
            'headers = { * = "*", ************* = "****** **** }',
            "",
        ),
        ("OPENAI_API_KEY = sk-1 # mine", "OPENAI_API_KEY = **** # ****", "****"),
        ('base_url = "https://u:sk-1@a.b" x', 'base_url = "******************" *', "*"),
        ('Authorization = """Bearer\nsk-1', "****", ""),
        ('api_key_command = [\n  "pass"\n  "sk-1",\n]', '"****",', '"'),
        ('[profiles.w] api_key = "sk-1"', '[**********] ******* = "****"', "******* ="),
        ("api_key: sk-1==", "******** ****==", "*"),
        ("[keys", "[keys", ""),
        ("theme = nord", "theme = nord", "nord"),
    ],
)
def test_bad_toml_is_shown_without_a_key(write_config: Write, text: str, shown: str, at: str) -> None:
    """`at` is what the caret points at, of what is shown."""
    with pytest.raises(ConfigError) as caught:
        load(write_config(text), {})
    assert "sk-1" not in f"{caught.value}{caught.value.detail}"
    line, caret = caught.value.detail.split("\n")
    assert line == f"  {shown}" or line.strip() == shown
    assert line[caret.index("^") :].startswith(at)


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
        (
            '[profiles.work]\nbase_url = "https://a.b"\nheaders = { "a b" = "1" }',
            "headers: a name cannot have ' ' in it",
        ),
        ('[profiles.work]\nbase_url = "https://a.b"\nheaders = { "" = "1" }', "headers: a name is empty"),
        ('[profiles.work]\nbase_url = "https://a.b"\nheaders = { a = "1\\n2" }', "printable ASCII"),
        ('[profiles.work]\nbase_url = "https://a.b"\nca_file = "/no/such"', "ca_file: there is no file /no/such"),
        ('[profiles.work]\nbase_url = "https://a.b"\nca_file = "/dev/null"', "ca_file: there is no file /dev/null"),
        ('[profiles.work]\nbase_url = "https://a.b"\nca_file = "~ghost/x"', "ca_file: the home folder in ~ghost/x is"),
        (f'[profiles.work]\nbase_url = "https://a.b"\nca_file = "/{"x" * 300}"', "cannot be read: File name too long"),
        ('[profiles.work]\nbase_url = "https://a.b"\nca_file = "a\\u0000b"', "ca_file: there is no file a"),
        (
            '[profiles.work]\nbase_url = "https://a.b"\nparams = { day = 2026-01-01 }',
            "profiles.work.params.day has to be",
        ),
        (
            '[profiles.work]\nbase_url = "https://a.b"\nparams.a = [1, { b = 07:32:00 }]',
            "profiles.work.params.a.b has to be",
        ),
        (
            '[profiles.work]\nbase_url = "https://a.b"\nparams = { t = nan }',
            "params.t has to be a number that JSON has",
        ),
        (
            '[profiles.work]\nbase_url = "https://a.b"\nparams = { t = -inf }',
            "params.t has to be a number that JSON has",
        ),
        (
            f'[profiles.work]\nbase_url = "https://a.b"\nparams = {{ t = 0x{"f" * 17} }}',
            "params.t has to be a number that JSON",
        ),
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


@pytest.mark.fault("G05")
def test_a_configuration_that_nothing_ever_comes_from(write_config: Write) -> None:
    file = write_config("")
    file.unlink()
    os.mkfifo(file)
    done = palaver("ask", "hi")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"palaver: {file} is no file that could be read")


@pytest.mark.fault("G04", "G05")
@pytest.mark.parametrize("what", ["config.toml", "config", "closed"])
def test_what_the_user_may_not_read(what: str) -> None:
    """As a process sees it that is bound by the modes of files, which root is not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority, file = folder / "closed" / "ca.pem", folder / "config" / "config.toml"
        for path in (authority, file):
            path.parent.mkdir()
            path.touch()
        file.write_text(f'[profiles.work]\nprotocol = "guide"\nca_file = "{authority}"\n')
        if os.geteuid() == 0:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        # What is loaded once has all it needs, also where the user may not read it.
        code = (
            "import os, sys; from pathlib import Path; from tui.config_file import load\n"
            "folder, denied = map(Path, sys.argv[1:]); file = folder / 'config' / 'config.toml'; load(file, {})\n"
            f"if os.geteuid() == 0: os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
            "denied.chmod(0)\n"
            "try: load(file, {})\n"
            "except Exception as error: print(error)\n"
            "denied.chmod(0o700)"
        )
        denied = next(path for path in folder.rglob("*") if path.name == what)
        done = subprocess.run(
            [sys.executable, "-c", code, folder, denied], cwd=ROOT, capture_output=True, text=True, check=True
        )
        named = f"{file}: profiles.work.ca_file: {authority}" if what == "closed" else file
        assert done.stdout == f"{named} cannot be read: Permission denied.\n"


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
        "https://a.b/?password=hunter2",
        "https://a.b/?a=b&sig=hunter2",
        "https://a.b/?code=hunter2",
        "https://a.b/?a=b&%63ode=hunter2",
        "https://a.b/#x",
        "https://a b/",
        "https://a\x00b/",
        "https://a..b/",
        "https://a.b\\c",
        "http://[::1",
        "https://-\n",
        "https://" + "a" * 300,
        "https://ex\u2028ample.com",
        "https://ex\u200cample.com",
        "https://ü..example",
        "ftp://u:hunter2@a.b",
        "https://u:hunt#er2@a.b",
        "https://u:hunter2/@a.b",
        "https://hunt!er2/x@a.b",
        "https://u:hunter2 @a.b",
        "https://hunter2\u00e9\u2028@a.b",
        "https://hunter2\u00e9..x/@a.b",
        "a.b/v1?api_key=sk-1",
        "https://[hunter2@a.b",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    """What is refused is not repeated: a password or a key in it may stand anywhere."""
    with pytest.raises(ConfigError) as caught:
        check_base_url(url)
    told = str(caught.value)
    assert told.startswith("the address ")
    assert not re.search(r"user:|hunt|er2|sk-1", told)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://a.b/v1/", "https://a.b/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("https://a.b/openai?api-version=2026-01-01", "https://a.b/openai?api-version=2026-01-01"),
        ("https://bücher.example/v1", "https://xn--bcher-kva.example/v1"),
        ("https://BÜCHER.example:8443/v1", "https://xn--bcher-kva.example:8443/v1"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("https://ｆａß。de/é", "https://xn--fa-hia.de/é"),
        ("https://api_x.example/é", "https://api_x.example/é"),
    ],
)
def test_addresses_as_they_are_used(url: str, kept: str) -> None:
    assert check_base_url(url, key="the key") == kept


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
    assert profile.begin_timeout == {"genie": 600}.get(protocol, 300)


@pytest.mark.fault("N09")
@pytest.mark.parametrize(("protocol", "timeout"), [("responses", 300), ("chat", 300), ("ollama", 300), ("genie", 600)])
def test_an_answer_may_be_five_minutes_in_coming_unless_the_profile_says_otherwise(
    tmp_path: Path, protocol: str, timeout: float
) -> None:
    file = tmp_path / "config.toml"
    text = f'[profiles.work]\nprotocol = "{protocol}"\nbase_url = "https://a.example"\n'
    file.write_text(text)
    assert load(file, {}).profile("work").begin_timeout == timeout
    file.write_text(f"{text}idle_timeout = 20\n")
    assert load(file, {}).profile("work").begin_timeout is None


def test_half_of_what_a_profile_needs_makes_none(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml", {"DATABRICKS_HOST": "https://w.example"}).profile() == GUIDE
    with pytest.raises(ConfigError, match="OLLAMA_HOST"):
        load(tmp_path / "none.toml", {"OLLAMA_HOST": "http://a b"}).profile()


PLAIN = {"OPENAI_API_KEY": "dummy", "OPENAI_BASE_URL": "http://gpu-box:8000/v1"}


@pytest.mark.fault("G04", "G12")
def test_what_the_environment_means_for_another_program_is_in_the_way_of_nothing_else(write_config: Write) -> None:
    file = write_config(NAMES_A_SERVER)
    environ = PLAIN | {"OLLAMA_HOST": "box:none", "ANTHROPIC_API_KEY": "k"}
    config = load(file, environ)
    assert list(config.profiles) == ["guide", "anthropic", "work"]
    assert [warning.partition(": ")[2].partition(":")[0] for warning in config.warnings] == [
        "OPENAI_BASE_URL",
        "OLLAMA_HOST",
    ]
    # It goes to no other server than the one it is meant for.
    assert config.default == "openai"
    for name in ("", "openai"):
        with pytest.raises(ConfigError, match="OPENAI_BASE_URL: the key would be sent unencrypted") as caught:
            config.profile(name)
        assert "[profiles.openai]" in caught.value.hint
    assert load(write_config(f'profile = "work"\n{NAMES_A_SERVER}'), environ).profile().name == "work"


@pytest.mark.fault("G12")
def test_a_profile_of_the_file_takes_the_place_of_one_that_cannot_be_used(write_config: Write) -> None:
    own = '[profiles.openai]\nbase_url = "http://gpu-box:8000/v1"\napi_key_env = "OPENAI_API_KEY"\n'
    config = load(write_config(f"{own}allow_plain_http = true\n"), PLAIN)
    assert (config.warnings, config.default) == ((), "openai")
    assert config.profile().base_url == "http://gpu-box:8000/v1"


@pytest.mark.fault("G04")
def test_commands_go_on_where_the_environment_is_of_no_use(write_config: Write) -> None:
    write_config(NAMES_A_SERVER)
    env = plain_environment(**PLAIN)
    for command in ("sessions list", "profiles list", "config show", "profiles show work", "ask -p guide hi"):
        done = palaver(*command.split(), env=env)
        assert done.returncode == 0, command
    assert "the profile openai cannot be used: OPENAI_BASE_URL: the key would be sent unencrypted" in done.stderr
    done = palaver("ask", "hi", env=env)
    assert (done.returncode, done.stdout) == (3, "")
    assert "palaver: OPENAI_BASE_URL: the key would be sent unencrypted" in done.stderr
    done = palaver("doctor", env=env)
    assert done.returncode == 1
    assert "✗ config    the profile openai cannot be used" in done.stdout


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("1.2.3.4", "http://1.2.3.4:11434"),
        ("box", "http://box:11434"),
        ("box:", "http://box:11434"),
        ("box:1234", "http://box:1234"),
        ("::1", "http://[::1]:11434"),
        ("::", "http://[::1]:11434"),
        ("fe80::1", "http://[fe80::1]:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("[::]:11434", "http://[::1]:11434"),
        (' "1.2.3.4" ', "http://1.2.3.4:11434"),
        ("http://box", "http://box"),
        ("https://box/", "https://box"),
        ("https://box:4321", "https://box:4321"),
        ("http://0.0.0.0:11434/", "http://127.0.0.1:11434"),
        ("https://example.com/ollama", "https://example.com/ollama"),
        ("ollama.example/path", "http://ollama.example:11434/path"),
        ("ollama.example:8080/path", "http://ollama.example:8080/path"),
    ],
)
def test_ollamas_variable_means_what_it_means_to_ollama(tmp_path: Path, said: str, url: str) -> None:
    assert load(tmp_path / "none.toml", {"OLLAMA_HOST": said}).profile().base_url == url


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
    for here in ("localhost:1", "x.localhost:1", "127.9.9.9:1", "[::1]:1"):
        assert load(write_config(text.replace("a.b", here)), {}).profile("work").origin == f"http://{here}"
    for elsewhere in ("127.0.0.1.evil.example", "127.evil.example", "127.0.0.1.", "localhost.evil.example"):
        with pytest.raises(ConfigError, match="unencrypted"):
            load(write_config(text.replace("a.b", elsewhere)), {})


@pytest.mark.fault("G12", "G06")
@pytest.mark.parametrize(
    ("header", "is_secret"),
    [
        ("Authorization", True),
        ("x-api-key", True),
        ("Cookie", True),
        ("X-Credentials", True),
        ("x-password", True),
        ("X-Passwd", True),
        ("x-passphrase", True),
        ("X-PWD", True),
        ("x-jwt-assertion", True),
        ("bearer", True),
        ("x-sig", True),
        ("X-Signature", True),
        ("x-design", False),
        ("x-compass", False),
        ("x-team", False),
    ],
)
def test_a_header_that_is_a_key_is_treated_as_one(write_config: Write, header: str, is_secret: bool) -> None:
    """It is not sent unencrypted, and a file that has it should be the user's alone to read."""
    text = f'[profiles.work]\nbase_url = "https://a.b"\nheaders = {{ {header} = "sk-x" }}\n'
    file = write_config(text)
    file.chmod(0o644)
    assert ["chmod 600" in warning for warning in load(file, {}).warnings] == [True] * is_secret
    file = write_config(text.replace("https", "http"))
    if is_secret:
        with pytest.raises(ConfigError, match=f"work.base_url: the header {header} would be sent unencrypted"):
            load(file, {})
    else:
        assert load(file, {}).profile("work").headers == ((header, "sk-x"),)
    assert "work" in load(write_config(text.replace("https", "http") + "allow_plain_http = true\n"), {}).profiles
    assert "work" in load(write_config(text.replace("https://a.b", "http://localhost:1")), {}).profiles


@pytest.mark.fault("G12", "G06")
@pytest.mark.parametrize(
    ("params", "name"),
    [
        ('{ api_key = "hush" }', "api_key"),
        ('{ auth = [{ Password = "hush" }] }', "Password"),
        ('{ extra = { access_token = "hush" } }', "access_token"),
        (
            '{ max_tokens = 10, token = 7, author = "me", prompt_cache_key = "a", stop_token = "b", keep_alive = "1h" }',
            "",
        ),
        ('{ tokenizer = "x", authorization = "hush" }', "authorization"),
    ],
)
def test_a_parameter_that_is_a_key_is_treated_as_one(write_config: Write, params: str, name: str) -> None:
    text = f'[profiles.work]\nbase_url = "https://a.b"\nparams = {params}\n'
    file = write_config(text)
    file.chmod(0o644)
    assert ["secret parameter" in warning for warning in load(file, {}).warnings] == [True] * bool(name)
    file = write_config(text.replace("https", "http"))
    if name:
        with pytest.raises(ConfigError, match=f"work.base_url: the parameter {name} would be sent unencrypted"):
            load(file, {})
    else:
        assert "work" in load(file, {}).profiles


@pytest.mark.fault("K06")
@pytest.mark.parametrize(
    ("name", "variable"),
    [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY"), ("genie", "DATABRICKS_TOKEN")],
)
def test_a_profile_of_ones_own_gives_away_no_key_of_the_environment(
    write_config: Write, name: str, variable: str
) -> None:
    own = f'[profiles.{name}]\nbase_url = "https://a.b"\napi_key_command = ["pass", "x"]\n'
    config = load(write_config(own), {variable: "k", "DATABRICKS_HOST": "w.example"})
    assert config.profile(name).key.kind == "command"
    assert variable in config.key_variables
    assert variable in config.profile(name).key.withheld


def test_origins() -> None:
    assert origin_of("https://A.b/x") == "https://a.b:443"
    assert origin_of("http://[::1]/x") == "http://[::1]:80"
    assert all(is_loopback(host) for host in ("127.0.0.9", "::1", "LOCALHOST", "localhost.", "x.localhost"))
    assert all(is_loopback(host) for host in ("127.1", "0.0.0.0", "::", "0x7f.1", "2130706433", "::ffff:127.0.0.1"))
    assert not any(
        is_loopback(host)
        for host in (
            "localhost.example.com",
            "127.0.0.1.evil.example",
            "127.evil",
            "127.0.0.1.",
            "::1.x",
            "",
            "::2",
            "128.1",
            "face",
            "a.b",
        )
    )


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
