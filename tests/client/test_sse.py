"""The event decoder: the standard's vectors however they are cut, floods, limits, and a slow second opinion."""

from __future__ import annotations

import json
import re
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.client.sse import LIMIT, Decoder, ServerSentEvent, TooLarge

VECTORS = [json.loads(line) for line in (Path(__file__).parent / "sse-vectors.jsonl").read_text("utf-8").splitlines()]
MIB = 1024 * 1024


def body_of(vector: dict[str, str]) -> bytes:
    return bytes.fromhex(vector["hex"]) if "hex" in vector else vector["text"].encode()


def expected(vector: dict[str, list[list[str]]]) -> list[ServerSentEvent]:
    return [ServerSentEvent(data, name, last_id) for name, data, last_id in vector["events"]]


def decode(*chunks: bytes) -> tuple[list[ServerSentEvent], int | None]:
    """What a new decoder makes of `chunks`: the events, and the reconnection time asked for."""
    decoder = Decoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events, decoder.retry


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def reference(body: bytes) -> tuple[list[ServerSentEvent], int | None]:
    """WHATWG HTML 9.2.6, word for word and slowly: the whole stream as text, line after line."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    *lines, _unfinished = re.split("\r\n|\n|\r", text)
    data, event_type, last_id, last_id_buffer, retry = "", "", "", "", None
    events = []
    for line in lines:
        if line == "":
            last_id = last_id_buffer
            if data == "":
                event_type = ""
                continue
            events.append(ServerSentEvent(data.removesuffix("\n"), event_type or "message", last_id))
            data, event_type = "", ""
            continue
        if line.startswith(":"):
            continue
        field, colon, value = line.partition(":")
        if colon and value.startswith(" "):
            value = value[1:]
        if field == "event":
            event_type = value
        elif field == "data":
            data += value + "\n"
        elif field == "id" and "\0" not in value:
            last_id_buffer = value
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            retry = int(value)
    return events, retry


# The standard's vectors


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 7])
@pytest.mark.fault("N21", "N22", "N23", "N24")
def test_a_vector_in_pieces_of_one_size(vector: dict[str, object], size: int) -> None:
    body = body_of(vector)
    assert decode(*cut(body, size or max(len(body), 1))) == (expected(vector), vector.get("retry_ms"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
@pytest.mark.fault("N24")
def test_a_vector_cut_in_two_anywhere(vector: dict[str, object]) -> None:
    body = body_of(vector)
    wanted = (expected(vector), vector.get("retry_ms"))
    for at in range(len(body) + 1):
        assert decode(body[:at], body[at:]) == wanted, f"cut at {at}"


def test_there_are_all_the_vectors() -> None:
    assert len(VECTORS) == 61
    assert len({vector["name"] for vector in VECTORS}) == 61


def test_the_reference_agrees_with_every_vector() -> None:
    for vector in VECTORS:
        assert reference(body_of(vector)) == (expected(vector), vector.get("retry_ms")), vector["name"]


# A second opinion

VALUES = st.text(
    st.sampled_from("ab09 :\t\u2028\u2029\x85\x0b\x0c\x1c\0é€\U0001f600\ufeff")
    | st.characters(codec="utf-8", exclude_characters="\r\n"),
    max_size=6,
)
FIELDS = st.sampled_from(
    ["data", "data", "data", "event", "id", "retry", "", "dat", "data ", "Data", "x", "\ufeffdata"]
)
NUMBERS = st.text(st.sampled_from("0123456789"), min_size=1, max_size=12)
LINES = st.one_of(
    st.builds(
        lambda field, colon, value: (field + colon + value).encode(), FIELDS, st.sampled_from([":", ": "]), VALUES
    ),
    st.builds(lambda value: f"retry: {value}".encode(), NUMBERS | VALUES),
    FIELDS.map(str.encode),
    st.just(b""),
    st.just(b""),
    st.binary(max_size=5).map(lambda raw: b"data:" + raw.replace(b"\r", b"").replace(b"\n", b"")),
)
ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])
STREAMS = st.builds(
    lambda start, lines, rest: start + b"".join(line + end for line, end in lines) + rest,
    st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf", b"\xef\xbb", b"\xef"]),
    st.lists(st.tuples(LINES, ENDS), max_size=10),
    st.sampled_from([b"", b"data: rest", b"\r"]),
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(STREAMS, st.lists(st.integers(0, 400), max_size=12))
@pytest.mark.fault("N24")
def test_any_stream_cut_anyhow_is_read_as_the_standard_says(body: bytes, places: list[int]) -> None:
    wanted = reference(body)
    assert decode(body) == wanted
    at = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    assert decode(*(body[start:stop] for start, stop in pairwise(at))) == wanted
    assert decode(*cut(body, 1)) == wanted


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_at_all_are_read_as_the_standard_says(body: bytes, at: int) -> None:
    assert decode(body[:at], body[at:]) == reference(body)


# The end of a stream


@pytest.mark.parametrize(
    ("body", "last"),
    [
        (b"data: cut", ServerSentEvent("cut")),
        (b"data: cut\n", ServerSentEvent("cut")),
        (b"event: error\ndata: one\ndata: two\r", ServerSentEvent("one\ntwo", "error")),
        (b"id: 7\ndata: a\n\ndata: b", ServerSentEvent("b", "message", "7")),
        (b"data: caf\xc3", ServerSentEvent("caf\ufffd")),
        (b"data: a\n\n", None),
        (b"event: error\n", None),
        (b": comment", None),
        (b"", None),
        (b"\xef\xbb", None),
    ],
)
def test_what_the_stream_broke_off_in_is_given_at_its_end(body: bytes, last: ServerSentEvent | None) -> None:
    for size in (1, 3, len(body) or 1):
        decoder = Decoder()
        for chunk in cut(body, size):
            list(decoder.feed(chunk))
        assert decoder.end() == last


def test_events_come_with_the_chunk_that_completes_them() -> None:
    decoder = Decoder()
    assert list(decoder.feed(b"data: a\n\ndata: b\n")) == [ServerSentEvent("a")]
    assert list(decoder.feed(b"\r\n")) == [ServerSentEvent("b")]
    assert list(decoder.feed(b"data: c\r\r")) == [ServerSentEvent("c")]


@pytest.mark.parametrize("ends", [b"\r\n\n", b"\r\n\r\n", b"\r\n\r", b"\r\r\n", b"\n\r\n", b"\r\r", b"\n\r"])
@pytest.mark.fault("N23")
def test_line_ends_of_every_kind_in_single_bytes(ends: bytes) -> None:
    assert decode(*cut(b"data: a" + ends + b"data: b" + ends, 1))[0] == [ServerSentEvent("a"), ServerSentEvent("b")]


# Floods and limits


def peak(chunks: Iterator[bytes]) -> tuple[int, int]:
    """How many events `chunks` make, and how much memory decoding them took at most."""
    decoder, count = Decoder(), 0
    tracemalloc.start()
    try:
        for chunk in chunks:
            for _ in decoder.feed(chunk):
                count += 1
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def fed_until_too_large(decoder: Decoder, chunks: Iterator[bytes]) -> tuple[int, int]:
    """How many bytes `decoder` took before it gave up, and how much memory that took at most."""
    fed = 0
    tracemalloc.start()
    try:
        for chunk in chunks:
            list(decoder.feed(chunk))
            fed += len(chunk)
    except TooLarge:
        return fed, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    raise AssertionError("it took everything")


def repeated(block: bytes, size: int) -> Iterator[bytes]:
    """`size` bytes of `block` after `block`, in chunks of 64 KiB."""
    chunk = block * (65536 // len(block))
    for _ in range(size // len(chunk)):
        yield chunk


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
def test_a_flood_of_empty_lines_costs_nothing(line_end: bytes) -> None:
    def flood() -> Iterator[bytes]:
        yield from repeated(line_end, 16 * MIB)
        yield b"data: a" + line_end
        yield from repeated(line_end, 4 * MIB)
        yield b"id: 1" + line_end
        yield from repeated(line_end, 4 * MIB)

    count, memory = peak(flood())
    assert count == 1
    assert memory < MIB


@pytest.mark.parametrize("block", [b": ping\n\n", b"event: ping\n\n", b"retry: 5\n\n", b"nonsense\n", b"id: 1\n\n"])
def test_a_flood_of_what_says_nothing_costs_nothing(block: bytes) -> None:
    count, memory = peak(repeated(block, MIB // 2))
    assert count == 0
    assert memory < MIB


def test_empty_lines_are_passed_over_in_one_step() -> None:
    def steps(count: int) -> int:
        calls = 0

        def note(_frame: FrameType, event: str, _: object) -> None:
            nonlocal calls
            calls += event == "call"

        sys.setprofile(note)
        try:
            assert list(Decoder().feed(b"\n" * count)) == []
        finally:
            sys.setprofile(None)
        return calls

    assert steps(1000) == steps(1)


@pytest.mark.fault("N25")
def test_a_line_as_long_as_the_limit_is_read() -> None:
    decoder = Decoder()
    text = b"x" * (LIMIT - len(b"data: "))
    for chunk in cut(b"data: " + text, MIB):
        assert not list(decoder.feed(chunk))
    [event] = decoder.feed(b"\n\n")
    assert event.data == text.decode()


@pytest.mark.fault("N26")
def test_a_line_that_never_ends_stops_at_the_limit_and_holds_no_more_than_that() -> None:
    fed, memory = fed_until_too_large(Decoder(), repeated(b"data:xyz", 64 * MIB))
    assert fed <= LIMIT
    assert memory < 2 * LIMIT + MIB


@pytest.mark.fault("N26")
@pytest.mark.parametrize("block", [b"data: ab\n", b"data:\n"])
def test_an_event_that_never_ends_stops_at_the_limit_and_holds_no_more_than_that(block: bytes) -> None:
    assert fed_until_too_large(Decoder(MIB // 4), repeated(block, 16 * MIB))[1] < MIB


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
@pytest.mark.parametrize(
    ("body", "fits"),
    [
        (b"data:" + b"x" * 95 + b"\n\n", True),
        (b"data:" + b"x" * 96 + b"\n\n", False),
        (b":" + b"x" * 99 + b"\n\n", True),
        (b":" + b"x" * 100 + b"\n\n", False),
        (b"data: 123456789\n" * 10 + b"\n", True),
        (b"data: 123456789\n" * 10 + b"data\n\n", False),
        (b"data:\n" * 100 + b"\n", True),
        (b"data:\n" * 101 + b"\n", False),
        (b"data: 123456789\n\n" * 50, True),
    ],
)
def test_where_a_stream_was_cut_does_not_move_the_limit(body: bytes, fits: bool, size: int) -> None:
    def read() -> list[ServerSentEvent]:
        decoder = Decoder(100)
        return [event for chunk in cut(body, size) for event in decoder.feed(chunk)]

    if fits:
        assert read() == decode(body)[0]
    else:
        with pytest.raises(TooLarge):
            read()


def test_events_before_one_that_is_too_large_are_given() -> None:
    decoder = Decoder(100)
    events = decoder.feed(b"data: a\n\ndata: " + b"x" * 200 + b"\n\n")
    assert next(events) == ServerSentEvent("a")
    with pytest.raises(TooLarge):
        next(events)


def test_a_reconnection_time_of_many_digits_is_not_a_number_worth_having() -> None:
    assert decode(b"retry: " + b"9" * 5000 + b"\n\n")[1] is None


@pytest.mark.parametrize(
    ("body", "data"), [(b"\xef\xbb", None), (b"\xef\xbbx: 1\ndata: a", "a"), (b"\xefdata: a", None)]
)
def test_a_mark_that_is_not_whole_is_part_of_its_line(body: bytes, data: str | None) -> None:
    decoder = Decoder()
    assert [event for byte in body for event in decoder.feed(bytes([byte]))] == []
    event = decoder.end()
    assert (event.data if event else None) == data


def test_half_a_mark_counts_towards_the_limit_of_a_line() -> None:
    decoder = Decoder(limit=1)
    assert list(decoder.feed(b"\xef\xbb")) == []
    with pytest.raises(TooLarge):
        decoder.end()


def test_a_whole_mark_leaves_nothing_to_end_with() -> None:
    decoder = Decoder(limit=1)
    assert list(decoder.feed(b"\xef\xbb\xbf")) == []
    assert decoder.end() is None
    assert Decoder(limit=1).end() is None


def test_bytes_that_are_no_text_are_replaced_in_names_and_ids_too() -> None:
    events, _ = decode(b"id: a\xff\nevent: b\xff\ndata: c\xff\n\n")
    assert events == [ServerSentEvent("c\ufffd", "b\ufffd", "a\ufffd")]


def test_lines_of_data_count_together_towards_the_limit() -> None:
    assert [event.data for event in Decoder(limit=12).feed(b"data:aaaa\ndata:bbbb\n\n")] == ["aaaa\nbbbb"]
    with pytest.raises(TooLarge):
        list(Decoder(limit=12).feed(b"data:aaaa\ndata:bbbb\ndata:cc\n\n"))


def test_a_reconnection_time_has_fifteen_digits_at_most() -> None:
    assert decode(b"retry: " + b"9" * 15 + b"\n\n")[1] == 10**15 - 1
    assert decode(b"retry: " + b"9" * 16 + b"\n\n")[1] is None
