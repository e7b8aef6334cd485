"""`@` in the input: paths are completed, files attached, sent after the prompt, and shown as a chip."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.app.driving import Window, window
from tests.app.driving import input_seen as seen
from tests.app.driving import prompt_sent as sent
from tests.chatting import answer_well, talk
from tests.test_pictures import DOT, PICTURE, URL
from tui.app.path_offers import MOST, Folders, path_word


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with some files."""
    made = tmp_path / "work"
    (made / "src" / "My Docs").mkdir(parents=True)
    for name, text in {
        "main.py": "print(1)\n", "src/main.c": "int x;\n", "src/My Docs/plan b.md": "go\n", "README.md": "read ```me```\n",
        ".env": "KEY=1\n",
    }.items():  # fmt: skip
        (made / name).write_text(text)
    (made / "blob.bin").write_bytes(b"\x00\x01")
    monkeypatch.chdir(made)
    monkeypatch.setenv("HOME", str(made / "src"))
    return made


def listed(w: Window) -> list[str]:
    return [line.strip("› ").strip() for line in w.screen.offer_list.text.splitlines()]


async def shows(w: Window, *names: str) -> None:
    await w.until(lambda: listed(w) == list(names))


def names(path: str) -> list[str]:
    return [offer.text for offer in Folders().offers(path, lambda: True)]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("@", (0, "")),
        ("see @src/ma", (4, "src/ma")),
        ("(@~/x", (1, "~/x")),
        ("@My\\ Docs/pl", (0, "My Docs/pl")),
        ("me@example.org", None),
        ("@a b", None),
        ("a @", (2, "")),
    ],
)
def test_where_a_path_is_being_typed(line: str, word: tuple[int, str] | None) -> None:
    assert path_word(line) == word


def test_what_paths_are_offered(folder: Path) -> None:
    assert names("") == ["@blob.bin", "@main.py", "@README.md", "@src/"]
    assert names("re") == ["@README.md"]
    assert names("RE") == ["@README.md"]
    assert names("Re") == []
    assert names(".") == ["@.env"]
    assert names("src/") == ["@src/main.c", "@src/My\\ Docs/"]
    assert names("src/My Docs/") == ["@src/My\\ Docs/plan\\ b.md"]
    assert names("~") == ["@~/"]
    assert names("~/ma") == ["@~/main.c"]
    assert names("missing/") == names("main.py/") == names("\x00/") == []
    assert names(f"{folder}/mai") == [f"@{folder}/main.py"]
    os.mkfifo(folder / "pipe")
    (folder / "evil\x1b[2J").write_text("x")
    assert [offer.shown for offer in Folders().offers("evil", lambda: True)] == ["evil␛[2J"]


def test_a_folder_of_fifty_thousand_is_listed_once_and_no_longer_than_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Entry:
        def __init__(self, number: int) -> None:
            self.name = f"file{number:05}"

        def is_dir(self) -> bool:
            return False

    listed: list[str] = []

    def scandir(folder: str) -> Any:
        listed.append(folder)
        return nullcontext(map(Entry, range(50_000)))

    folders = Folders()
    here = str(tmp_path)
    with monkeypatch.context() as disk:
        disk.setattr("os.scandir", scandir)
        asked: list[bool] = []
        assert folders.offers(f"{here}/file4", lambda: bool(asked.append(True)) or len(asked) < 3) == []
        assert len(asked) == 3
        for _ in range(2):
            found = folders.offers(f"{here}/file4", lambda: True)
            assert [offer.shown for offer in found] == [f"file4{number:04}" for number in range(MOST)]
        assert listed == [f"{here}/"] * 2, "the first time it was given up"
    (tmp_path / "new").write_text("x")
    assert [offer.shown for offer in folders.offers(f"{here}/", lambda: True)] == ["new"]


async def test_a_file_is_completed_attached_sent_and_shown_as_a_chip(history: Path, folder: Path) -> None:
    async with window(history) as w:
        await w.type("explain @s")
        await shows(w, "src/")
        await w.press("tab")
        await shows(w, "main.c", "My Docs/")
        assert w.screen.prompt.text == "explain @src/"
        await w.press("enter")
        await w.until(lambda: seen(w) == "explain [@src/main.c (6 bytes)]")
        assert listed(w) == []
        await w.type(" and @READ")
        await shows(w, "README.md")
        await w.press("enter")
        await w.until(lambda: "README.md (" in seen(w))
        await w.press("enter")
        whole = (
            "explain @src/main.c and @README.md\n\n@src/main.c (6 bytes):\n\n```\nint x;\n```\n\n"
            "@README.md (13 bytes):\n\n````\nread ```me```\n````"
        )
        assert await sent(w) == whole
        await w.until(lambda: "▸ @src/main.c (6 bytes)" in w.transcript)
        assert "explain @src/main.c and @README.md" in w.transcript
        assert "int x;" not in w.transcript
        await w.press("escape")
        await w.until(lambda: seen(w) == "explain [@src/main.c (6 bytes)] and [@README.md (13 bytes)]")
        session = w.screen.session
        assert session is not None
    async with talk(history) as t:
        (turn,) = await t.chat.turns(session.id)
        assert turn.prompt == whole
    async with window(history) as w:
        await w.press("ctrl+c")
        await w.press("up")
        assert w.screen.prompt.whole == whole
        assert seen(w) == "explain [@src/main.c (6 bytes)] and [@README.md (13 bytes)]"
        await w.press("end", "backspace", "enter")
        assert (await sent(w)).endswith("and \n\n@src/main.c (6 bytes):\n\n```\nint x;\n```")


async def test_a_file_in_the_home_folder_is_attached(history: Path, folder: Path) -> None:
    async with window(history) as w:
        await w.type("@~/ma")
        await shows(w, "main.c")
        await w.press("tab")
        await w.until(lambda: seen(w) == "[@~/main.c (6 bytes)]")


async def test_a_chip_unfolds_and_a_changed_prompt_keeps_it(history: Path, folder: Path) -> None:
    async with window(history) as w:
        await w.type("@main.py")
        await shows(w, "main.py")
        await w.press("space")
        await w.press("enter")
        exchange = await w.server.request()
        assert exchange.json["input"][-1]["content"] == "@main.py \n\n@main.py (8 bytes):\n\n```\nprint(1)\n```"
        answer_well(exchange, "One.", "resp_1")
        await w.until(lambda: "done in" in w.status and "One." in w.transcript)
        await w.press("tab")
        await w.until(lambda: w.screen.transcript.has_focus)
        await w.press("up", "enter")
        await w.until(lambda: "print(1)" in w.transcript)
        await w.press("e")
        assert seen(w) == "[@main.py (8 bytes)]"


async def test_a_picture_is_a_chip_is_shown_to_the_model_and_has_no_more_to_unfold(history: Path, folder: Path) -> None:
    (folder / "dot.png").write_bytes(DOT)
    async with window(history) as w:
        await w.type("@dot.png")
        await shows(w, "dot.png")
        await w.press("tab")
        await w.until(lambda: seen(w) == "[@dot.png (70 bytes, picture)]")
        (folder / "dot.png").unlink()
    async with window(history) as w:
        assert seen(w) == "[@dot.png (70 bytes, picture)]"
        await w.press("enter")
        exchange = await w.server.request()
        named = f"@dot.png\n\n@dot.png (70 bytes, picture {PICTURE.key})"
        shown = [{"type": "input_text", "text": named}, {"type": "input_image", "image_url": URL}]
        assert exchange.json["input"][-1]["content"] == shown
        answer_well(exchange, "A dot.", "resp_1")
        await w.until(lambda: "done in" in w.status and "A dot." in w.transcript)
        assert "▪ @dot.png (70 bytes, picture)" in w.transcript
        assert PICTURE.key not in w.transcript
        await w.press("tab")
        await w.until(lambda: w.screen.transcript.has_focus)
        before = w.transcript
        await w.press("up", "enter")
        assert w.transcript == before
        await w.press("e")
        assert seen(w) == "[@dot.png (70 bytes, picture)]"


async def test_enter_right_after_a_file_was_chosen_sends_it_along(history: Path, folder: Path) -> None:
    async with window(history) as w:
        await w.type("@main.py")
        await shows(w, "main.py")
        w.screen.prompt.action_take_typed_out()
        w.screen.prompt.action_submit()
        assert await sent(w) == "@main.py \n\n@main.py (8 bytes):\n\n```\nprint(1)\n```"


async def test_a_draft_keeps_what_is_attached_as_it_was_read(history: Path, folder: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "hi")
        await w.type("@main.py")
        await shows(w, "main.py")
        await w.press("tab")
        await w.until(lambda: seen(w) == "[@main.py (8 bytes)]")
        (folder / "main.py").unlink()
    async with window(history) as w:
        assert seen(w) == "[@main.py (8 bytes)]"
        await w.press("enter")
        assert "print(1)" in await sent(w)


async def test_what_cannot_be_attached_stays_text_and_is_not_sent_by_itself(history: Path, folder: Path) -> None:
    async with window(history) as w:
        await w.type("@blob.bin")
        await shows(w, "blob.bin")
        w.screen.prompt.action_take_typed_out()
        w.screen.prompt.action_submit()
        await w.until(lambda: "blob.bin is not text." in w.status)
        assert w.screen.prompt.text == "@blob.bin "
        assert w.server.seen == []
        await w.press("enter")
        assert await sent(w) == "@blob.bin "


async def test_escape_closes_the_list_and_an_address_opens_none(history: Path, folder: Path) -> None:
    async with window(history) as w:
        await w.type("@ma")
        await shows(w, "main.py")
        await w.press("escape")
        await w.type("in")
        await w.until(lambda: not w.screen.workers)
        assert listed(w) == []
        await w.type(" me@ma")
        await w.until(lambda: not w.screen.workers)
        assert listed(w) == []
        await w.press("enter")
        assert await sent(w) == "@main me@ma"
