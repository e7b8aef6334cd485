"""The window on a session: it stays where it is while no more is drawn than is seen."""

from __future__ import annotations

import random

import pytest

from tests.app.transcript.drawing import STYLED, document
from tests.app.transcript.looking import HEIGHT, Session, all_texts, talk, turn
from tui.app.transcript import blocks as blocks_module
from tui.app.transcript.blocks import Ground
from tui.app.transcript.folds import FoldBlock
from tui.app.transcript.palette import Palette
from tui.app.transcript.pieces import Piece, Splitter
from tui.app.transcript.selection import depth_of
from tui.app.transcript.viewport import MOST_LINES, Place, Row
from tui.app.transcript.wrap import Line
from tui.model import Item, ItemKind, Turn, TurnStatus


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Piece]:
    """The pieces of messages that were drawn."""
    pieces: list[Piece] = []
    draw = blocks_module.draw_piece

    def counted(piece: Piece, ground: Ground, links: dict[str, object]) -> list[Line]:
        pieces.append(piece)
        return draw(piece, ground, links)

    monkeypatch.setattr(blocks_module, "draw_piece", counted)
    return pieces


def test_it_opens_at_the_end() -> None:
    session = Session(talk(30))
    session.bring()
    assert session.texts() == all_texts(session.turns)[-HEIGHT:]
    assert session.port.following
    assert session.port.is_at_end()


def test_it_opens_at_the_place_it_was_left() -> None:
    turns = [turn(depth, "\n\n".join(f"{depth}.{number}" for number in range(40))) for depth in range(100)]
    for depth in (50, 99):
        session = Session(turns, place=Place(depth, 5, 1))
        session.bring()
        assert session.port.place == Place(depth, 5, 1)
        assert session.texts()[:3] == [f"{depth}.4", "", f"{depth}.5"]
        assert not session.port.following


@pytest.mark.parametrize("count", [0, 1, 2])
def test_what_is_shorter_than_the_window_begins_at_its_top(count: int) -> None:
    turns = [turn(depth, "short") for depth in range(count)]
    session = Session(turns)
    session.bring()
    assert session.texts() == all_texts(turns)
    assert session.port.place == Place()
    assert session.port.is_at_end()
    session.port.move(-5)
    session.port.move(5)
    assert session.texts() == all_texts(turns)


def test_a_place_that_is_no_more_is_the_nearest_there_is() -> None:
    session = Session(talk(3), place=Place(50, 9, 9))
    session.bring()
    assert session.texts() == all_texts(session.turns)[-HEIGHT:]


@pytest.mark.parametrize("lines", [1, 3, HEIGHT])
def test_a_place_in_a_turn_that_has_not_come_can_be_left_upwards(lines: int) -> None:
    session = Session(talk(30), place=Place(20, 5, 1))
    before = session.texts()
    session.port.move(-lines)
    assert session.port.place <= Place(20, 5, 0)
    session.bring()
    assert session.texts() != before
    assert all(text in all_texts(session.turns) for text in session.texts())


def test_a_place_beyond_what_its_turn_is_now_is_left_upwards_from_where_it_is_shown() -> None:
    session = Session(talk(30), place=Place(10, 99, 0))
    session.bring()
    shown = session.texts()
    session.port.move(-3)
    assert session.texts()[3:] == shown[:-3]


def test_the_end_is_followed_while_it_grows() -> None:
    session = Session(talk(30))
    session.bring()
    for words in range(1, 60):
        newest = turn(30, "\n\n".join(f"line {number}" for number in range(words)), status=TurnStatus.STREAMING)
        session.port.put([newest])
        session.port.update()
        assert session.texts()[-1] == f"line {words - 1}"
    assert session.port.following


def test_who_moved_up_is_left_where_they_are_while_the_end_grows() -> None:
    session = Session(talk(30))
    session.bring()
    session.port.move(-15)
    before = session.texts()
    for words in range(1, 20):
        session.port.put([turn(30, "\n\n".join(["more"] * words), status=TurnStatus.STREAMING)])
        session.port.update()
        assert session.texts() == before
    assert not session.port.is_at_end()
    session.port.move(1000)
    assert session.port.following
    assert session.texts()[-1] == "more"


@pytest.mark.parametrize("step", [1, 3, 19, 200])
def test_moving_up_to_the_first_line_and_down_again_shows_every_line(step: int) -> None:
    turns = talk(150)
    session = Session(turns)
    session.bring()
    lines = all_texts(turns)
    at = len(lines) - HEIGHT
    moves = 0
    while session.port.place != Place():
        session.port.move(-step)
        session.bring()
        at = max(0, at - step)
        if step < 200:
            assert session.texts() == lines[at : at + HEIGHT]
        moves += 1
        assert moves <= len(lines)
    assert session.texts() == lines[:HEIGHT]
    at = 0
    while not session.port.following:
        session.port.move(step)
        session.bring()
        at = min(len(lines) - HEIGHT, at + step)
        assert session.texts() == lines[at : at + HEIGHT]
    assert set(session.all_asked.values()) == {1}


def test_nothing_moves_on_the_screen_when_turns_come_late() -> None:
    turns = talk(500)
    session = Session(turns)
    session.bring()
    rng = random.Random(3)
    for _ in range(250):
        before = session.known()
        session.port.move(-rng.choice([1, 2, 5, 12]))
        where = {row.key: y for y, row in enumerate(session.port.rows) if row.unit is not None}
        stays = {key: y for key, y in where.items() if key in before}
        session.bring()
        after = {row.key: y for y, row in enumerate(session.port.rows)}
        assert stays
        assert {key: after.get(key) for key in stays} == stays


def test_a_jump_to_turns_that_are_not_at_hand_stays_in_the_turn() -> None:
    turns = talk(1000)
    session = Session(turns)
    session.bring()
    for line in (0, 777, 5000, 9999):
        session.port.go_to(session.port.locate(line))
        depth = session.port.place.depth
        assert session.port.rows[0].line.text == "…"
        session.bring()
        assert session.port.place.depth == depth
        assert depth_of(session.port.rows[0].key) == depth
        assert session.known()
        assert len(session.port.rows) == HEIGHT


def test_heights_that_become_known_never_move_the_text() -> None:
    turns = [turn(depth, document(depth)) for depth in range(60)]
    session = Session(turns, at_hand=60)
    rng = random.Random(5)
    for _ in range(300):
        lines = rng.choice([-1, -3, -19, 1, 3])
        before = session.texts()
        session.port.move(lines)
        after = session.texts()
        moved = after[-lines:] if lines < 0 else after[: HEIGHT - lines]
        still = before[: HEIGHT + lines] if lines < 0 else before[lines:]
        assert moved == still or session.port.following or session.port.place == Place()
        session.port.update()
        assert session.texts() == after


def test_what_changes_above_in_the_same_turn_leaves_the_text_where_it_is() -> None:
    items = (
        Item("r", ItemKind.REASONING, "line\n\n" * 30),
        Item("m", ItemKind.MESSAGE, "\n\n".join(map(str, range(60)))),
    )
    session = Session([Turn("0", "s", 0, "Prompt", TurnStatus.DONE, items)], at_hand=1)
    session.port.move(-20)
    before = session.texts()
    turn_blocks = session.port.at_hand.blocks_of(0)
    assert turn_blocks is not None
    fold = turn_blocks.blocks[1]
    assert isinstance(fold, FoldBlock)
    fold.toggle()
    session.port.update()
    assert session.texts() == before
    fold.toggle()
    session.port.update()
    assert session.texts() == before


def test_lines_kept_are_bounded() -> None:
    turns = [turn(depth, "\n\n".join(f"{depth}.{number}" for number in range(600))) for depth in range(12)]
    session = Session(turns, at_hand=12)
    for _ in range(150):
        session.port.move(-100)
    kept = 0
    for depth in session.port.at_hand.depths():
        turn_blocks = session.port.at_hand.blocks_of(depth)
        assert turn_blocks is not None
        kept += sum(len(unit.lines_or_none or ()) for unit in turn_blocks.units())
    assert kept <= MOST_LINES + HEIGHT
    assert session.texts()[0] == ""


@pytest.mark.parametrize("count", [100, 100_000])
def test_a_screenful_costs_the_same_at_any_length(count: int, drawn: list[Piece]) -> None:
    some = talk(100)
    turns = some + [turn(depth, "word") for depth in range(100, count)]
    session = Session(turns, at_hand=48)
    session.bring()
    assert 1 <= len(drawn) <= HEIGHT
    assert len(session.port.at_hand.depths()) == 48
    drawn.clear()
    session.port.go_to(session.port.locate(session.port.layout.total // 2))
    session.bring()
    assert len(drawn) <= 2 * HEIGHT
    drawn.clear()
    session.port.update()
    assert not drawn


@pytest.mark.fault("T29", "T30")
@pytest.mark.parametrize(
    "text",
    [
        "A sentence of some words, and another.\n\n" * 25_000,
        "word " * 200_000,
        "x" * 1_000_000,
        "```python\n" + "x = [1, 2, 3]\n" * 70_000,
        "- item\n" * 140_000,
        "| a | b |\n|---|---|\n" + "| c | d |\n" * 100_000,
        "# Title\n\n" * 60_000,
    ],
    ids=["paragraphs", "line", "word", "fence", "list", "table", "headings"],
)
def test_of_a_megabyte_only_what_is_seen_is_drawn(text: str, drawn: list[Piece]) -> None:
    session = Session([*talk(3), turn(3, text)], at_hand=4)
    assert len(session.port.rows) == HEIGHT
    assert sum(len(piece.source) for piece in drawn) < 30_000
    assert len(drawn) <= HEIGHT
    for lines in (-5, -50, 20):
        drawn.clear()
        session.port.move(lines)
        assert sum(len(piece.source) for piece in drawn) < 60_000
    drawn.clear()
    session.port.put([turn(3, text + "\n\nend", status=TurnStatus.STREAMING)])
    session.port.following = True
    session.port.update()
    assert session.texts()[-1].strip() == "end"
    assert len(drawn) <= 4


@pytest.mark.parametrize("widths", [(60, 30, 100, 60), (60, 10, 116)])
def test_another_width_keeps_the_place(widths: tuple[int, ...]) -> None:
    turns = [
        turn(depth, "\n\n".join(f"{depth}:{number} " + "word " * 60 for number in range(8))) for depth in range(80)
    ]
    session = Session(turns, place=Place(40), at_hand=80)
    session.port.move(23)
    top = next(row.line.text for row in session.port.rows if ":" in row.line.text)
    for width in widths:
        session.port.resize(width, HEIGHT)
        session.port.update()
        assert session.port.place.depth == 40
        assert len(session.port.rows) == HEIGHT
    session.port.resize(60, HEIGHT)
    session.port.update()
    assert any(row.line.text == top for row in session.port.rows[:14])


def test_another_width_before_anything_came_keeps_the_turn() -> None:
    session = Session(talk(300), place=Place(150))
    for width in (20, 100, 60):
        session.port.resize(width, HEIGHT)
        session.port.update()
    session.bring()
    assert session.port.place.depth == 150
    assert session.texts()[1] == "Prompt 150"


def test_another_height_shows_more_of_the_same() -> None:
    session = Session(talk(50), place=Place(20), at_hand=50)
    before = session.texts()
    session.port.resize(60, HEIGHT * 2)
    session.port.update()
    assert session.texts()[:HEIGHT] == before
    assert len(session.texts()) == 2 * HEIGHT
    session.port.following = True
    session.port.resize(60, 5)
    session.port.update()
    assert session.texts() == all_texts(session.turns)[-5:]


def test_the_end_is_followed_through_any_change_of_size() -> None:
    session = Session(talk(50), at_hand=50)
    for width, height in [(20, 5), (100, 50), (60, 1), (60, 20)]:
        session.port.resize(width, height)
        session.port.update()
        assert session.port.following
        assert session.port.is_at_end()
        assert len(session.port.rows) == height


def test_the_scrollbar_tells_the_place_as_far_as_is_known() -> None:
    turns = talk(40)
    session = Session(turns, at_hand=40)
    lines = all_texts(turns)
    for depth in range(40):
        session.port.go_to(Place(depth))
    session.port.following = True
    session.port.update()
    assert session.port.position() == (len(lines) - HEIGHT, len(lines))
    session.port.go_to(Place())
    assert session.port.position() == (0, len(lines))
    session.port.move(7)
    assert session.port.position() == (7, len(lines))
    assert session.port.locate(7) == session.port.place


def test_the_place_of_every_line_is_where_it_is_told() -> None:
    session = Session(talk(20), at_hand=20)
    lines = all_texts(session.turns)
    for line in range(0, len(lines) - HEIGHT, 5):
        session.port.go_to(session.port.locate(line))
        assert session.texts() == lines[line : line + HEIGHT]


def test_turns_that_go_leave_a_window_on_what_is_left() -> None:
    session = Session(talk(40), at_hand=40)
    session.port.drop_from(10)
    session.port.update()
    assert session.texts() == all_texts(session.turns[:10])[-HEIGHT:]
    session.port.put([turn(10, "another", name="other")])
    session.port.update()
    assert session.texts()[-1] == "another"
    session.port.drop_from(0)
    session.port.update()
    assert session.texts() == []
    assert session.port.is_at_end()


def test_an_answer_that_ends_with_what_is_not_drawn_is_followed_to_its_end() -> None:
    session = Session([turn(0, "word\n\n" * 30 + "[a]: http://b\n\n[c]: http://d")], at_hand=1)
    assert session.texts()[-1] == "word"
    assert session.port.is_at_end()
    session.port.move(-3)
    assert not session.port.following
    session.port.move(3)
    assert session.port.following


def test_another_theme_draws_anew_in_the_same_place() -> None:
    session = Session([turn(depth, "*some* `code`") for depth in range(30)], place=Place(10), at_hand=30)
    before = session.texts()
    session.port.ground = Ground(60, STYLED)
    session.port.update()
    assert session.texts() == before
    styles = {segment.style for row in session.port.rows for segment in row.line.segments}
    assert STYLED.code in {style and style for style in styles}
    session.port.ground = Ground(60, Palette())
    session.port.update()
    assert session.texts() == before


def test_rows_know_what_they_belong_to() -> None:
    session = Session(talk(10), at_hand=10)
    keys = [row.key for row in session.port.rows]
    assert keys == sorted(set(keys))
    for row in session.port.rows:
        assert isinstance(row, Row)
        assert depth_of(row.key) == row.depth
        assert row.unit is not None
        assert row.unit.block is row.block


def test_only_what_is_looked_at_is_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page, a session opened or another width costs does not depend on what is at hand beyond the window."""
    turns = talk(200)
    end = all_texts(turns)[-HEIGHT:]
    fed: list[str] = []
    feed = Splitter.feed

    def counting(splitter: Splitter, text: str) -> None:
        fed.append(text)
        feed(splitter, text)

    monkeypatch.setattr(Splitter, "feed", counting)
    session = Session(turns, at_hand=48)
    session.port.resize(50, HEIGHT)
    session.port.update()
    assert session.texts() == end
    shown = {row.depth for row in session.port.rows}
    assert set(fed) == {turns[depth].text for depth in shown}
    fed.clear()
    session.port.put([turn(depth, f"{turns[depth].text}\n\nmore") for depth in range(160, min(shown))])
    session.port.update()
    assert fed == []


@pytest.mark.parametrize("direction", [-1, 1])
def test_the_next_page_is_ready_before_it_is_wanted(direction: int, drawn: list[Piece]) -> None:
    session = Session(talk(300), place=Place(150))
    session.bring()
    session.port.move(direction * (HEIGHT - 1))
    session.port.foresee(direction)
    session.bring()
    assert session.port.at_hand.blocks_of(0) is not None
    drawn.clear()
    before = session.texts()
    session.port.move(direction * (HEIGHT - 1))
    assert session.texts() != before
    assert drawn == []
    session.port.move(direction * (HEIGHT - 1))
    assert drawn
