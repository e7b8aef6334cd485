"""`palaver doctor`: what it finds, what it says to do, and what it never says or does."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import platformdirs
import pytest

from tests import canary
from tests.loopback import Call, loopback, palaver, plain_environment, profile_text
from tests.sequences import read
from tests.store.histories import a_session, change, opened, told
from tests.terminal import Terminal
from tui import cli, crash
from tui.commands import doctor, doctor_history, doctor_machine
from tui.commands.doctor_lines import Mark
from tui.store import schema
from tui.store.library import library

Write = Callable[[str], Path]
NOBODY = 65534


def at_home(tmp_path: Path) -> dict[str, str]:
    """Folders in the home folder, whose name is left out."""
    return {f"PALAVER_{kind}_DIR": f"{tmp_path}/home/{kind.lower()}" for kind in ("CONFIG", "DATA", "LOG")}


def looked(status: int = 0, **environment: str) -> list[tuple[str, str, str, str]]:
    """What there is to say: mark, subject, text, remedy."""
    done = palaver("doctor", "--json", env=plain_environment(**environment))
    assert (done.returncode, done.stderr) == (status, "")
    found = json.loads(done.stdout)
    assert found["ok"] is (status == 0)
    return [(line["mark"], line["about"], line["text"], line["remedy"]) for line in found["lines"]]


def about(subject: str, status: int = 0, **environment: str) -> list[tuple[str, str, str]]:
    return [(mark, text, remedy) for mark, of, text, remedy in looked(status, **environment) if of == subject]


def test_with_nothing_configured_nothing_is_wrong_and_nothing_is_made(tmp_path: Path, history: Path) -> None:
    done = palaver("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    *lines, empty, summary, last = done.stdout.splitlines()
    assert empty == ""
    assert summary.startswith("Nothing is wrong")
    assert last == "Nothing was sent over the network; `palaver profiles test` tries a server."
    subjects = [line[2:11].strip() for line in lines if line[0] == "✓"]
    assert subjects == [
        "Palaver", "libraries", "SQLite", "terminal", "encoding", "config", "profile", "history", "crashes",
    ]  # fmt: skip
    assert "not made yet" in done.stdout
    assert not (tmp_path / "palaver").exists()


def plain(text: str) -> str:
    """`text` in one line, without how much is free on the disk: that is another figure a moment later."""
    return re.sub(r"\d+ GB free", "", " ".join(text.split()))


def test_what_is_printed_is_what_json_says(write_config: Write) -> None:
    write_config(f"{profile_text('https://api.example.com/v1')}[profiles.other]\nbase_url = 'https://o.example.com'\n")
    printed = palaver("doctor").stdout
    for _, of, text, remedy in looked():
        assert of in printed
        assert plain(text) in plain(printed)
        assert not remedy or f"            → {remedy}\n" in printed


def test_a_session_of_that_label_is_still_opened() -> None:
    done = palaver("open", "doctor")
    assert (done.returncode, done.stdout) == (2, "")
    assert "window needs a terminal" in done.stderr


def test_textual_is_not_loaded() -> None:
    code = "import sys; from tui.cli import main; main(['doctor']); print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "textual" not in done.stdout.splitlines()[-1].split()


# The program and where it runs


@pytest.mark.fault("D41")
def test_the_sqlite_library_is_one(tmp_path: Path) -> None:
    assert about("SQLite") == [("ok", f"{sqlite3.sqlite_version}: Python's own, and no other", "")]
    package = tmp_path / "others" / "pysqlite3"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import pathlib\npathlib.Path(__file__).with_name('used').touch()\n")
    ((mark, text, _),) = about("SQLite", PYTHONPATH=str(package.parent))
    assert (mark, text) == (
        "ok",
        f"{sqlite3.sqlite_version}: Python's own; pysqlite3 is installed, too, and not used",
    )
    assert not (package / "used").exists()


@pytest.mark.fault("D41", "G19")
def test_a_second_sqlite_library_or_one_too_old_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apsw", sqlite3)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    assert library().wrong == (
        "it is too old: it has to be 3.35 or newer",
        "there are two in this process (apsw)",
    )
    assert [line.mark for line in doctor_machine.sqlite()] == [Mark.OK, Mark.WRONG, Mark.WRONG]


@pytest.mark.parametrize("width", [80, 50])
def test_in_a_terminal_it_fits_and_tells_of_it(tmp_path: Path, width: int) -> None:
    file = tmp_path / "home" / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(profile_text("https://api.example.com/v1"), encoding="utf-8")
    file.chmod(0o600)
    env = {
        **at_home(tmp_path),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "TMUX": "/tmp/x,1,0",
        "LC_ALL": "C.UTF-8",
    }
    t = Terminal([sys.executable, "-m", "tui", "doctor"], (width, 60), env)
    try:
        assert t.ends() == 0
        output = t.output.decode()
    finally:
        t.close()
    assert "\x1b[32m✓\x1b[0m Palaver" in output
    lines = [line.replace("\x1b[32m", "").replace("\x1b[0m", "") for line in output.splitlines()]
    assert max(len(line) for line in lines if "→" not in line and line != doctor.LAST) <= width
    told = " ".join(" ".join(lines).split())
    assert f"TERM=xterm-256color, all colours, {width}×60, in tmux" in told
    assert "Nothing is wrong." in told


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"TERM": "xterm"}, "TERM=xterm, 16 colours"),
        ({"TERM": "xterm-256color"}, "TERM=xterm-256color, 256 colours"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "TERM=xterm-256color, no colours (NO_COLOR)"),
        ({"TERM": "", "STY": "1.x", "SSH_CONNECTION": "a"}, "no TERM, 16 colours, in screen, over ssh"),
    ],
)
def test_what_the_environment_says_of_the_terminal(environment: dict[str, str], says: str) -> None:
    nothing = dict.fromkeys(("COLORTERM", "TERM_PROGRAM", "TMUX", "STY", "ZELLIJ", "SSH_CONNECTION"), "")
    found = about("terminal", **{**nothing, **environment})
    assert found[0][1] == says
    assert found[1][0] == "note"
    assert "no terminal" in found[1][1]


@pytest.mark.fault("G14")
def test_an_encoding_that_lacks_letters_is_worth_a_look() -> None:
    ((mark, text, remedy),) = about("encoding", LC_ALL="C")
    assert mark == "note"
    assert "(LC_ALL=C)" in text
    assert remedy == "export LC_ALL=C.UTF-8, or another locale with UTF-8"
    assert about("encoding", LC_ALL="C.UTF-8") == [("ok", "UTF-8 (LC_ALL=C.UTF-8)", "")]


# The configuration


@pytest.mark.fault("G06")
def test_a_configuration_that_others_can_read_fails_where_it_holds_a_secret(write_config: Write) -> None:
    file = write_config(profile_text("https://api.example.com/v1", more=f'api_key_env = "{canary.NAME}"'))
    file.chmod(0o644)
    assert [mark for mark, *_ in about("config")] == ["ok"]
    file = write_config(f"{file.read_text()}headers = {{ x-auth-token = 'hush' }}\n")
    assert [mark for mark, *_ in about("config")] == ["ok"]
    for mode in (0o644, 0o640):
        file.chmod(mode)
        assert "hush" not in palaver("doctor").stdout
        assert about("config", status=1)[1:] == [
            ("wrong", "holds a secret header and can be read by others", f"chmod 600 {file}")
        ]
    subprocess.run(about("config", status=1)[1][2].split(), check=True)
    assert len(about("config")) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = [", "line 1, column 6"),
        ('profile = "wrok"\n[profiles.work]\nbase_url = "https://a.b"', "did you mean 'work'?"),
        ('[profiles.work]\nbase_url = "https://a.b"\napi_key = "sk-1"', "keys are not kept in the file"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_wrong_and_the_rest_is_told(
    write_config: Write, text: str, says: str
) -> None:
    write_config(text)
    found = looked(status=1)
    (wrong,) = [line for line in found if line[0] == "wrong"]
    assert wrong[1] == "config"
    assert says in f"{wrong[2]} {wrong[3]}"
    assert [of for _, of, _, _ in found][-2:] == ["history", "crashes"]


def test_a_setting_that_is_not_known_is_worth_a_look(write_config: Write) -> None:
    write_config('modle = "x"\n')
    assert about("config")[1:] == [("note", "unknown key modle", "")]


def test_the_home_folder_is_not_named(tmp_path: Path) -> None:
    folders = at_home(tmp_path)
    assert f"{tmp_path}/home" not in str(looked(**folders))
    assert about("crashes", **folders) == [("ok", "no reports in ~/log", "")]


# Profiles


def profile(status: int = 0, name: str = "here", **environment: str) -> tuple[str, str, str]:
    (found,) = [line for line in about("profile", status, **environment) if line[1].startswith(name)]
    return found


def test_a_profile_is_told_with_its_keys_source_and_no_key(write_config: Write) -> None:
    write_config(profile_text("https://api.example.com/v1", more='api_key_env = "WORK_KEY"'))
    told = "here (the default): responses at https://api.example.com/v1; key: environment variable WORK_KEY"
    assert profile(WORK_KEY=canary.KEY) == ("ok", f"{told}, set; no proxy", "")
    missing = f"{told}; no proxy. The environment variable WORK_KEY is not set."
    assert profile(status=1) == ("wrong", missing, "export WORK_KEY=… with your key")
    mark, text, _ = profile(status=1, WORK_KEY=f"{canary.KEY}\n{canary.KEY}")
    assert mark == "wrong"
    assert "has a character that cannot be sent" in text
    assert profile(name="guide", WORK_KEY="x") == ("ok", "guide: answers from within, without key or network", "")


def test_another_profile_than_the_default_need_not_work(write_config: Write) -> None:
    write_config(f'profile = "guide"\n{profile_text("https://api.example.com/v1").partition(chr(10))[2]}')
    mark, text, _ = profile(**{canary.NAME: ""})
    assert mark == "note"
    assert f"The environment variable {canary.NAME} is empty." in text


def test_a_command_for_a_key_is_looked_for_and_not_run(write_config: Write, tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_config(
        profile_text("https://api.example.com/v1", more=f'api_key_command = ["sh", "-c", "touch {run}; echo k"]')
    )
    assert "key: command sh, not run here; no proxy" in profile()[1]
    assert not run.exists()
    write_config(profile_text("https://api.example.com/v1", more='api_key_command = ["no-such-command"]'))
    mark, text, remedy = profile(status=1)
    assert (mark, remedy) == ("wrong", "check api_key_command")
    assert text.endswith("The key command no-such-command was not found.")


def test_a_keyring_is_not_opened(write_config: Write) -> None:
    write_config(profile_text("https://api.example.com/v1", more='api_key_keyring = "palaver/work"'))
    mark, text, _ = profile(PYTHON_KEYRING_BACKEND="tests.keyrings.Locked")
    assert mark == "ok"
    assert "key: keyring entry palaver/work, not opened here" in text


SECRETIVE = "user-name:pass-word"


@pytest.mark.fault("N40", "K05")
@pytest.mark.parametrize(
    ("url", "environment", "says"),
    [
        ("https://a.example.com", {}, "no proxy"),
        ("https://a.example.com", {"HTTPS_PROXY": "proxy.example.com:3128"}, "proxy.example.com:3128 (HTTPS_PROXY)"),
        ("https://a.example.com", {"https_proxy": f"http://{SECRETIVE}@p:8080/"}, "proxy: p:8080 (https_proxy)"),
        ("https://a.example.com", {"ALL_PROXY": f"http://{SECRETIVE}@[::1]:1/x"}, "proxy: [::1]:1 (ALL_PROXY)"),
        ("https://a.example.com", {"HTTP_PROXY": "http://p:1"}, "no proxy"),
        ("https://a.example.com", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com"}, "no proxy"),
        ("http://127.0.0.1:9", {"HTTP_PROXY": "http://p:1"}, "no proxy (this machine)"),
        ("http://models.localhost:9", {"ALL_PROXY": "http://p:1"}, "no proxy (this machine)"),
    ],
)
def test_the_proxy_is_told_without_user_and_password(
    write_config: Write, url: str, environment: dict[str, str], says: str
) -> None:
    write_config(profile_text(url))
    mark, text, _ = profile(**environment)
    assert mark == "ok"
    assert text.endswith(says)
    assert not any(secret in text for secret in SECRETIVE.split(":"))


@pytest.mark.fault("N42", "K05")
@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        (f"foo://{SECRETIVE}@p", "it has to begin with one of http, https, socks5, socks5h"),
        ("http://user-name:pass/word@p:1", "it is not a valid address"),
        (f"http://{SECRETIVE}", "it is not a valid address"),
        (f"socks5://{SECRETIVE}@p:1", "for SOCKS, socksio has to be installed"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_without_user_and_password(
    write_config: Write, proxy: str, says: str, tmp_path: Path
) -> None:
    write_config(profile_text("https://a.example.com"))
    (tmp_path / "socksio.py").write_text("raise ImportError", encoding="utf-8")
    mark, text, _ = profile(status=1, HTTPS_PROXY=proxy, PYTHONPATH=f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    assert mark == "wrong"
    assert text.endswith(f"(HTTPS_PROXY). The proxy setting HTTPS_PROXY is not usable: {says}.")
    assert not any(secret in text for secret in ("user-name", "pass", "word"))


@pytest.mark.fault("G13")
def test_certificates_that_cannot_be_used_are_wrong(write_config: Write, tmp_path: Path) -> None:
    write_config(profile_text("https://a.example.com"))
    mark, text, _ = profile(status=1, SSL_CERT_FILE=str(tmp_path / "none.pem"))
    assert mark == "wrong"
    assert f"SSL_CERT_FILE: {tmp_path}/none.pem cannot be used: No such file or directory" in text


def test_nothing_is_sent(write_config: Write) -> None:
    def answer(call: Call) -> None:
        call.well("not asked for")

    with loopback(answer) as server, loopback(answer) as proxy:
        write_config(f'{profile_text(server.url)}[profiles.far]\nbase_url = "http://far.example.com"\n')
        looked(HTTP_PROXY=f"http://127.0.0.1:{proxy.port}")
        assert server.calls == proxy.calls == []


# The history


async def some(file: Path) -> None:
    work = a_session("work")
    async with opened(file) as store:
        await told(store, work, "first", "one")
        await told(store, work, "second", "two")


async def test_a_whole_history(history: Path) -> None:
    await some(history)
    first, second = about("history")
    assert first[0] == "ok"
    assert first[1].startswith(f"{history}: ")
    assert "B, " in first[1]
    assert " free" in first[1]
    assert second == ("ok", "nothing is wrong in it: 1 session, 2 turns", "")


@pytest.mark.fault("D36")
async def test_rows_whose_parent_is_missing_are_told(history: Path) -> None:
    await some(history)
    change(history, "DELETE FROM turns WHERE depth = 1")
    found = about("history", status=1)[1:]
    assert ("wrong", "items whose turn is missing: 2") in [line[:2] for line in found]
    assert [line[2] for line in found if line[0] == "wrong"][-1] == "see `palaver history repair`"


async def test_of_very_many_things_some_are_told(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await some(history)
    change(history, "DELETE FROM turns WHERE depth = 1")
    monkeypatch.setattr(doctor_history, "SHOWN", 1)
    wrong = [line for line in doctor_history.history() if line.mark is Mark.WRONG]
    assert [line.remedy for line in wrong] == ["see `palaver history repair`", "see `palaver history check`"]
    assert wrong[1].text.startswith("and ")


async def test_another_versions_tables(history: Path) -> None:
    await some(history)
    change(history, f"PRAGMA user_version = {schema.VERSION + 1}")
    assert "made by a newer version of Palaver" in about("history", status=1)[1][1]


def test_another_programs_database_and_a_damaged_one(history: Path) -> None:
    history.parent.mkdir(parents=True)
    with closing(sqlite3.connect(history)) as conn:
        conn.execute("CREATE TABLE theirs (a)")
    assert about("history", status=1)[1] == ("wrong", f"{history} is another program's database.", "move it away")
    history.write_bytes(b"no database" * 100)
    assert about("history", status=1)[1] == ("wrong", f"{history} is damaged.", "see `palaver history repair`")


@pytest.mark.fault("L10")
async def test_labels_that_look_the_same_are_worth_a_look(history: Path) -> None:
    async with opened(history) as store:
        for label in ("paypal", "раypal"):
            await store.create(a_session(label))
    assert about("history")[2:] == [
        ("note", "sessions whose labels look the same: “paypal”, “раypal” (U+0440 U+0430)", "")
    ]


AS_NOBODY = f"""
import os, shlex, sys
import sqlite_utils.migrations
from tui.cli import main
# What is needed is loaded by now or then, which the other user may not be able to do.
main(["doctor", "--json"])
print("---", flush=True)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
sys.exit(main(["doctor", "--json"]))
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that the other user, who must not write, can reach."""
    folder = Path(tempfile.mkdtemp(prefix="palaver-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.fault("D03", "D04")
def test_a_history_that_cannot_be_written_is_wrong(shared: Path) -> None:
    file = shared / "data" / "history.db"
    asyncio.run(some(file))
    if os.geteuid() == 0:
        for path in (file.parent, *file.parent.iterdir()):
            os.chown(path, NOBODY, NOBODY)
    env = plain_environment(PALAVER_DATA_DIR=str(file.parent))
    for path, mode in ((file, 0o400), (file.parent, 0o500)):
        before = path.stat().st_mode
        path.chmod(mode)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        path.chmod(before)
        assert done.returncode == 1, done.stderr
        lines = [line for line in json.loads(done.stdout.partition("---")[2])["lines"] if line["about"] == "history"]
        assert [(line["text"], line["remedy"]) for line in lines if line["mark"] == "wrong"] == [
            (f"{path} cannot be written to: nothing is saved", f"if it is yours: chmod u+rwX {path}")
        ]
        assert lines[-1]["text"] == "nothing is wrong in it: 1 session, 2 turns"


@pytest.mark.fault("D01")
@pytest.mark.parametrize(
    ("room", "is_read_only", "found"),
    [
        (10**12, False, []),
        (10**7, False, [("note", "the disk is nearly full")]),
        (10**5, False, [("wrong", "the disk is full: nothing is saved")]),
        (10**12, True, [("wrong", "its file system is mounted read-only: nothing is saved")]),
    ],
)
def test_what_the_disk_says(tmp_path: Path, room: int, is_read_only: bool, found: list[tuple[str, str]]) -> None:
    lines = doctor_history.obstacles(tmp_path, tmp_path, room, is_read_only=is_read_only)
    assert [(line.mark, line.text) for line in lines] == found


# Crashes, and mistakes of its own


def test_reports_of_crashes_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "palaver" / "log"
    first = crash.Reports().keep(ValueError("x"))
    assert first is not None
    ((mark, text, remedy),) = about("crashes")
    assert mark == "note"
    assert text.startswith(f"a report, {first.name} of 20")
    assert text.endswith(f", in {folder}")
    assert "bug report" in remedy
    newest = folder / "crash-20990101-000000-1.txt"
    newest.touch()
    os.utime(newest, (4e9, 4e9))
    assert about("crashes")[0][1] == f"2 reports, the newest {newest.name} of 2096-10-02 07:06, in {folder}"


def test_a_part_that_fails_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    def fail() -> None:
        raise ValueError("with words that quote a key")

    monkeypatch.setattr(doctor_machine, "library", fail)
    monkeypatch.setattr(crash, "reports", crash.Reports())
    assert cli.main(["doctor", "--json"]) == doctor.WRONG
    out = capfdbinary.readouterr().out.decode()
    found = json.loads(out)["lines"]
    (wrong,) = [line for line in found if line["mark"] == "wrong"]
    (report,) = (tmp_path / "palaver" / "log").glob("crash-*.txt")
    assert wrong["about"] == "SQLite"
    assert wrong["text"] == f"this could not be looked at: an internal error (ValueError); a report is in {report}"
    assert "quote a key" not in out
    assert [line["about"] for line in found][-1] == "crashes"


@pytest.mark.fault("D30")
def test_without_a_home_folder_the_servers_are_still_told(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    def none(*args: object, **options: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    for kind in ("config", "data", "log"):
        monkeypatch.delenv(f"PALAVER_{kind.upper()}_DIR")
        monkeypatch.setattr(platformdirs, f"user_{kind}_path", none)
    assert cli.main(["doctor", "--json"]) == doctor.WRONG
    lines = json.loads(capfdbinary.readouterr().out)["lines"]
    said = "There is no home folder"
    assert [(one["mark"], one["text"], one["remedy"]) for one in lines if said in one["text"]] == [
        ("note", f"{said}.", "set HOME, or PALAVER_CONFIG_DIR"),
        ("wrong", f"{said}: nothing is saved", "set HOME, or PALAVER_DATA_DIR"),
        (
            "note",
            f"{said}: there is no log, and the report of a crash is in a temporary folder",
            "set HOME, or PALAVER_LOG_DIR",
        ),
    ]
    assert [one["mark"] for one in lines if one["about"] == "profile"] == ["ok"]


@pytest.mark.fault("D31")
def test_root_is_told_whose_folder_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    if os.getuid() == 0:
        os.chown(tmp_path, NOBODY, NOBODY)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert cli.main(["doctor", "--json"]) == doctor.WRONG
    lines = json.loads(capfdbinary.readouterr().out)["lines"]
    assert [(one["mark"], one["text"], one["remedy"]) for one in lines if one["mark"] == "wrong"] == [
        ("wrong", f"{tmp_path} belongs to another user: nothing is saved", "run Palaver as that user"),
    ]
    assert list(tmp_path.iterdir()) == []


def test_names_that_others_chose_are_harmless(write_config: Write, tmp_path: Path) -> None:
    name = '"a\\u001b]0;b\\u0007\\u202ec"'
    write_config(f'[profiles.{name}]\nbase_url = "http://a"\nallow_plain_http = true\n')
    done = palaver("doctor", env=plain_environment(TERM="a\x1b]0;b", PALAVER_DATA_DIR=str(tmp_path / "d\u202e")))
    assert "a␛]0;b␇<U+202E>c" in done.stdout
    assert "TERM=a␛]0;b" in done.stdout
    assert not read(done.stdout.encode(), sequences=False).wrong
