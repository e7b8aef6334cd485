"""The list of what a search has found: what of it can be chosen, and what of it is drawn."""

from __future__ import annotations

from dataclasses import replace

from textual.app import App, ComposeResult
from textual.geometry import Size

from tui.app.widgets.hit_list import HitList, rows_of
from tui.found import Hit, SessionHits


def a_hit(passage: str, *marks: tuple[int, int]) -> Hit:
    return Hit("turn", 0, "user", 0.0, passage, marks)


NAMED = SessionHits("1", "sql", "Of SQL", 0.0, (a_hit("SQL is old", (0, 3)),), 1, is_named=True)
OTHER = SessionHits("2", "other", "", 0.0, (a_hit("one SQL", (4, 7)), a_hit("two SQL", (4, 7))), 1234)


class _Listing(App[None]):
    """A list, and what was clicked in it."""

    CSS = "HitList { height: auto; max-height: 100%; }"

    def __init__(self) -> None:
        super().__init__()
        self.hits = HitList()
        self.clicked: list[int | None] = []

    def compose(self) -> ComposeResult:
        yield self.hits

    def on_hit_list_clicked(self, _event: HitList.Clicked) -> None:
        self.clicked.append(self.hits.cursor)

    @property
    def lines(self) -> list[str]:
        return [self.hits.render_line(y).text for y in range(self.hits.size.height)]


async def test_headings_are_passed_over_unless_their_name_was_looked_for() -> None:
    app = _Listing()
    async with app.run_test(size=(60, 8)) as pilot:
        app.hits.show(rows_of([NAMED, OTHER]))
        await pilot.pause()
        assert app.hits.size == Size(60, 5)
        passed = []
        for step in (0, 1, 1, 1, 1, -10):
            app.hits.move(step)
            passed.append(app.hits.cursor)
        assert passed == [0, 1, 3, 4, 4, 0]
        app.hits.show(rows_of([OTHER, NAMED]), 2)
        assert app.hits.cursor == 2
        app.hits.show(rows_of([OTHER]), 0)
        assert app.hits.cursor == 1
        app.hits.show([])
        assert app.hits.cursor is None
        app.hits.move(1)
        assert app.hits.cursor is None


async def test_a_click_chooses_what_can_be_chosen() -> None:
    app = _Listing()
    async with app.run_test(size=(60, 8)) as pilot:
        app.hits.show(rows_of([NAMED, OTHER]))
        await pilot.pause()
        for y in (2, 4, 0):
            await pilot.click(HitList, offset=(5, y))
        assert app.clicked == [4, 0]


async def test_a_line_says_what_fits_into_it() -> None:
    app = _Listing()
    async with app.run_test(size=(60, 8)) as pilot:
        wide = a_hit("汉" * 40, (0, 2))
        app.hits.show(rows_of([NAMED, replace(OTHER, hits=(*OTHER.hits, wide))]))
        await pilot.pause()
        assert app.lines[0] == f"{'Of SQL  sql':<60}"
        assert app.lines[2] == f"{'other  3 of 1,234':<60}"
        assert app.lines[3].endswith(f"  you     {'one SQL':<32}")
        assert app.lines[5].endswith(f"  you     {'汉' * 15}… ")
        (match,) = [one for one in app.hits.render_line(3) if one.text == "SQL"]
        (plain,) = [one for one in app.hits.render_line(3) if one.text == "one "]
        assert match.style != plain.style


async def test_the_highlighted_line_is_in_view_and_has_a_ground_of_its_own() -> None:
    app = _Listing()
    async with app.run_test(size=(60, 3)) as pilot:
        app.hits.show(rows_of([OTHER, NAMED]))
        await pilot.pause()
        app.hits.move(10)
        await pilot.pause()
        assert app.hits.scroll_offset.y == 2
        grounds = [{one.style.bgcolor for one in app.hits.render_line(y) if one.style} for y in range(3)]
        assert grounds[0] == grounds[1] != grounds[2]
        app.hits.move(-10)
        await pilot.pause()
        assert app.hits.scroll_offset.y == 0
