"""A name that is refused: the dialog stays, with the refusal in it and what was typed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.app.driving import Window, window
from tests.exchange import files
from tui.app.widgets.dialogs import TextDialog
from tui.app.widgets.line import Line
from tui.exchange import Form

TAKEN = "There is a session “other” already — use another label"


async def asked(w: Window) -> TextDialog:
    await w.until(lambda: isinstance(w.app.screen, TextDialog))
    assert isinstance(w.app.screen, TextDialog)
    return w.app.screen


async def refused(w: Window, name: str, why: str) -> None:
    """Give a name in place of the one proposed: the dialog stays with it and tells why, and takes the keys that follow."""
    dialog = await asked(w)
    line = dialog.query_one(Line)
    line.value = ""
    await w.type(name)
    await w.press("enter")
    await w.until(lambda: why in " ".join(w.picture.replace("│", " ").split()))
    assert w.app.screen is dialog
    assert line.text == name
    await w.type("!")
    assert line.text == f"{name}!"
    assert w.screen.prompt.text == ""
    await w.until(lambda: why not in " ".join(w.picture.replace("│", " ").split()))


async def taken(w: Window, name: str) -> None:
    line = (await asked(w)).query_one(Line)
    line.value = ""
    await w.type(name)
    await w.press("enter")
    await w.until(lambda: w.app.screen is w.screen)


async def test_a_label_that_is_taken(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "hi")
        await w.talk.chat.open("other")
        await w.press("f2")
        await refused(w, "other", TAKEN)
        await taken(w, "mine")
        await w.until(lambda: w.label == "mine")
        assert w.status.startswith(" mine") or "Renamed to mine" in w.status

        await w.send("/fork")
        await refused(w, "other", TAKEN)
        await taken(w, "branch")
        await w.until(lambda: w.label == "branch")

        await w.send("/adopt other")
        assert (await asked(w)).query_one(Line).text == "other-2"
        await refused(w, "other", TAKEN)
        await w.press("escape")
        await w.until(lambda: w.app.screen is w.screen)
        assert {one.label for one in await w.talk.chat.sessions()} == {"mine", "other", "branch"}


async def test_what_is_typed_right_after_a_label_goes_where_it_is_meant_to(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "hi")
        await w.press("f2")
        await asked(w)
        await w.press("m", "i", "n", "e", "enter", "a", "n", "d")
        await w.until(lambda: w.label == "mine")
        assert w.screen.prompt.text == "and"


async def test_a_dialog_can_be_left_while_its_answer_is_waited_for(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "hi")
        before = w.label
        await w.send("/fork")
        await asked(w)
        with closing(sqlite3.connect(history, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            await w.press("enter", "escape")
            await w.until(lambda: w.app.screen is w.screen)
            assert other.in_transaction
        await w.until(lambda: w.label == before)
        assert [session.label for session in await w.talk.chat.sessions()] == [before]


@pytest.mark.parametrize("form", list(Form))
async def test_a_file_that_is_there(history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Form) -> None:
    monkeypatch.chdir(tmp_path)
    async with window(history) as w:
        await w.exchange("hello", "hi")

        def export() -> Path:
            assert w.screen.session is not None
            return tmp_path / w.talk.chat.exchange.file_name(w.screen.session, form)

        first = export()
        first.write_text("mine")
        w.screen._files.export(form)
        line = (await asked(w)).query_one(Line)
        assert line.text == export().name != first.name
        await refused(w, first.name, f"{first.name} is there already — use another name")
        await refused(w, "no/file", "no/file cannot be written: No such file or directory.")
        await taken(w, "new")
        await w.until(lambda: "Wrote 1 turn to new" in w.status)
        assert first.read_text() == "mine"
        assert not [name for name in os.listdir(tmp_path) if name.startswith(".palaver-")]


IMPORTS: tuple[tuple[str, Callable[[Path], object], str], ...] = (
    ("nothing", lambda _: None, "nothing cannot be read: No such file or directory."),
    ("folder", Path.mkdir, "folder is a folder."),
    ("notes.txt", lambda file: file.write_text("hello"), "notes.txt is of no kind that can be imported"),
)


async def test_a_file_that_cannot_be_imported(history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.jsonl").write_text(files.bundle(files.turn("their question", "their answer")))
    async with window(history) as w:
        await w.send("/import")
        for name, make, why in IMPORTS:
            make(tmp_path / name)
            await refused(w, name, why)
        await taken(w, "b.jsonl")
        await w.until(lambda: "Imported 1 thread" in w.status)
