"""The reading of what a terminal was sent: it lets pass what Palaver writes, and nothing else."""

from __future__ import annotations

import base64

import pytest

from tests.payloads import payloads
from tests.sequences import SEQUENCES, bare, for_a_model, read, whole
from tui.text import FORBIDDEN, clean

OBEYED = [one for one in payloads() if FORBIDDEN.search(one.replace("\n", "").replace("\t", ""))]


def sent(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    "frame",
    [
        "\x1b[?1049h\x1b[?25l\x1b[?1004h\x1b[>1u\x1b[?2026h\x1b[1;1H\x1b[0;1;38;2;1;2;255;48;5;8mtext\x1b[0m\x1b[2J\x1b[?2026l\r\n",
        "\x1b[?2048$p\x1b[?1006h\x1b]22;pointer\x07\x1b[<u",
        "\x1b]9;Palaver: a name; 漢字\x07\x1b]777;notify;Palaver;a name\x07",
        "漢字 שלום e\u0301 👩\u200d🔬 <U+202E> ␛]0;x␇",
    ],
)
def test_what_palaver_writes_is_right(frame: str) -> None:
    assert read(sent(frame)).wrong == []


@pytest.mark.parametrize("payload", OBEYED)
def test_each_payload_that_is_obeyed_is_wrong_as_it_came_and_right_once_clean(payload: str) -> None:
    assert read(sent(payload), sequences=False, layout="\n").wrong
    assert not read(sent(clean(payload)), sequences=False, layout="\n").wrong


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("\x1b]0;x\x07", "OSC"),
        ("\x1b]8;;http://a\x1b\\", "OSC"),
        ("\x1b]52;c;?\x07", "OSC"),
        ("\x1b]22;text", "OSC"),
        ("\x1b]9;a name\x07", "OSC"),
        ("\x1b]9;Palaver: a\x1b[2Jb\x07", "OSC"),
        ("\x1b]9;Palaver: a\u202eb\x07", "bidi"),
        ("\x1bP$qm\x1b\\", "DCS"),
        ("\x1b_G\x1b\\", "APC"),
        ("\x1b^x\x1b\\", "PM"),
        ("\x1bXx\x1b\\", "SOS"),
        ("\x1b[6n", "CSI"),
        ("\x1b[3J", "CSI"),
        ("\x1b[8m", "CSI: concealed"),
        ("\x1b[0;1;8m", "CSI: concealed"),
        ("\x1b[5m", "CSI: a strange style"),
        ("\x1b[38;2;1;2m", "CSI: no colour"),
        ("\x1b[?1049;5h", "CSI"),
        ("\x1bc", "ESC"),
        ("\x1b", "ESC"),
        ("\x9b2J", "C1"),
        ("\x07", "control"),
        ("\t", "control"),
        ("\u202e", "bidi"),
        ("\u200b", "hidden"),
        ("\u2028", "line end"),
        ("\U000e0041", "tag"),
        ("e" + "\u0301" * 9, "marks"),
    ],
)
def test_each_kind_is_told_by_its_name(text: str, kind: str) -> None:
    assert read(sent(text)).wrong[0].startswith(kind)


def test_bytes_that_are_no_characters_are_wrong() -> None:
    assert read(b"a\x9b31mb").wrong[0].startswith("not UTF-8")
    assert read(b"\xed\xa0\x80").wrong[0].startswith("not UTF-8")


def test_a_colour_with_an_eight_in_it_conceals_nothing() -> None:
    reading = read(b"\x1b[38;5;8m\x1b[48;2;8;8;8mx\x1b[0m")
    assert not reading.wrong
    assert reading.seen == {"colours": 3}


def test_a_copy_is_read_as_well() -> None:
    fine, evil = (base64.b64encode(text).decode() for text in (b"fine\n\ttext", b"a\x1b[2J"))
    assert read(f"\x1b]52;c;{fine}\x07".encode()).copied == ["fine\n\ttext"]
    assert "CSI" in read(f"\x1b]52;c;{evil}\x07".encode()).wrong[0]


def test_without_sequences_even_a_colour_is_wrong() -> None:
    assert read(b"\x1b[1m", sequences=False).wrong[0].startswith("CSI")


def test_a_sequence_or_a_character_that_is_not_whole_yet_waits() -> None:
    for full in (b"\x1b[1;2H", b"\x1b]52;c;eA==\x07", "é漢😀".encode()):
        for cut in range(len(full) + 1):
            kept = whole(b"ab" + full[:cut])
            assert for_a_model(b"ab" + full[:cut][: kept - 2]).isprintable() or kept == 2 + len(full)
            assert read((b"ab" + full[:cut])[:kept]).wrong == []
        assert whole(b"ab" + full) == 2 + len(full)


def test_what_takes_no_room_is_left_out_for_the_model_and_for_the_comparison() -> None:
    assert for_a_model("e\u0301 👩\u200d🔬\ufe0f\x1b[1m\r\n".encode()) == "e 👩🔬\x1b[1m\r\n"
    assert bare("e\u0301 a\n 👩\u200d🔬") == "ea👩🔬"
    assert len(SEQUENCES) == 15
