"""The decoder of JSON lines: however they are cut, floods of blank lines, limits."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.client.ndjson import LineDecoder
from tui.client.sse import TooLarge

BODY = '\ufeff{"a": 1}\r\n\n  \n{"b": "\u2028\x85 日本"}\n{"c": 3}'.encode()


def decode(*chunks: bytes) -> list[str]:
    """All lines, the unfinished one at the end among them."""
    decoder = LineDecoder()
    lines = [event.data for chunk in chunks for event in decoder.feed(chunk)]
    last = decoder.end()
    return [*lines, last.data] if last else lines


def test_lines_end_at_line_feeds_only() -> None:
    assert decode(BODY) == ['{"a": 1}', '{"b": "\u2028\x85 日本"}', '{"c": 3}']


@pytest.mark.parametrize("size", range(1, 9))
def test_how_they_are_cut_makes_no_difference(size: int) -> None:
    assert decode(*(BODY[at : at + size] for at in range(0, len(BODY), size))) == decode(BODY)


@given(st.lists(st.binary(max_size=8)))
def test_any_bytes_in_any_pieces(chunks: list[bytes]) -> None:
    assert decode(*chunks) == decode(b"".join(chunks))


def test_invalid_bytes_are_replaced() -> None:
    assert decode(b'{"a": "\xff"}\n') == ['{"a": "\ufffd"}']


@pytest.mark.fault("N26")
def test_a_line_without_an_end_is_given_up() -> None:
    decoder = LineDecoder(limit=100)
    for _ in range(10):
        assert list(decoder.feed(b"x" * 10)) == []
    with pytest.raises(TooLarge):
        list(decoder.feed(b"x"))


def test_a_flood_of_blank_lines_costs_nothing() -> None:
    decoder = LineDecoder()
    tracemalloc.start()
    try:
        for _ in range(100):
            assert list(decoder.feed(b"\n" * 10_000)) == []
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_only_the_first_line_can_begin_with_a_mark() -> None:
    assert decode(b"\n\xef\xbb\xbf1\n\xef\xbb\xbf2\n") == ["1", "\ufeff2"]


def test_only_spaces_tabs_and_line_ends_are_taken_off() -> None:
    assert decode(b"\t X\x0b1X \r\n\x0c2\x0c\r\r\n") == ["X\x0b1X", "\x0c2\x0c"]
