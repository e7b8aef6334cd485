"""Exporting: what is written, where, and what is not."""

from __future__ import annotations

import errno
import gc
import json
import os
import re
import stat
import sys
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

from tests.chatting import Talk, answer_well, talk
from tests.exchange import files
from tests.exchange.taking import take_in, written
from tests.fake_server import PROFILE, delta
from tests.test_pictures import PICTURE, SEE, SHOWN
from tui.attachments import Attachment, with_attachments
from tui.credentials import KeySource
from tui.errors import FileRefused, StoreError, UsageError
from tui.exchange import Form, writer_of
from tui.exchange.markdown import MarkdownWriter
from tui.exchange.names import file_name
from tui.exchange.page import POLICY
from tui.exchange.prose import _parser, prose
from tui.model import Failure, Item, ItemKind, ItemState, Session, Turn, TurnStatus, new_id
from tui.text import FORBIDDEN

HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> </style><style>*{display:none}</style> ]]> &lt;script&gt; "
    '"><b onmouseover="x()"> \x1b]52;c;eA==\x07 \u202e &#x202e; <http://a/%1b]52;c;WA==%1b%5c> '
    "[a](javascript:alert(1)) [b](data:text/html,x) ![c](https://evil.example/x.png) [d](vscode://x) [e](https://fine.example)"
)


@pytest.fixture
async def t(history: Path) -> AsyncIterator[Talk]:
    async with talk(history) as made:
        yield made


async def keep(t: Talk, *turns: Turn, label: str = "work", title: str = "", model: str = "") -> Session:
    """A session of these turns, on disk."""
    session = await t.store.create(Session(new_id(), label, title=title, model=model))
    for depth, turn in enumerate(turns):
        await t.store.save(replace(turn, id=turn.id or new_id(), session_id=session.id, depth=depth), None, session)
    kept = await t.chat.session(session.id)
    assert kept is not None
    return kept


def a_turn(prompt: str = "hello", *items: Item, status: TurnStatus = TurnStatus.DONE, **more: object) -> Turn:
    """A turn of a server's, with everything that must stay here."""
    said = items or (Item("msg_secret", ItemKind.MESSAGE, "hi"),)
    values = {"profile": PROFILE.name, "protocol": "responses", "model": "m", "origin": "https://host.secret.example",
              "conversation_id": "resp_secret", "run": "run_secret", "notes": ("note of host.secret.example",),
              "created_at": 1_700_000_000.1234567, **more}  # fmt: skip
    return Turn(new_id(), "", 0, prompt, status, said, **values)


async def text_of(t: Talk, session: Session, form: Form, until: str = "") -> str:
    pieces: list[str] = []
    await t.chat.exchange.write(await t.chat.exchange.plan(session, until), form, pieces.append)
    return "".join(pieces)


# What is in it


async def test_a_bundle_holds_what_was_said_and_nothing_of_where(t: Talk) -> None:
    items = (
        Item("rs_secret", ItemKind.REASONING, "hm"),
        Item("fc_secret", ItemKind.TOOL_CALL, "{}", "search", "call_secret"),
        Item("fo_secret", ItemKind.TOOL_RESULT, "no", "search", "call_secret", ItemState.FAILED),
        Item("msg_secret", ItemKind.MESSAGE, "hi\x9b"),
    )
    failed = a_turn("lost", status=TurnStatus.FAILED, error=Failure("refused", "secret"))
    session = await keep(t, a_turn("hello", *items), failed, a_turn("more", status=TurnStatus.CANCELLED), a_turn("last"),
                         a_turn("later", status=TurnStatus.INTERRUPTED))  # fmt: skip
    plan = await t.chat.exchange.plan(session)
    assert (plan.stop, plan.left_out, len(plan.outline.turns)) == (5, 1, 4)
    text = await text_of(t, session, Form.BUNDLE)
    assert "secret" not in text
    assert session.id not in text
    assert "\x9b" not in text
    assert [json.loads(line) for line in text.splitlines()] == [
        {"palaver": "thread", "version": 1, "label": "work", "title": ""},
        {"prompt": "hello", "status": "done", "at": "2023-11-14T22:13:20.123Z", "model": "m", "answer": [
            {"kind": "reasoning", "text": "hm"},
            {"kind": "tool_call", "name": "search", "text": "{}", "call": "1"},
            {"kind": "tool_result", "name": "search", "text": "no", "call": "1", "state": "failed"},
            {"kind": "message", "text": "hi\x9b"}]},
        {"prompt": "more", "status": "cancelled", "at": "2023-11-14T22:13:20.123Z", "model": "m",
         "answer": [{"kind": "message", "text": "hi"}]},
        {"prompt": "last", "status": "done", "at": "2023-11-14T22:13:20.123Z", "model": "m",
         "answer": [{"kind": "message", "text": "hi"}]},
        {"prompt": "later", "status": "interrupted", "at": "2023-11-14T22:13:20.123Z", "model": "m",
         "answer": [{"kind": "message", "text": "hi"}]},
        {"end": 4},
    ]  # fmt: skip


@pytest.mark.fault("L16")
async def test_how_far_it_goes(t: Talk) -> None:
    turns = [a_turn("one"), a_turn("two"), a_turn("three", status=TurnStatus.FAILED)]
    session = await keep(t, *turns)
    other = await keep(t, a_turn("elsewhere"), label="other")
    (theirs,) = await t.chat.turns(other.id)
    for until, prompts in (("1", ["one"]), (turns[0].id, ["one"]), ("3", ["one", "two"]), ("", ["one", "two"])):
        lines = (await text_of(t, session, Form.BUNDLE, until)).splitlines()[1:-1]
        assert [json.loads(line)["prompt"] for line in lines] == prompts
    for until in ("0", "4", theirs.id, "nonsense", "9" * 30):
        with pytest.raises(StoreError, match="There is no") as caught:
            await t.chat.exchange.plan(session, until)
        assert caught.value.exit_status == 9
    with pytest.raises(UsageError, match="No prompt in “failed” had an answer"):
        await t.chat.exchange.plan(await keep(t, a_turn("three", status=TurnStatus.FAILED), label="failed"))
    with pytest.raises(UsageError, match="Nothing was said in “empty”"):
        await t.chat.exchange.plan(await keep(t, label="empty"))


@pytest.mark.parametrize("status", [TurnStatus.CANCELLED, TurnStatus.INTERRUPTED])
async def test_it_goes_to_the_last_turn_that_has_ended_however_that_was(t: Talk, status: TurnStatus) -> None:
    cut = await keep(t, a_turn("one", status=status), label="cut1")
    assert (await t.chat.exchange.plan(cut)).stop == 1
    assert "one" in await text_of(t, cut, Form.MARKDOWN)
    failed = await keep(
        t, a_turn("one"), a_turn("two", status=status), a_turn("three", status=TurnStatus.FAILED), label="failed"
    )
    plan = await t.chat.exchange.plan(failed)
    assert (len(plan.outline.turns), plan.left_out) == (2, 1)


async def test_where_nothing_has_ended_there_is_something_to_wait_for(t: Talk) -> None:
    session = await t.chat.open("work")
    t.chat.send(session, "one")
    (await t.server.request()).respond().event(delta("half"))
    await t.until(lambda: t.turns[-1].text == "half")
    with pytest.raises(UsageError, match="is finished yet") as caught:
        await t.chat.exchange.plan(session)
    assert caught.value.hint == "wait for one"


async def test_what_is_being_answered_is_not_in_it(t: Talk) -> None:
    session = await t.chat.open("work")
    await t.answered(session, "one", "answer", "resp_1")
    t.chat.send((await t.chat.session(session.id)), "two")
    (await t.server.request()).respond().event(delta("half"))
    await t.until(lambda: t.turns[-1].text == "half")
    for until in ("", "2"):
        assert "two" not in await text_of(t, session, Form.BUNDLE, until)


@pytest.mark.fault("F14")
async def test_what_was_imported_is_exported_the_same(t: Talk, tmp_path: Path) -> None:
    items = (
        Item("a", ItemKind.APPROVAL, "{}", "tool", "q", ItemState.OPEN),
        Item("b", ItemKind.MESSAGE, f"x{HOSTILE}\r\n\t"),
    )
    session = await keep(t, a_turn(f"  {HOSTILE}  ", *items), a_turn("no time", created_at=0.0), a_turn("ü", model=""),
                         label="a  b/ö", title="A  title")  # fmt: skip
    first = (await t.chat.exchange.export(session, Form.BUNDLE, tmp_path / "b.palaver.jsonl")).file
    async with talk(tmp_path / "other" / "history.db") as there:
        (outcome,) = await take_in(there.chat, first)
        assert outcome.session is not None
        second = await there.chat.exchange.export(outcome.session, Form.BUNDLE, tmp_path / "c.palaver.jsonl")
        (again,) = await take_in(there.chat, second.file)
        assert again.result == "known"
    assert second.file.read_bytes() == first.read_bytes()


@pytest.mark.fault("F16", "K07")
async def test_keys_that_were_pasted_are_masked(history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, mine, header = "sk-CANARY-7d0f2c9a", "sk-CANARY-command-1", "Bearer CANARY-header"
    monkeypatch.setenv("CANARY_KEY", key)
    profiles = (
        replace(
            PROFILE,
            headers=(("authorization", header), ("x-team", "infrastructure")),
            params={"user": "someone-else", "a": [{"api_key": "CANARY-parameter"}]},
        ),
        replace(PROFILE, name="other", key=KeySource("env", ("CANARY_KEY",))),
        replace(PROFILE, name="asked", key=KeySource("command", ("printf", mine))),
        replace(PROFILE, name="broken", key=KeySource("command", ("false",))),
    )
    async with talk(history, *profiles) as t:
        # As it has the name of a profile of its own, this variable is known to hold a key.
        monkeypatch.setenv("OPENAI_API_KEY", "sk-CANARY-unused")
        said = f"{key} and {mine} and {header}, of infrastructure, by CANARY-header for someone-else"
        said += ", with CANARY-parameter, sk-CANARY-unused"
        item = Item("m", ItemKind.TOOL_CALL, json.dumps({"key": key}), f"tool {key}")
        turns = [
            a_turn(said, item, Item("n", ItemKind.MESSAGE, said), model=key, profile=name)
            for name in ("asked", "broken")
        ]
        session = await keep(t, *turns, label=key, title=said)
        plan = await t.chat.exchange.plan(session)
        assert plan.unread == ("broken",)
        for form in Form:
            text = await text_of(t, session, form)
            assert "CANARY" not in text
            shown = "*** and *** and ***, of infrastructure, by *** for someone-else, with ***, ***"
            assert shown in text.replace("\\*", "*")


@pytest.mark.fault("F16", "K07")
async def test_a_key_that_is_a_label_is_not_in_the_files_name(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CANARY_KEY", " sk-CANARY-7d0f2c9a ")
    profiles = (
        replace(PROFILE, headers=(("authorization", "Bearer CANARY-header"),)),
        replace(PROFILE, name="other", key=KeySource("env", ("CANARY_KEY",))),
        replace(PROFILE, name="unset", key=KeySource("env", ("CANARY_UNSET",))),
        replace(PROFILE, name="asked", key=KeySource("command", ("printf", "sk-CANARY-command"))),
    )
    async with talk(history, *profiles) as t:
        for label in ("sk-CANARY-7d0f2c9a", "about CANARY-header", "sk-CANARY-command"):
            session = await keep(t, a_turn(profile="asked"), label=label)
            exported = await t.chat.exchange.export(session, Form.MARKDOWN)
            assert "CANARY" not in exported.file.name
            # To propose a name no one is asked for a key.
            assert ("CANARY" in t.chat.exchange.file_name(session, Form.HTML)) is (label == "sk-CANARY-command")


@pytest.mark.fault("F16", "K07")
@pytest.mark.parametrize(
    "before", ["use this key: ", "", "it is of no use that I say so much before I come to it: ", "-" * 1990]
)
async def test_no_part_of_a_key_goes_along_in_a_title_that_was_cut(
    history: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    key = "sk-CANARY-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFG"
    monkeypatch.setenv("CANARY_KEY", key)
    async with talk(history, PROFILE, replace(PROFILE, name="other", key=KeySource("env", ("CANARY_KEY",)))) as t:
        await t.answered(await t.chat.open("work"), f"{before}{key} please", "fine", "resp_1")
        session = await t.chat.open("work")
        assert session.title
        shown = await keep(
            t, a_turn(f"{before}{key} please"), label=f"{before[:14]}{key}"[:40] + "…", title=session.title
        )
        for one in (session, shown):
            for form in Form:
                text = await text_of(t, one, form)
                assert not [part for part in (key[at : at + 8] for at in range(len(key) - 7)) if part in text]
                assert "***" in text.replace("\\*", "*")


@pytest.mark.fault("F16", "K07")
async def test_a_key_is_masked_as_json_has_it(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = 'CANARY"\\7d0f-ü-2c9a'
    monkeypatch.setenv("CANARY_KEY", key)
    async with talk(history, PROFILE, replace(PROFILE, name="other", key=KeySource("env", ("CANARY_KEY",)))) as t:
        told = [json.dumps({"k": key}), json.dumps({"k": key}, ensure_ascii=False), key]
        session = await keep(
            t, a_turn("hello", *(Item(str(n), ItemKind.TOOL_CALL, one, "f") for n, one in enumerate(told)))
        )
        for form in Form:
            text = await text_of(t, session, form)
            assert ("CANARY" in text, "7d0f" in text) == (False, False)
            assert text.count("***") >= len(told)


# Where it is written


@pytest.mark.fault("F10")
@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("work", r"work"),
        ("日本語", r"日本語"),
        ("v1.2", r"v1\.2"),
        ("../../.bashrc", r"bashrc-[0-9a-f]{6}"),
        ("/etc/passwd", r"etc-passwd-[0-9a-f]{6}"),
        ("..", r"thread-[0-9a-f]{6}"),
        ("-rf", r"rf-[0-9a-f]{6}"),
        ("CON", r"CON-[0-9a-f]{6}"),
        ("a\\b:c*d", r"a-b-c-d-[0-9a-f]{6}"),
        ("x" * 1000, r"x{60}-[0-9a-f]{6}"),
        ("語" * 60, r"語{60}"),
        ("𠮷" * 57, r"𠮷{45}-[0-9a-f]{6}"),
        ("a" + "𠮷" * 57, r"a𠮷{44}-[0-9a-f]{6}"),
    ],
)
def test_a_label_is_never_a_path(label: str, name: str) -> None:
    made = file_name(label, ".md")
    assert re.fullmatch(name + r"\.md", made), made
    assert Path(made).name == made


@pytest.mark.fault("F10")
async def test_any_label_has_a_file_and_any_name_that_can_be_is_taken(
    t: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session = await keep(t, a_turn(), label="𠮷" * 200)
    names = [(await t.chat.exchange.export(session, form)).file.name for form in (*Form, *Form)]
    named = tmp_path / ("語" * 83 + ".md")
    assert (await t.chat.exchange.export(session, Form.MARKDOWN, named)).file == named
    assert {file.name for file in os.scandir(tmp_path) if file.is_file()} == {*names, named.name}


async def test_a_file_without_a_name_lies_in_the_present_folder(
    t: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session = await keep(t, a_turn())
    names = [(await t.chat.exchange.export(session, form)).file for form in (*Form, Form.BUNDLE, Form.HTML)]
    assert [file.relative_to(tmp_path).as_posix() for file in names] == [
        "work.palaver.jsonl", "work.md", "work.html", "work-2.palaver.jsonl", "work-2.html"
    ]  # fmt: skip
    assert {stat.S_IMODE(file.stat().st_mode) for file in names} == {0o600}


@pytest.mark.fault("F11")
async def test_no_file_that_is_there_is_touched(t: Talk, tmp_path: Path) -> None:
    session = await keep(t, a_turn())
    (tmp_path / "there").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    for name in ("there", "link", "dangling", "folder", "/dev/full", "/", ""):
        with pytest.raises(FileRefused, match="is there already") as caught:
            await t.chat.exchange.export(session, Form.BUNDLE, tmp_path / name)
        assert caught.value.exit_status == 9
    for name in ("nowhere/x", "there/x", "n" * 300):
        with pytest.raises(FileRefused, match="cannot be"):
            await t.chat.exchange.export(session, Form.BUNDLE, tmp_path / name)
    assert (tmp_path / "there").read_text() == "mine"
    assert sorted(file.name for file in os.scandir(tmp_path) if file.name != "palaver") == [
        "dangling",
        "folder",
        "link",
        "there",
    ]


@pytest.mark.fault("F11")
async def test_a_full_disk_leaves_no_file(t: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await keep(t, a_turn())
    full = os.open("/dev/full", os.O_WRONLY)
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, data: write(full, data))
        with pytest.raises(FileRefused, match="No space left"):
            await t.chat.exchange.export(session, Form.BUNDLE, tmp_path / "b.jsonl")
    os.close(full)
    assert [file.name for file in os.scandir(tmp_path)] == ["palaver"]


@pytest.mark.fault("F11")
async def test_a_disk_that_is_full_when_it_is_waited_for_leaves_no_file(
    t: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await keep(t, a_turn())

    def no_room(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_room)
        with pytest.raises(FileRefused, match="No space left") as caught:
            await t.chat.exchange.export(session, Form.BUNDLE, tmp_path / "b.jsonl")
    assert caught.value.exit_status == 9
    assert [file.name for file in os.scandir(tmp_path)] == ["palaver"]


@pytest.mark.fault("F11")
async def test_a_folder_that_may_not_be_written_to(t: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await keep(t, a_turn())
    opened = os.open

    def denied(file: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT and Path(file).parent == tmp_path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(file, flags, mode)

    # Whoever runs the tests may be one whom no folder refuses.
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", denied)
        with pytest.raises(FileRefused, match="cannot be written: Permission denied") as caught:
            await t.chat.exchange.export(session, Form.MARKDOWN, tmp_path / "a.md")
    assert caught.value.exit_status == 9


# How it reads


class Page(HTMLParser):
    """A page, as a browser takes it apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


ALLOWED = set(
    "html head meta title style body header h1 h2 h3 h4 h5 h6 p nav details summary ol ul li a main article section div "
    "pre code span footer em strong s table thead tbody tr th td blockquote hr br".split()
)


@pytest.mark.fault("F12")
async def test_nothing_others_wrote_does_anything_in_a_page(t: Talk, tmp_path: Path) -> None:
    kinds = [
        Item(HOSTILE, kind, f"{HOSTILE}\n\n```{HOSTILE[:40]}\n{HOSTILE}\n```", HOSTILE, HOSTILE) for kind in ItemKind
    ]
    error = Failure("refused", HOSTILE, HOSTILE)
    turns = [
        a_turn(HOSTILE, *kinds, model=HOSTILE, notes=(HOSTILE,), finish=HOSTILE),
        a_turn(HOSTILE, *kinds, model=HOSTILE, status=TurnStatus.INTERRUPTED, error=error),
        a_turn(HOSTILE, Item("n", ItemKind.NOTICE, HOSTILE[:250], HOSTILE)),
        a_turn("last"),
    ]
    session = await keep(t, *turns, label=HOSTILE.replace("\x1b", "").replace("\x07", ""), title=HOSTILE)
    text = await text_of(t, session, Form.HTML)
    page = Page(text)
    assert {tag for tag, _ in page.tags} <= ALLOWED
    assert [tag for tag, _ in page.tags].count("style") == 1
    for tag, attributes in page.tags:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "srcset", "action", "background")
        ]
        assert "style" not in attributes or tag in ("th", "td")
        assert re.match(r"#turn-\d+$|https://fine\.example$|https?://a/", attributes.get("href") or "#turn-1")
    assert any(attributes.get("content") == POLICY for _, attributes in page.tags)
    assert not [line for line in text.split("\n") if FORBIDDEN.search(line)]


def test_what_is_written_as_markdown_looks_like_it() -> None:
    made = prose(
        "# Head\n\n*so* **it** `goes`\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n```python\ndef f(): return 1\n```\n"
    )
    assert "<h1>Head</h1>" in made
    assert "<em>so</em> <strong>it</strong> <code>goes</code>" in made
    assert '<td style="text-align:right">2</td>' in made
    assert '<pre data-language="python"><code><span class="k">def</span>' in made


def test_code_has_no_colours_where_its_highlighter_was_removed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygments.lexers.ada", None)
    assert prose("```ada\nend\n```") == '<pre data-language="ada"><code>end\n</code></pre>\n'


@pytest.mark.fault("F12")
@pytest.mark.parametrize(
    "info", ["&#x202e;py", "&ZeroWidthSpace;py", "&#xE0041;", "&amp;#x202e;", "&NewLine;x", '&quot;">']
)
def test_what_a_fence_says_is_cleaned_as_it_is_shown(info: str) -> None:
    made = prose(f"```{info}\nx\n```")
    assert not [line for line in made.split("\n") if FORBIDDEN.search(line)]
    (language,) = [attributes["data-language"] for tag, attributes in Page(made).tags if tag == "pre"]
    assert language
    assert not FORBIDDEN.search(language)


@pytest.mark.fault("F12", "T31")
@pytest.mark.parametrize("code", [f"```systemd\nx{' ' * 20_000}\n```", f"```python\nif {'x' * 2000}: 1\n```"])
def test_code_that_could_take_for_ever_has_no_colours(code: str) -> None:
    assert "<span" not in prose(code)


def test_long_code_has_colours_and_all_its_lines() -> None:
    lines = [f"x{number} = {number}  # <{number}>" for number in range(2000)]
    made = prose("```python\n" + "\n".join(lines) + "\n```")
    assert made.count('<span class="c1">') == len(lines)
    assert unescape(re.sub("<[^>]+>", "", made)) == "\n".join(lines) + "\n\n"


@pytest.mark.fault("F12", "T31")
@pytest.mark.parametrize("mark", ["[", "[[]", "![", "[a\n"])
def test_a_tangle_in_a_page_costs_no_more_than_text(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = mark * (60_000 // len(mark))
    steps = 0
    inline = _parser().inline
    skip = inline.skipToken

    def counted(state: StateInline) -> None:
        nonlocal steps
        steps += 1
        skip(state)

    monkeypatch.setattr(inline, "skipToken", counted)
    made = prose(source)
    assert steps <= 4 * len(source)
    assert made.count("[") == source.count("[")


@pytest.mark.parametrize("mark", ["> ", "- "])
def test_nothing_of_what_is_nested_deeply_is_missing_from_a_page(mark: str) -> None:
    assert "the end" in prose(mark * 30 + "the end")
    assert "<pre" not in prose(mark * 8 + "the end")


def test_a_list_of_tasks_has_boxes() -> None:
    made = prose("- [ ] open\n- [x] done\n- no [x] task\n\n[x] nor this\n")
    assert '<li class="task">☐ open</li>\n<li class="task">☑ done</li>\n<li>no [x] task</li>' in made
    assert "<p>[x] nor this</p>" in made


@pytest.mark.fault("F13")
async def test_nothing_others_wrote_ends_its_place_in_markdown(t: Talk) -> None:
    fences = "a\n```\n````\n~~~\n---\ntitle: x\n---\n# no heading"
    items = (
        Item("r", ItemKind.TOOL_RESULT, fences, "```\n# tool"),
        Item("m", ItemKind.MESSAGE, "an answer\n\n```python\nnever closed"),
    )
    session = await keep(t, a_turn(fences, *items), a_turn("next"), label="---", title="# *t* `x`\n---\n")
    text = await text_of(t, session, Form.MARKDOWN)
    assert text.startswith("# \\# \\*t\\* \\`x\\` ---\n")
    tokens = MarkdownIt("commonmark").parse(text)
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h1"]
    assert [token.content.rstrip("\n") for token in tokens if token.type == "fence"] == [
        fences, fences, "never closed", "next"
    ]  # fmt: skip
    assert sum(token.type == "hr" for token in tokens) == 3


@pytest.mark.fault("F13")
@pytest.mark.parametrize(
    ("answer", "added"),
    [
        ("- ```py\n  x = 1\n  ```", ""),
        ("1. ```py\n   x = 1", ""),
        ("> ```\n> x", ""),
        ("    ```\n    x", ""),
        ("```py\nx\n```", ""),
        ("<div>\nhello", ""),
        ("a <!-- comment", ""),
        ("```py\nx", "\n```"),
        ("~~~~ a\n~~~\n```", "\n~~~~"),
        ("<!-- open\n\n- a", "\n-->"),
        ("<PRE>\n\n<!-- x", "\n--></PRE>"),
        ("<pre><!-- x -->", "\n</pre>"),
        ("  <script>", "\n</script>"),
        ("<?php", "\n?>"),
        ("<![CDATA[ x", "\n]]>"),
        ("<!DOCTYPE", "\n>"),
    ],
)
async def test_an_answer_that_left_something_open_ends_where_it_ends(t: Talk, answer: str, added: str) -> None:
    session = await keep(t, a_turn("hello", Item("m", ItemKind.MESSAGE, answer)), a_turn("next"))
    text = await text_of(t, session, Form.MARKDOWN)
    assert f"\n\n{answer}{added}\n\n---\n\n> ```text\n> next\n" in text
    tokens = MarkdownIt("commonmark").parse(text)
    assert [token.level for token in tokens if token.type == "fence" and token.content == "next\n"] == [1]
    assert tokens[-1].type == "hr"


@pytest.mark.fault("F13")
@given(st.text("`~<>!-?[]CDATAp re/*1.\n", max_size=80))
def test_any_answer_ends_where_it_ends(answer: str) -> None:
    turn = a_turn("hello", Item("m", ItemKind.MESSAGE, answer))
    made = MarkdownWriter().turn(turn, {}) + MarkdownWriter().turn(a_turn("next"), {})
    tokens = MarkdownIt("commonmark").parse(made)
    assert [token.type for token in tokens[-7:]] == [
        "hr", "blockquote_open", "fence", "blockquote_close", "paragraph_open", "inline", "paragraph_close"
    ]  # fmt: skip


async def test_a_file_of_a_colleague_s_is_gone_on_with(t: Talk, tmp_path: Path) -> None:
    (outcome,) = await take_in(t.chat, written(tmp_path / "b.jsonl", files.bundle(files.turn("a", "b"))))
    assert outcome.session is not None
    await t.answered(outcome.session, "mine", "fine", "resp_9")
    text = await text_of(t, outcome.session, Form.BUNDLE)
    assert [json.loads(line).get("prompt") for line in text.splitlines()[1:-1]] == ["a", "mine"]
    assert "begun by someone else" not in text


# Pictures


async def test_pictures_go_along_in_a_bundle_are_there_where_it_is_taken_in_and_are_shown_again(
    t: Talk, tmp_path: Path
) -> None:
    await t.chat.keep_picture(PICTURE)
    session = await keep(t, a_turn(SEE), a_turn("and now?"))
    exported = await t.chat.exchange.export(session, Form.BUNDLE, tmp_path / "b.palaver.jsonl")
    lines = [json.loads(line) for line in exported.file.read_text().splitlines()]
    assert [line.get("pictures") for line in lines] == [None, [PICTURE.base64], None, None]
    async with talk(tmp_path / "theirs" / "history.db") as other:
        (outcome,) = await take_in(other.chat, exported.file)
        assert outcome.session is not None
        other.chat.send(outcome.session, "what was it?")
        exchange = await other.server.request()
        assert SHOWN in exchange.json["input"]
        answer_well(exchange, "A dot.", "resp_9")
        await other.chat.settled(outcome.session.id)


async def test_a_page_shows_pictures_by_itself_and_markdown_names_them(t: Talk, tmp_path: Path) -> None:
    await t.chat.keep_picture(PICTURE)
    session = await keep(t, a_turn(SEE))
    page = (await t.chat.exchange.export(session, Form.HTML, tmp_path / "a.html")).file.read_text()
    assert page.count("<img") == 1
    assert f'<img src="{PICTURE.url}" alt="@dot.png (70 bytes, picture)">' in page
    assert PICTURE.key not in page
    assert "img-src data:;" in POLICY
    prose = (await t.chat.exchange.export(session, Form.MARKDOWN, tmp_path / "a.md")).file.read_text()
    assert "@dot.png (70 bytes, picture" in prose
    assert PICTURE.base64 not in prose


async def test_a_page_folds_the_files_of_a_prompt(t: Talk, tmp_path: Path) -> None:
    prompt = with_attachments("what is @a.py?", [Attachment("a.py", "if a < b:\n    ```"), Attachment("b.txt", "two")])
    session = await keep(t, a_turn(prompt))
    page = (await t.chat.exchange.export(session, Form.HTML, tmp_path / "a.html")).file.read_text()
    first = '<details class="file"><summary>@a.py (17 bytes)</summary><pre><code>if a &lt; b:\n    ```</code></pre></details>'
    assert f'<div class="said">what is @a.py?{first}<details class="file"><summary>@b.txt (3 bytes)' in page


@pytest.mark.parametrize("data", ["", "bm8gcGljdHVyZQ==", "no base64!", 5, {"a": 1}])
async def test_what_is_no_picture_in_a_bundle_is_refused(t: Talk, tmp_path: Path, data: object) -> None:
    bundle = written(tmp_path / "b.palaver.jsonl", files.bundle(files.turn(pictures=[data])))
    (outcome,) = await take_in(t.chat, bundle)
    assert outcome.why == "b.palaver.jsonl has something else than a picture in line 2."
    assert await t.chat.sessions() == []


@pytest.mark.parametrize("form", Form)
def test_what_was_written_of_one_turn_is_not_kept_for_the_next(form: Form) -> None:
    text = "Because of *this*.\n\n```python\nassert True\n```"
    writer, told = writer_of(form), a_turn("Why?", Item("m", ItemKind.MESSAGE, text))
    writer.turn(told, {})
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(50):
            writer.turn(told, {})
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert kept < 50 * 2000


async def test_it_is_told_how_many_turns_are_written(t: Talk, tmp_path: Path) -> None:
    said = [files.turn(f"prompt {number}") for number in range(50)]
    (outcome,) = await take_in(t.chat, written(tmp_path / "in.palaver", files.bundle(*said)))
    assert outcome.session is not None
    told: list[tuple[int, int]] = []
    file = tmp_path / "out.palaver"
    await t.chat.exchange.export(
        outcome.session, Form.BUNDLE, file, on_written=lambda done, of: told.append((done, of))
    )
    assert told == [(20, 50), (40, 50), (50, 50)]
