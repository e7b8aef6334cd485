"""Turns as blocks: what is shown of every status and every kind of item, and what stays as it was while they grow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.app.transcript.drawing import SAMPLES, STYLED, assert_fits, ground, shown, text_of
from tests.payloads import payloads
from tui.app.gate import Gate
from tui.app.transcript.blocks import Block, Look, MessageBlock
from tui.app.transcript.folds import FoldBlock, pretty_json
from tui.app.transcript.turn_blocks import TurnBlocks
from tui.app.transcript.wrap import Line
from tui.model import Failure, Item, ItemKind, ItemState, Turn, TurnStatus
from tui.text import FORBIDDEN

ON = ground(60)


def turn(*items: Item, status: TurnStatus = TurnStatus.DONE, prompt: str = "Hello", **rest: Any) -> Turn:
    return Turn("turn", "session", 0, prompt, status, items, **rest)


def message(text: str, key: str = "m", name: str = "") -> Item:
    return Item(key, ItemKind.MESSAGE, text, name)


def reasoning(text: str) -> Item:
    return Item("r", ItemKind.REASONING, text)


def call(text: str = '{"path": "x.py"}', call_id: str = "1", name: str = "read_file") -> Item:
    return Item(f"c{call_id}", ItemKind.TOOL_CALL, text, name, call_id)


def result(text: str, call_id: str = "1") -> Item:
    return Item(f"t{call_id}", ItemKind.TOOL_RESULT, text, "", call_id)


def lines_of(blocks: TurnBlocks | Block) -> list[Line]:
    return [line for unit in blocks.units() for line in unit.lines(ON)]


def draw(one: Turn) -> list[str]:
    return shown(lines_of(TurnBlocks(one)))


def unfolded(one: Turn) -> list[str]:
    blocks = TurnBlocks(one)
    for block in blocks.blocks:
        if isinstance(block, FoldBlock):
            block.toggle()
    return shown(lines_of(blocks))


@pytest.mark.parametrize(
    ("status", "rest", "foot"),
    [
        (TurnStatus.PENDING, {}, ["· Waiting for an answer…"]),
        (TurnStatus.PENDING, {"waiting_for": "again in 3 s"}, ["· Waiting: again in 3 s"]),
        (TurnStatus.STREAMING, {"waiting_for": "again in 3 s"}, ["· Waiting: again in 3 s"]),
        (TurnStatus.STREAMING, {}, []),
        (TurnStatus.DONE, {}, ["· The server finished without saying anything."]),
        (TurnStatus.DONE, {"finish": "length"}, ["■ The server stopped early: length."]),
        (
            TurnStatus.DONE,
            {"notes": ("First note.", "Second."), "finish": "length"},
            ["◆ First note.", "◆ Second.", "■ The server stopped early: length."],
        ),
        (TurnStatus.CANCELLED, {}, ["■ Cancelled before anything came."]),
        (TurnStatus.INTERRUPTED, {}, ["■ Interrupted; what came is kept."]),
        (
            TurnStatus.INTERRUPTED,
            {"error": Failure("network", "Connection lost after 9 words", "partial answer kept")},
            ["■ Connection lost after 9 words.", "Partial answer kept; Tab, then r sends the prompt again."],
        ),
        (
            TurnStatus.INTERRUPTED,
            {"error": Failure("incomplete", "The connection was lost"), "run": "run_1"},
            ["■ The connection ended; the server goes on. Tab, then r takes", "it up again."],
        ),
        (
            TurnStatus.INTERRUPTED,
            {"error": Failure("not-allowed", "example.com wants a key", "set api_key_env"), "run": "run_1"},
            ["■ example.com wants a key.", "Set api_key_env; Tab, then r takes the run up again."],
        ),
        (TurnStatus.FAILED, {}, ["✗ It failed.", "Tab, then r sends the prompt again."]),
        (
            TurnStatus.FAILED,
            {"error": Failure("network", "Nothing answers at localhost:1.", "is the server running?")},
            ["✗ Nothing answers at localhost:1.", "Is the server running? Tab, then r sends the prompt again."],
        ),
        (
            TurnStatus.FAILED,
            {"error": Failure("network", "It may have been received", "press r to send again")},
            ["✗ It may have been received.", "Press Tab, then r to send again."],
        ),
    ],
)  # fmt: skip
def test_the_foot_says_how_a_turn_stands(status: TurnStatus, rest: dict[str, Any], foot: list[str]) -> None:
    assert draw(turn(status=status, **rest)) == ["", "Hello", *([""] if foot else []), *foot]


@pytest.mark.parametrize(
    ("status", "foot"),
    [
        (TurnStatus.DONE, []),
        (TurnStatus.STREAMING, []),
        (TurnStatus.CANCELLED, ["", "■ Cancelled; what came is kept."]),
        (TurnStatus.INTERRUPTED, ["", "■ Interrupted; what came is kept."]),
    ],
)
def test_what_came_is_shown_whatever_the_status(status: TurnStatus, foot: list[str]) -> None:
    assert draw(turn(message("An *answer*."), status=status)) == ["", "Hello", "", "An answer.", *foot]


def test_a_foot_too_long_goes_on_below_its_words() -> None:
    long = "A note that is so long that it has to go on in a second line of the foot."
    assert draw(turn(message("x"), notes=(long,)))[-2:] == [
        "◆ A note that is so long that it has to go on in a second line",
        "of the foot.",
    ]


def test_the_prompt_is_shown_as_it_was_typed() -> None:
    prompt = "# no *head*\n\n    indented\n- no list\n" + "word " * 20
    lines = draw(turn(prompt=prompt, status=TurnStatus.STREAMING))
    assert lines[:6] == ["", "# no *head*", "", "    indented", "- no list", "word " * 11 + "word"]
    assert TurnBlocks(turn(prompt=prompt)).blocks[0].source == prompt


def test_an_empty_line_of_a_prompt_belongs_to_it() -> None:
    gap, _, empty, _ = lines_of(TurnBlocks(turn(prompt="a\n\nb", status=TurnStatus.STREAMING)))
    assert not gap.segments
    assert empty.segments


def test_items_are_shown_in_order() -> None:
    one = turn(reasoning("Think."), message("First.", "a"), call(), result("ok"), message("Second.", "b"))
    assert draw(one) == [
        *["", "Hello", "", "▸ Reasoning · 1 word", "", "First."],
        *["", '▸ read_file {"path": "x.py"} → ok', "", "Second."],
    ]


def test_items_with_nothing_to_show_are_left_out() -> None:
    one = turn(message(""), reasoning(""), Item("n", ItemKind.NOTICE))
    assert draw(one)[2:] == [
        "",
        "▸ Reasoning · not shown by the server",
        "",
        "· The server finished without saying anything.",
    ]


def test_reasoning_says_what_it_is_at_while_it_lasts() -> None:
    blocks = TurnBlocks(turn(reasoning("First **this**.\nThen that."), status=TurnStatus.STREAMING))
    assert shown(lines_of(blocks))[-1] == "▸ Thinking… First **this**. Then that."
    blocks.update(turn(reasoning("First **this**.\nThen that."), message("So."), status=TurnStatus.STREAMING))
    assert shown(lines_of(blocks))[3] == "▸ Reasoning · 4 words"
    blocks.update(turn(reasoning("1 " * 1234), status=TurnStatus.DONE))
    assert shown(lines_of(blocks))[3] == "▸ Reasoning · 1,234 words"


def test_unfolded_reasoning_is_drawn_as_markdown_and_grows() -> None:
    blocks = TurnBlocks(turn(reasoning("**Plan**\n\n- one"), status=TurnStatus.STREAMING))
    fold = blocks.blocks[1]
    assert isinstance(fold, FoldBlock)
    fold.toggle()
    before = lines_of(fold)
    assert shown(before) == ["", "▾ Thinking… **Plan** - one", "", "  Plan", "", "  • one"]
    blocks.update(turn(reasoning("**Plan**\n\n- one\n- two\n\nSo [it](http://a) is."), status=TurnStatus.STREAMING))
    assert blocks.blocks[1] is fold
    after = lines_of(fold)
    assert shown(after)[2:] == ["", "  Plan", "", "  • one", "  • two", "", "  So it is."]
    assert after[3] is before[3]
    assert [(link.start, link.end) for link in after[-1].links] == [(5, 7)]


@pytest.mark.parametrize(
    ("items", "folded", "open_lines"),
    [
        (
            (call(), result("one\ntwo")),
            '▸ read_file {"path": "x.py"} → one two',
            ["   {", '     "path": "x.py"', "   }", "", "  one", "  two"],
        ),
        ((call("", name="now"), result("noon")), "▸ now → noon", ["", "  noon"][1:]),
        ((call("not json"),), "▸ read_file not json", ["   not json"]),
        ((result("orphan", "9"),), "▸ result orphan", ["", "  orphan"]),
        (
            (Item("a", ItemKind.APPROVAL, '{"cmd": "rm"}', "shell", "5"),),
            '▸ shell wanted approval {"cmd": "rm"}',
            ["   {", '     "cmd": "rm"', "   }"],
        ),
        (
            (Item("n", ItemKind.NOTICE, "a search\nof files", "web"),),
            "▸ web a search of files",
            ["", "  a search", "  of files"],
        ),
        ((Item("n", ItemKind.NOTICE, "", "web"),), "▸ web", ["", ""]),
        ((call(name=""),), '▸ tool {"path": "x.py"}', ["   {", '     "path": "x.py"', "   }"]),
    ],
)
def test_what_is_folded_shows_one_line_and_unfolds(items: tuple[Item, ...], folded: str, open_lines: list[str]) -> None:
    assert draw(turn(*items))[2:] == ["", folded]
    assert unfolded(turn(*items))[2:] == ["", folded.replace("▸", "▾"), *open_lines]


def test_a_query_and_its_table_are_shown_as_such() -> None:
    rows = '{"columns": ["city", "n"], "rows": [["Hamburg", 2496], ["Berlin", 960]]}'
    blocks = TurnBlocks(turn(call('{"sql": "SELECT city\\nFROM t", "title": "Cities"}', name="query"), result(rows)))
    fold = blocks.blocks[1]
    assert isinstance(fold, FoldBlock)
    assert shown(lines_of(fold)) == ["", "▸ query SELECT city FROM t → 2 rows of 2 columns"]
    fold.toggle()
    assert shown(lines_of(fold))[2:] == [
        "   SELECT city",
        "   FROM t",
        "   {",
        '     "title": "Cities"',
        "   }",
        "",
        "  city    │    n",
        "  ────────┼─────",
        "  Hamburg │ 2496",
        "  Berlin  │  960",
    ]
    assert fold.source.endswith(rows)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (ItemState.NONE, "→ gone wrong"),
        (ItemState.FAILED, "→ ✗ gone wrong"),
        (ItemState.DENIED, "→ denied: gone wrong"),
    ],
)
def test_how_it_went_with_a_tool(state: ItemState, says: str) -> None:
    one = turn(call(), replace(result("gone wrong"), state=state))
    assert draw(one)[3] == f'▸ read_file {{"path": "x.py"}} {says}'


def test_an_approval_is_open_until_it_is_answered() -> None:
    item = Item("a", ItemKind.APPROVAL, '{"to": "production"}', "deploy", "q1", ItemState.OPEN)
    blocks = TurnBlocks(turn(item, finish="approval"))
    assert draw(blocks.turn)[2:] == [
        "",
        "▾ deploy wants your approval",
        "   {",
        '     "to": "production"',
        "   }",
        "",
        "? Waits for your approval: in here, a approves, d denies.",
    ]
    for state, says in ((ItemState.APPROVED, "approved"), (ItemState.DENIED, "denied")):
        blocks = TurnBlocks(turn(item, finish="approval"))
        before = blocks.blocks[1]
        blocks.update(turn(replace(item, state=state), finish="approval"))
        assert blocks.blocks[1] is before
        assert shown(lines_of(blocks))[2:] == ["", f'▸ deploy {says} {{"to": "production"}}']


def test_calls_find_their_results_wherever_they_stand() -> None:
    one = turn(
        call("a", "1"), call("b", "2"), result("two", "2"), message("Said."), result("one", "1"), result("none", "3")
    )
    assert [line for line in draw(one) if line.startswith("▸")] == [
        *["▸ read_file a → one", "▸ read_file b → two"],
        "▸ result none",
    ]


def test_a_result_that_comes_later_joins_its_call_and_leaves_it_unfolded() -> None:
    blocks = TurnBlocks(turn(call(), status=TurnStatus.STREAMING))
    fold = blocks.blocks[1]
    assert isinstance(fold, FoldBlock)
    fold.toggle()
    blocks.update(turn(call(), result("ok"), status=TurnStatus.DONE))
    assert blocks.blocks[1] is fold
    assert shown(lines_of(fold))[-1] == "  ok"
    fold.toggle()
    assert shown(lines_of(fold)) == ["", '▸ read_file {"path": "x.py"} → ok']


def test_only_the_line_of_a_fold_is_its_title() -> None:
    blocks = TurnBlocks(turn(Item("n", ItemKind.NOTICE, "", "web"), call()))
    for block in blocks.blocks[1:]:
        assert isinstance(block, FoldBlock)
        block.toggle()
        assert [unit.is_title for unit in block.units()] == [True] + [False] * (len(list(block.units())) - 1)


def test_a_long_call_is_unfolded_in_parts() -> None:
    blocks = TurnBlocks(turn(call('{"lines": [' + "1, " * 60_000 + "1]}"), result("word " * 200_000)))
    fold = blocks.blocks[1]
    assert isinstance(fold, FoldBlock)
    fold.toggle()
    units = list(fold.units())
    assert len(units) > 200
    assert max(len(unit.piece.source) for unit in units) < 20_000
    assert max(len(unit.lines(ON)) for unit in units[:20]) < 2000


def test_titles_are_cut_to_the_width() -> None:
    one = turn(call("漢字" * 200, name="x" * 100))
    for width in (10, 20, 61):
        on = ground(width)
        title = TurnBlocks(one).units()[-1].lines(on)[-1]
        assert title.width <= width
        assert title.text.rstrip().endswith("…")


@pytest.mark.parametrize("name", SAMPLES)
def test_a_message_that_grows_keeps_the_lines_of_what_is_finished(name: str) -> None:
    source = SAMPLES["paragraphs"] + "\n\n" + SAMPLES[name]
    block = MessageBlock(message(source[:20]))
    finished: list[Line] = []
    for end in range(20, len(source) + 7, 7):
        assert block.update(message(source[:end]))
        units = list(block.units())
        lines = [line for unit in units for line in unit.lines(ON)]
        kept = [line for line in finished if any(line is one for one in lines)]
        # A link that was only just defined may change what refers to it.
        assert kept == finished or "]:" in source
        finished = [line for unit in units[:-2] for line in unit.lines(ON)]
    assert shown(lines_of(block)) == shown(lines_of(MessageBlock(message(source))))


def test_what_is_open_keeps_its_lines_when_it_is_finished_as_it_was() -> None:
    block = MessageBlock(message("one\n\ntwo"))
    before = lines_of(block)
    block.update(message("one\n\ntwo\n\nthree"))
    after = lines_of(block)
    assert [line is other for line, other in zip(before, after, strict=False)][:3] == [True, True, True]
    again = lines_of(block)
    assert all(line is other for line, other in zip(after, again, strict=True))


def test_a_text_that_was_replaced_is_drawn_anew() -> None:
    blocks = TurnBlocks(turn(message("Some text"), status=TurnStatus.STREAMING))
    blocks.update(turn(message("Another text")))
    assert draw(turn(message("Another text"))) == shown(lines_of(blocks))
    blocks.update(turn(message("Another text, and more")))
    assert shown(lines_of(blocks))[-1] == "Another text, and more"
    blocks.update(turn())
    assert shown(lines_of(blocks))[-1] == "· The server finished without saying anything."


def test_an_item_that_becomes_another_kind_is_drawn_as_that() -> None:
    blocks = TurnBlocks(turn(Item("x", ItemKind.NOTICE, "text", "n"), status=TurnStatus.STREAMING))
    blocks.update(turn(Item("x", ItemKind.MESSAGE, "text")))
    assert shown(lines_of(blocks))[-1] == "text"


def test_what_did_not_change_keeps_its_blocks() -> None:
    one = turn(message("a", "1"), call(), message("b", "2"), status=TurnStatus.STREAMING)
    blocks = TurnBlocks(one)
    before = blocks.blocks
    blocks.update(replace(one, items=(*one.items[:-1], message("b and more", "2"))))
    assert blocks.blocks == before
    blocks.update(replace(one, status=TurnStatus.CANCELLED))
    assert blocks.blocks[:3] == before[:3]
    assert blocks.blocks[-1].look is Look.FOOT


def test_a_prompt_that_was_edited_is_drawn_anew() -> None:
    blocks = TurnBlocks(turn(prompt="before"))
    blocks.update(turn(prompt="after"))
    assert shown(lines_of(blocks))[1] == "after"


def test_what_is_copied_is_the_source() -> None:
    one = turn(
        message("# *Head*\n\n```\nx\n```"),
        reasoning("Think"),
        call(),
        result("ok"),
        Item("n", ItemKind.NOTICE, "note", "web"),
        notes=("A note.",),
    )
    assert [block.source for block in TurnBlocks(one).blocks] == [
        *["Hello", "# *Head*\n\n```\nx\n```", "Think", 'read_file\n{"path": "x.py"}\n\nok', "note", "A note."],
    ]


def test_lines_that_were_dropped_are_drawn_again_and_keep_their_height() -> None:
    block = MessageBlock(message("- word\n" * 3 + "wordy " * 70))
    (unit,) = block.units()
    guess = unit.height(ON)
    before = unit.lines(ON)
    assert unit.height(ON) == len(before) != guess
    unit.drop()
    assert unit.height(ON) == len(before)
    assert unit.lines(ON) == before
    assert unit.lines(ON) is not before


def test_another_width_or_palette_draws_anew() -> None:
    (unit,) = MessageBlock(message("*word* " * 20)).units()
    narrow, styled = ground(20), ground(60, STYLED)
    assert len(unit.lines(narrow)) > len(unit.lines(ON))
    assert unit.lines(styled)[1].segments[0].style != unit.lines(ON)[1].segments[0].style
    assert unit.height(narrow) != unit.height(ON) or unit.lines_or_none is not None


@pytest.mark.parametrize(
    ("text", "pretty"),
    [
        ('{"a":[1,"ü"]}', '{\n  "a": [\n    1,\n    "ü"\n  ]\n}'),
        ("  [1]", "[\n  1\n]"),
        ("{not json}", "{not json}"),
        ("plain", "plain"),
        ("", ""),
        ("[" * 5000, "[" * 5000),
        ('{"a": "' + "x" * 200_000 + '"}', '{"a": "' + "x" * 200_000 + '"}'),
    ],
)
def test_json_is_laid_out_for_reading(text: str, pretty: str) -> None:
    assert pretty_json(text) == pretty


def everywhere(text: str) -> Turn:
    """A turn that has `text` wherever others can put it."""
    return turn(
        message(text),
        message(f"```{text}\n{text}\n```", "m2", text),
        reasoning(text),
        call(text, "1", text),
        result(text),
        Item("a", ItemKind.APPROVAL, text, text, "2"),
        result(text, "3"),
        Item("n", ItemKind.NOTICE, text, text),
        prompt=text,
        status=TurnStatus.FAILED,
        notes=(text,),
        error=Failure(text, text, text),
        finish=text,
    )


@pytest.mark.fault(
    "T01",
    "T02",
    "T03",
    "T04",
    "T05",
    "T06",
    "T07",
    "T09",
    "T19",
    "T20",
    "T21",
    "T22",
    "T24",
    "T25",
    "T26",
    "T27",
    "T28",
)
@pytest.mark.parametrize("text", payloads())
def test_nothing_to_obey_is_drawn_wherever_it_comes_from(text: str) -> None:
    blocks = TurnBlocks(everywhere(text))
    for block in blocks.blocks:
        if isinstance(block, FoldBlock):
            block.toggle()
    on = ground(40)
    lines = [line for unit in blocks.units() for line in unit.lines(on)]
    assert_fits(lines, 40)
    assert not FORBIDDEN.search("".join(line.text for line in lines))
    gate = Gate()
    for line in lines:
        assert gate.apply(line.segments, None) is line.segments
        assert not any(segment.style and (segment.style.meta or segment.style.link) for segment in line.segments)


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("a\x1b]52;c;x\x07b", "a␛]52;c;x␇b"),
        ("a\x9b2Jb", "a\ufffd2Jb"),
        ("\x1b[31mred", "␛[31mred"),
        ("safe\revil\b", "safe␍evil␈"),
        ("a\u202eb\u200f", "a<U+202E>b"),
        ("a\U000e0041\U000e0042", "a⟨2 hidden characters⟩"),
        ("Z" + "\u0301" * 400, "Z" + "\u0301" * 8),
        ("a\ud800", "a\ufffd"),
        ("a\tb", "a    b"),
    ],
)
def test_what_is_drawn_instead(text: str, drawn: str) -> None:
    one = turn(message(text), call(text), result(text), prompt=text, notes=(text,))
    lines = unfolded(one)
    assert lines[1] == drawn
    assert lines[3].replace(" ", "") == drawn.replace(" ", "")
    assert lines[6].strip().replace(" ", "") == drawn.replace(" ", "")
    assert lines[8].strip() == drawn
    assert lines[-1].removeprefix("◆ ").replace(" ", "") == drawn.replace(" ", "")


@pytest.mark.fault("T10", "T11")
@pytest.mark.parametrize("text", [text for text in payloads("markup") if "\\" not in text and "](" not in text])
def test_markup_is_text_wherever_it_comes_from(text: str) -> None:
    whole = text_of(lines_of(TurnBlocks(replace(everywhere(text), prompt=text))))
    assert whole.count(text) >= 6


@pytest.mark.fault("T08")
@pytest.mark.parametrize(
    "text",
    ["a\x1b]52;c;eA==\x07b", "a\x9b2Jb", "a\r\nb\rc", "e" + "\u0301" * 30 + "f", "a\U000e0041\U000e0042b", "👩‍👩‍👧"],
)
def test_what_comes_in_parts_is_drawn_as_the_whole(text: str) -> None:
    block = MessageBlock(message(""))
    for end in range(len(text) + 1):
        assert block.update(message(text[:end]))
        assert not FORBIDDEN.search("".join(line.text for line in lines_of(block)))
    assert shown(lines_of(block)) == shown(lines_of(MessageBlock(message(text))))
