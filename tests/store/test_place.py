"""Where a history lies, and labels that look the same: told in words, and what other computers write is left alone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.loopback import loopback, palaver, profile_text
from tests.store.histories import a_session, opened, rows, told
from tui.cli import main
from tui.store import place
from tui.store.alike import look, told_apart
from tui.store.upkeep import check

Write = Callable[[str], Path]

ROOT = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has the system tell that a folder is on another file system."""

    def mount(folder: Path, kind: str, options: str = "rw", source: str = "rw") -> None:
        point = str(folder).replace(" ", "\\040")
        lines = [ROOT, f"40 22 0:50 / {point} {options} shared:9 - {kind} server:/home {source}", "broken", "1 2 - x"]
        file = tmp_path / "mountinfo"
        file.write_text("\n".join(lines))
        monkeypatch.setattr(place, "MOUNTS", file)

    return mount


def notes(file: Path) -> list[str]:
    return [note for note in check(file).remarks if "look the same" not in note]


@contextmanager
def another_computer(history: Path, since: float = 1e9) -> Iterator[None]:
    """Another computer's sign of life since then, as it is seen over the network."""
    folder = history.with_name(f"{history.name}.live")
    folder.mkdir(mode=0o700, exist_ok=True)
    sign = folder / "77-0123456789abcdef"
    sign.write_text("farhost")
    with sign.open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        os.utime(sign, (since, since))
        yield
    sign.unlink(missing_ok=True)


@pytest.mark.fault("D25")
@pytest.mark.parametrize("kind", ["nfs4", "cifs", "afs", "9p", "fuse.sshfs"])
async def test_a_network_file_system_is_told_of_once_and_looked_up_at_any_time(
    history: Path, mounts: Callable[..., None], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mounts(history.parent, kind)
    words = f"it is on a network file system ({kind}), where one computer at a time can write to it"
    async with opened(history) as store:
        assert store.notices == [f"Of the history: {words}."]
        assert store.health.message == ""
        await told(store, a_session())
    async with opened(history) as store:
        assert store.notices == []
    assert rows(history, "PRAGMA journal_mode") != [("wal",)]
    assert notes(history) == [words]
    assert main(["history", "path"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (f"{history}\n", f"note: {words}\n")


@pytest.mark.fault("D25")
def test_the_nearest_mount_counts_and_what_locks_do_not_reach_is_said(
    tmp_path: Path, mounts: Callable[..., None]
) -> None:
    home = tmp_path / "a home"
    home.mkdir()
    mounts(home, "nfs4", source="rw,vers=4.2,local_lock=all")
    assert place.is_on_network(home / "history.db")
    assert not place.is_on_network(tmp_path / "history.db")
    assert "never open it on two" in place.remarks(home / "history.db")[0]
    (tmp_path / "link").symlink_to(home)
    assert place.is_on_network(tmp_path / "link" / "history.db")
    mounts(home, "ext4")
    assert place.remarks(home / "history.db") == ()


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="the system does not tell")
def test_the_systems_own_words_are_understood(tmp_path: Path) -> None:
    kind, options = place._mounted(tmp_path / "history.db")
    assert kind
    assert options & {"rw", "ro"}
    assert place._mounted(Path("/proc/self/status"))[0] == "proc"


@pytest.mark.fault("D26")
async def test_while_another_computer_has_it_open_nothing_is_written(
    history: Path, mounts: Callable[..., None]
) -> None:
    mounts(history.parent, "nfs4")
    async with opened(history) as store:
        session = a_session()
        await told(store, session)
    with another_computer(history):
        async with opened(history) as store:
            assert store.health.message == "History is not saved: it is open on farhost."
            await told(store, session, "second", "kept in memory", depth=1)
            assert [turn.prompt for turn in await store.turns(session.id)] == ["hello", "second"]
            assert rows(history, "SELECT count(*) FROM turns") == [(1,)]
            assert [file.name for file in history.with_name("history.db.live").iterdir()] == ["77-0123456789abcdef"]
            # The other one closes it.
            (history.with_name("history.db.live") / "77-0123456789abcdef").unlink()
            await store.update(session.id, pinned=True)
            assert store.health.message == ""
            assert rows(history, "SELECT count(*) FROM turns") == [(2,)]


@pytest.mark.fault("D26")
async def test_who_was_there_first_goes_on_and_no_one_elses_sign_is_swept_away(
    history: Path, mounts: Callable[..., None]
) -> None:
    mounts(history.parent, "nfs4")
    folder = history.with_name("history.db.live")
    async with opened(history) as store:
        session = a_session()
        await told(store, session)
        with another_computer(history, since=2e9):
            await told(store, session, "second", depth=1)
            assert store.health.message == ""
        (folder / "88-unlocked").write_text("farhost")
        (folder / "99-dead").write_text(os.uname().nodename)
    assert [file.name for file in folder.iterdir()] == ["88-unlocked"]


async def test_on_a_disk_of_this_machine_others_are_only_other_windows(
    history: Path, mounts: Callable[..., None]
) -> None:
    mounts(history.parent, "ext4")
    async with opened(history) as store:
        await told(store, a_session())
    with another_computer(history):
        async with opened(history) as store:
            assert store.health.message == ""


@pytest.mark.fault("D27")
@pytest.mark.parametrize(
    "name",
    [
        "history (Ada's conflicted copy 2026-11-27).db",
        "history.sync-conflict-20261127-101010-ABCDEFG.db",
        "history (conflicted copy 2026-11-27 101010).db",
        "history (1).db",
        "history 2.db",
        "history-ADAS-LAPTOP.db",
    ],
)
async def test_copies_made_by_what_keeps_a_folder_in_step_are_noticed(history: Path, name: str) -> None:
    async with opened(history) as store:
        await told(store, a_session())
        assert store.notices == []
    (history.parent / name).write_bytes(b"another history")
    for other in ("history.db.backup-1", "history-old.db", "notes (1).db", "history.db-journal.x"):
        (history.parent / other).write_bytes(b"")
    words = f"beside it are copies made where two computers had written, with answers it may not have: {name}"
    async with opened(history) as store:
        assert store.notices == [f"Of the history: {words}."]
    assert notes(history) == [words]
    assert (history.parent / name).read_bytes() == b"another history"


@pytest.mark.fault("D27")
@pytest.mark.parametrize(
    ("folder", "mark", "keeper"),
    [
        ("Dropbox", "", "Dropbox"),
        ("OneDrive - Work", "", "OneDrive"),
        ("Mobile Documents", "", "iCloud"),
        ("Google Drive", "", "Google Drive"),
        ("shared", ".stfolder", "Syncthing"),
        ("dropboxes", "", ""),
    ],
)
def test_a_folder_that_is_kept_in_step_is_known(tmp_path: Path, folder: str, mark: str, keeper: str) -> None:
    place_of_it = tmp_path / folder / "palaver"
    place_of_it.mkdir(parents=True)
    if mark:
        (tmp_path / folder / mark).mkdir()
    found = place.remarks(place_of_it / "history.db")
    assert [note.partition(" copies its folder")[0] for note in found] == ([keeper] if keeper else [])


ALIKE = ["paypal", "раypal", "work-1", "work\u20111", "a b", "a\u00a0b", "fin", "ﬁn", "ok", "o\u200dk", "cop", "сор"]


@pytest.mark.fault("L10")
@pytest.mark.parametrize(("one", "other"), list(zip(ALIKE[::2], ALIKE[1::2], strict=True)))
async def test_labels_that_look_the_same_are_two_sessions_and_told_apart(history: Path, one: str, other: str) -> None:
    assert look(one) == look(other)
    async with opened(history) as store:
        for label in (one, other, "another"):
            await store.create(a_session(label))
        assert len(await store.sessions()) == 3
    (note,) = [note for note in check(history).remarks if "look the same" in note]
    assert f"“{one}”" in note
    assert f"“{other}” (U+" in note


def test_of_labels_that_look_the_same_only_the_odd_ones_are_spelt_out() -> None:
    labels = ["cop", "work\u20111", "other", "work-1", "\u0441op", "work\u20131"]
    assert told_apart(labels) == [
        "“cop”, “\u0441op” (U+0441)",
        "“work-1”, “work\u20111” (U+2011), “work\u20131” (U+2013)",
    ]


@pytest.mark.fault("L10")
def test_labels_that_can_be_told_apart_are_not_complained_of() -> None:
    assert told_apart(["work", "Work", "wörk", "chat-1", "chat-l", "работа", "work 1", "日本", "日木"]) == []


@pytest.mark.fault("L10")
def test_a_new_label_that_looks_like_anothers_is_pointed_out_when_it_is_first_used(write_config: Write) -> None:
    with loopback(lambda call: call.well("fine")) as server:
        write_config(profile_text(server.url))
        assert palaver("ask", "-s", "paypal", "hello").stderr == ""
        done = palaver("ask", "-s", "раypal", "hello")
        assert (done.returncode, done.stdout) == (0, "fine\n")
        assert done.stderr == (
            "palaver: A new session: its label looks like another's. “paypal”, “раypal” (U+0440 U+0430)\n"
        )
        assert palaver("ask", "-s", "раypal", "again").stderr == ""
