"""`@` in the input: paths are completed, files attached, sent after the prompt, and shown as a chip."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual._xterm_parser import XTermParser

from tests.app.driving import Window, window
from tests.app.driving import input_seen as seen
from tests.app.driving import prompt_sent as sent
from tests.chatting import answer_well, talk
from tests.test_pictures import DOT, PICTURE, URL
from tui.app.path_offers import MOST, Folders, named_file, path_word


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


# What is typed at once, written elsewhere, pasted

LARGE = "long.txt has 1,953 KB; a file may have up to 1,024 KB."


@pytest.fixture
def files(folder: Path) -> Path:
    (folder / "日本.txt").write_text("klein\n")
    (folder / "long.txt").write_text("a" * 2_000_000)
    return folder


def at_once(w: Window, text: str) -> None:
    """Keys that arrive in one read."""
    for event in XTermParser().feed(text):
        w.app.post_message(event)


async def pasted(w: Window, text: str) -> None:
    w.app.post_message(events.Paste(text))
    await w.pilot.pause()


async def attached(w: Window, prompt: str) -> bool:
    return f"{prompt}\n\n@日本.txt (5 bytes):\n\n```\nklein\n```" == await sent(w)


@pytest.mark.parametrize(
    "text", ["see @日本.txt now", "see @日本.txt", "(see “@日本.txt”, @日本.txt.)", "@日本.txt:\n1"]
)
async def test_what_is_typed_at_once_attaches(history: Path, files: Path, text: str) -> None:
    text = text.replace("“", '"').replace("”", '"')
    async with window(history) as w:
        at_once(w, text)
        await w.until(lambda: w.screen.prompt.unfolded == text)
        w.screen.prompt.action_submit()
        assert await attached(w, text)
        assert len(w.server.seen) == 1


async def test_a_blank_typed_at_once_makes_it_a_chip(history: Path, files: Path) -> None:
    async with window(history) as w:
        at_once(w, "see @日本.txt ")
        await w.until(lambda: seen(w) == "see [@日本.txt (5 bytes)]")
        at_once(w, "and @long.txt ")
        await w.until(lambda: LARGE in w.status)
        assert w.server.seen == []
        assert w.screen.prompt.unfolded == "see @日本.txt and @long.txt "


async def test_what_cannot_be_attached_is_refused_before_it_is_sent(history: Path, files: Path) -> None:
    async with window(history) as w:
        at_once(w, "see @long.txt\r")
        await w.until(lambda: LARGE in w.status)
        assert w.screen.prompt.text == "see @long.txt"
        assert w.server.seen == []
        await w.press("escape", "enter")
        assert await sent(w) == "see @long.txt"


@pytest.mark.parametrize("text", ["ask @alice and @src, @ me@main.py @missing/x", "/demo @main.py"])
async def test_what_names_no_file_is_text(history: Path, files: Path, text: str) -> None:
    async with window(history) as w:
        at_once(w, text)
        await w.until(lambda: w.screen.prompt.text == text)
        w.screen.prompt.action_submit()
        assert await sent(w) == text


async def test_what_is_pasted_is_not_attached_but_told(history: Path, files: Path) -> None:
    text = "look @日本.txt, @long.txt and @nothing now"
    async with window(history) as w:
        await pasted(w, text)
        await w.until(lambda: "@日本.txt and 1 more are not attached: type them, or press Tab behind them" in w.status)
        w.screen.say("")
        await w.type(" ok")
        await w.press("enter")
        assert await sent(w) == f"{text} ok"
        assert "not attached" not in w.status


async def test_a_pasted_name_is_attached_with_tab_only(history: Path, files: Path) -> None:
    async with window(history) as w:
        for key in ("enter", "space"):
            await pasted(w, "look @日本.txt")
            await w.until(lambda: "@日本.txt is not attached: type it, or press Tab behind it" in w.status)
            await shows(w, "日本.txt")
            await w.press(key)
            if key == "space":
                await w.press("enter")
            exchange = await w.server.request()
            assert exchange.json["input"][-1]["content"] == "look @日本.txt" + " " * (key == "space")
            answer_well(exchange, "Fine.", f"resp_{key}")
            await w.until(lambda: not w.talk.chat.running())
        await pasted(w, "look @日本.txt")
        await shows(w, "日本.txt")
        await w.press("tab")
        await w.until(lambda: seen(w) == "look [@日本.txt (5 bytes)]")
        await w.press("enter")
        assert await attached(w, "look @日本.txt")


async def test_a_name_in_a_long_paste_is_told(history: Path, files: Path) -> None:
    async with window(history) as w:
        await pasted(w, "line\n" * 30 + "see @日本.txt")
        await w.until(lambda: "@日本.txt is not attached: type it" in w.status)
        assert "Tab" not in w.status.partition("attached")[2]


async def test_a_name_pasted_behind_an_at_sign_that_was_typed_is_meant(history: Path, files: Path) -> None:
    async with window(history) as w:
        at_once(w, "see @")
        await w.until(lambda: w.screen.prompt.text == "see @")
        await pasted(w, f"{files}/日本.txt ")
        await w.until(lambda: w.screen.prompt.text == f"see \ufdd0@{files}/日本.txt (5 bytes)\ufdd1 ")
        assert "not attached" not in w.status


async def test_what_is_typed_behind_a_pasted_name_does_not_attach_it(history: Path, files: Path) -> None:
    async with window(history) as w:
        await pasted(w, "look @日本.txt")
        at_once(w, ", please")
        await w.until(lambda: w.screen.prompt.text == "look @日本.txt, please")
        w.screen.prompt.action_submit()
        assert await sent(w) == "look @日本.txt, please"


async def test_what_is_recalled_is_sent_as_it_was(history: Path, files: Path) -> None:
    async with window(history) as w:
        await pasted(w, "look @日本.txt now")
        await w.press("enter")
        answer_well(await w.server.request(), "Fine.", "resp_1")
        await w.until(lambda: not w.talk.chat.running())
        at_once(w, "@日本.txt too ")
        await w.until(lambda: "5 bytes" in seen(w))
        w.screen.prompt.replace_text("")
        await w.press("up", "enter")
        assert await sent(w) == "look @日本.txt now"


async def test_a_draft_knows_what_was_meant_in_it(history: Path, files: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "hi")
        first = w.label
        at_once(w, "see @日本.txt")
        await w.until(lambda: w.screen.prompt.text == "see @日本.txt")
        await w.press("ctrl+n")
        await w.until(lambda: w.label != first)
        await pasted(w, "see @日本.txt now")
        await w.press("alt+down")
        await w.until(lambda: w.label == first)
        w.screen.prompt.action_submit()
        assert await attached(w, "see @日本.txt")


async def test_taking_back_what_was_typed_keeps_what_is_meant(history: Path, files: Path) -> None:
    async with window(history) as w:
        at_once(w, "see @日本.txt")
        await w.until(lambda: w.screen.prompt.text == "see @日本.txt")
        w.screen.prompt.history.checkpoint()
        at_once(w, "x")
        await w.until(lambda: w.screen.prompt.text == "see @日本.txtx")
        await w.press("ctrl+z")
        assert w.screen.prompt.text == "see @日本.txt"
        w.screen.prompt.action_submit()
        assert await attached(w, "see @日本.txt")


async def test_what_is_written_in_the_editor_attaches(
    history: Path, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "editor"
    script.write_text('#!/bin/sh\nprintf "see @日本.txt, and this: " | cat - "$1" > made && mv made "$1"\n')
    script.chmod(0o700)
    monkeypatch.setenv("VISUAL", str(script))
    async with window(history) as w:
        await pasted(w, "look @main.py now")
        await w.until(lambda: "@main.py is not attached" in w.status)
        await w.press("ctrl+g")
        await w.until(lambda: seen(w) == "see [@日本.txt (5 bytes)], and this: look @main.py now")
        await w.press("enter")
        assert await attached(w, "see @日本.txt, and this: look @main.py now")


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("@main.py", ("@main.py", "main.py")),
        ("@main.py).", ("@main.py", "main.py")),
        ("@src/My\\ Docs/plan\\ b.md", ("@src/My\\ Docs/plan\\ b.md", "src/My Docs/plan b.md")),
        ("@~/main.c", ("@~/main.c", "~/main.c")),
        ("@src", ("", "")),
        ("@src/", ("", "")),
        ("@", ("", "")),
        ("@.", ("", "")),
        ("@missing", ("", "")),
        ("@\x00", ("", "")),
        ("@" + "a" * 300, ("", "")),
    ],
)
def test_which_part_of_a_word_names_a_file(folder: Path, word: str, named: tuple[str, str]) -> None:
    assert named_file(word) == named
