"""The scrollbar is painted again only where it would look different."""

from __future__ import annotations

import pytest
from textual.scrollbar import ScrollBarRender

from tui.app.transcript.scrollbar import thumb


@pytest.mark.parametrize("height", [1, 7, 36])
def test_a_scrollbar_is_left_alone_only_where_it_would_look_the_same(height: int) -> None:
    def look(total: int, above: float) -> list[tuple[str, str]]:
        drawn = ScrollBarRender.render_bar(
            height, total, 0 if total <= height else height, int(above * 8) / 8, thickness=1, vertical=True
        )
        return [(text, str(style)) for text, style, _ in drawn.segments]

    seen: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for total in (height, height + 1, 2 * height, 5 * height + 3, 999):
        for above in range(0, total - height + 1, 3):
            place = thumb(total, height, above)
            assert seen.setdefault(place, look(total, above)) == look(total, above)
    assert len(seen) > height
