"""Text that others wrote, in every widget that shows any: it is text, and nothing in it acts or is obeyed."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from tests.app.driving import Window, window
from tests.fake_server import PROFILE
from tests.payloads import payloads
from tests.sequences import read
from tui.app.run import Wish
from tui.app.widgets.line import Line
from tui.model import Session, new_id
from tui.text import clean, one_line, typed

MARKUP = "[b]x[/b][@click=app.quit]y[/] [/"
EVIL = f"{MARKUP} \x1b]0;b\x07\u202ec"
SHOWN = one_line(EVIL)
APP = Path(__file__).parents[2] / "tui" / "app"

SAFE = {"Content", "_heading", "_line", "text"}
"""What makes text for a widget that reads none of it as markup; `text` is what a matcher has made of it."""

TAKES_TEXT = {
    "Static",
    "Label",
    "Button",
    "Option",
    "ListItem",
    "Checkbox",
    "Collapsible",
    "Tree",
    "TabPane",
    "DataTable",
}


def acting(screen: Screen[Any]) -> list[str]:
    """Everything on a screen that has an action or a link in it."""
    found = []
    for widget in [screen, *screen.walk_children(Widget)]:
        for y in range(widget.size.height):
            for segment in widget.render_line(y):
                style = segment.style
                if style is not None and (style.link or any(name.startswith("@") for name in style.meta)):
                    found.append(f"{widget}: {segment.text!r}")
    return found


def written(screen: Screen[Any]) -> str:
    """The screen as Textual would write it."""
    return "\n".join(strip.text for strip in screen._compositor.render_strips())


def is_fine(w: Window) -> None:
    assert acting(w.app.screen) == []
    assert read(written(w.app.screen).encode(), sequences=False, layout="\n").wrong == []


@pytest.mark.fault("T10", "T11", "T12", "T33")
async def test_nothing_acts_or_is_obeyed_wherever_it_stands(history: Path) -> None:
    profile = replace(PROFILE, name=EVIL, model=EVIL)
    async with window(history, profile, wish=Wish(label=MARKUP), size=(160, 60), warnings=(EVIL,)) as w:
        is_fine(w)
        await w.exchange(EVIL, EVIL)
        await w.until(lambda: w.transcript.count(MARKUP) == 2)
        session = w.screen.session
        assert session is not None
        await w.talk.chat.set_title(session.id, EVIL)
        await w.until(lambda: SHOWN[:20] in w.picture)
        for keys in (("f2",), ("f3",), ("f1",), ("ctrl+o",), ("ctrl+p",), ("ctrl+r",), ("ctrl+f",)):
            await w.press(*keys)
            is_fine(w)
            await paste(w, EVIL)
            # The palette's own field takes what is pasted as it came: it is stopped at the gate.
            if keys != ("f1",):
                await w.until(lambda: "<U+202E>c" in w.picture or "\ufffdc" in w.picture)
            is_fine(w)
            await w.press("escape")
        for command in ("/profile", f"/model {EVIL}", f"/export no/{EVIL}", f"/import {EVIL}"):
            await w.send(command)
            await w.until(lambda: MARKUP[:20] in w.status)
            is_fine(w)
        await w.send("again")
        (await w.server.request()).answer(400, {"error": {"message": EVIL}})
        await w.until(lambda: f"refused the request: {MARKUP}" in w.said)
        is_fine(w)
        await w.press("f8")
        await w.until(lambda: f"Deleted {MARKUP}" in w.status)
        is_fine(w)
        assert not w.app._exit


async def paste(w: Window, text: str) -> None:
    w.app.post_message(events.Paste(text))
    await w.pilot.pause()


async def test_names_found_by_their_letters_are_text(history: Path) -> None:
    names = ("[@click=app.quit]y[/]", "[/", "[b]x[/i]")
    profiles = [replace(PROFILE, name=name, base_url="http://server.localhost:1/v1") for name in names]
    async with window(history, *profiles, size=(160, 60), keys={"session.new": "left_square_bracket"}) as w:
        for name in names:
            await w.talk.store.create(Session(new_id(), f"label {name}", f"title {name}"))
        await w.press("ctrl+q")
    async with window(history, *profiles, size=(160, 60), keys={"session.new": "left_square_bracket"}) as w:
        for key, word in (("ctrl+o", "label"), ("ctrl+p", "profile"), ("ctrl+p", "new")):
            await w.press(key)
            await w.type(word)
            if word != "new":
                await w.until(lambda: all(name in w.picture for name in names))
            assert acting(w.app.screen) == []
            await w.press("escape")
        await w.send("/model")
        models = [{"id": f"model {name}"} for name in names]
        (await w.server.request()).answer(200, {"object": "list", "data": models})
        await w.until(lambda: "model [/" in w.picture)
        await w.type("model")
        await w.until(lambda: all(f"model {name}" in w.picture for name in names))
        assert acting(w.app.screen) == []


async def test_what_is_told_in_a_corner_is_text(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.app.screenshot.save", lambda _picture, _name: Path(EVIL))
    async with window(history) as w:
        w.app.notify(EVIL, title=EVIL, markup=True)
        w.app._take_picture()
        await w.until(lambda: len(w.app._notifications) == 2)
        told, saved = w.app._notifications
        assert (told.title, told.message, told.markup) == (SHOWN, SHOWN, False)
        assert (saved.message, saved.markup) == (f"Saved to {SHOWN}", False)


async def test_a_field_shows_what_is_clean_and_gives_back_what_it_was_given(history: Path) -> None:
    async with window(history):
        for text in payloads():
            field = Line(text)
            assert not read(field.value.encode(), sequences=False, layout="").wrong
            assert field.text == text
            field.value = f"{field.value}!"
            assert field.text == field.value


async def test_what_is_pasted_into_a_field_is_one_clean_line(history: Path) -> None:
    async with window(history) as w:
        await w.press("ctrl+r")
        field = w.app.screen.query_one(Input)
        for text in payloads()[::25]:
            field.value = ""
            await paste(w, f"<{text}>")
            await w.until(lambda: field.value)
            assert field.value == " ".join(clean(f"<{text}>").split())
        is_fine(w)


async def test_an_unchanged_label_stays_as_it_is_and_a_draft_is_shown_clean(history: Path) -> None:
    label, draft = "a\u202eb", "c\x1b[2J\td"
    async with window(history, wish=Wish(label=label)) as w:
        session = await w.talk.store.create(Session(new_id(), "other", draft=draft))
        await w.talk.store.update(session.id, draft=draft)
        await w.press("f2")
        assert w.app.screen.query_one(Line).value == "a<U+202E>b"
        await w.press("enter")
        assert w.screen.session is not None
        assert w.screen.session.label == label
    async with window(history, wish=Wish(label="other")) as w:
        await w.until(lambda: w.screen.prompt.text)
        assert w.screen.prompt.text == typed(draft) == "c␛[2J\td"


def test_no_widget_is_given_text_that_it_could_read_as_markup() -> None:
    wrong = []
    for file in sorted(APP.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            place = f"{file.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call):
                name = _name(node.func)
                is_open = name in TAKES_TEXT and node.args and not _is_safe(node.args[0])
                if is_open or (name == "OptionList" and not node.keywords) or name in ("from_markup", "Markdown"):
                    wrong.append(f"{place}: {ast.unparse(node)}")
            elif isinstance(node, ast.Assign):
                names = {target.attr for target in node.targets if isinstance(target, ast.Attribute)}
                if names & {"border_title", "border_subtitle", "tooltip", "title", "sub_title"} and not _is_safe(
                    node.value
                ):
                    wrong.append(f"{place}: {ast.unparse(node)}")
    assert wrong == []


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_safe(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return "[" not in str(node.value)
    if isinstance(node, ast.Call):
        return _name(node.func) in SAFE or ast.unparse(node.func).startswith(("Content.styled", "Content('\\n').join"))
    return isinstance(node, ast.Name) and node.id in SAFE
