"""Cleaning: what a terminal would obey, or a reader would miss, is made visible, however the text arrives."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.payloads import payloads
from tui.text import FORBIDDEN, MARK_LIMIT, Cleaner, cap_marks, clean, one_line, safe_url, shell_word, storable, typed

NASTY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "\x00\x07\x08\t\n\x0b\x0c\r\x1b\x7f\x80\x85\x9b\x9c\x9d\xad\u0301\u0489\u061c\u115f\u17b4\u180e\u200b\u200c"
            "\u200d\u200e\u200f\u2028\u202e\u2066\ufe0f\ufeff\ud800\udfff\U000e0041\U000e0100[]\\;a "
            "\u093e\u1160\u1161\ud7b0\ufff0\U0001bca0\U0001d165\U0001d173\U0001f3fb"
        ),
    )
)


def cleaned_in_parts(text: str, cuts: list[int]) -> str:
    cleaner = Cleaner()
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return "".join(cleaner.feed(text[start:end]) for start, end in pairwise(places)) + cleaner.flush()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b]52;c;eA==\x07b", "a␛]52;c;eA==␇b"),
        ("a\x1b]52;c;eA==\x1b\\b", "a␛]52;c;eA==␛\\b"),
        ("a\x1b]8;;http://x\x07b", "a␛]8;;http://x␇b"),
        ("a\x1b[2J\x1b[?1049hb", "a␛[2J␛[?1049hb"),
        ("a\x1bP$qm\x1b\\b\x0e\x0f", "a␛P$qm␛\\b␎␏"),
        ("a\x9d52;c;x\x9cb\x9b2J", "a\ufffd52;c;x\ufffdb\ufffd2J"),
        ("safe\revil\b\x0b\x0c\x07\x7f", "safe␍evil␈␋␌␇␡"),
        ("one\r\ntwo\n\rthree\r\r\n", "one\ntwo\n␍three\n"),
        ("a\x00b", "a␀b"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("a\u202eb\u2066c\u2069", "a<U+202E>b<U+2066>c<U+2069>"),
        ("שלום\u200f!\u200e \u061cمرحبا", "שלום! مرحبا"),
        ("a\u200bb\u2060\u2064\ufeff\xad\u3164\u115f", "a<U+200B>b<U+2060><U+2064><U+FEFF><U+00AD><U+3164><U+115F>"),
        ("می\u200cخواهم 👩\u200d🔬", "می\u200cخواهم 👩\u200d🔬"),
        ("hi\U000e0053\U000e0041\U000e0059", "hi⟨3 hidden characters⟩"),
        ("x\U000e0100y", "x⟨1 hidden character⟩y"),
        ("👩‍👩‍👧 🇩🇪 ❤️ 漢字", "👩‍👩‍👧 🇩🇪 ❤️ 漢字"),
        ("a\U0001d173b\U0001d17a\U0001bca0\U0001bca3", "a<U+1D173>b<U+1D17A><U+1BCA0><U+1BCA3>"),
        ("a\ud800b\udfff", "a\ufffdb\ufffd"),
        ("a\ufffeb\ue000\U0010fffd\u0378", "a\ufffeb\ue000\U0010fffd\u0378"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("\ta\tb", "    a    b"),
        ("", ""),
    ],
)
def test_what_would_be_obeyed_is_shown_instead(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize("text", payloads())
def test_nothing_forbidden_is_left_of_any_payload_however_it_is_cut(text: str) -> None:
    shown = clean(text)
    assert not FORBIDDEN.search(shown.replace("\n", ""))
    assert clean(shown) == shown
    for cut in range(len(text) + 1):
        assert cleaned_in_parts(text, [cut]) == shown
    assert cleaned_in_parts(text, list(range(len(text)))) == shown


@given(NASTY)
def test_clean_text_is_harmless_and_stays_as_it_is(text: str) -> None:
    shown = clean(text)
    assert not FORBIDDEN.search(shown.replace("\n", ""))
    assert clean(shown) == shown
    shown.encode()


@given(NASTY, st.lists(st.integers(0, 200), max_size=6))
def test_where_a_text_is_cut_never_changes_what_is_shown(text: str, cuts: list[int]) -> None:
    assert cleaned_in_parts(text, cuts) == clean(text)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)) | st.just("Übung naïve 漢字 дом مرحبا\nक्षि"))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    "mark",
    [
        *("\u0301", "\u0489", "\u20dd", "\ufe0f", "\u200d", "\u200c", "\u0e49", "\u093c", "\u05b0"),
        *("\u093e", "\u1161", "\u11a8", "\ud7b0", "\u302e", "\U0001d165", "\U0001f3fb", "\U00013430"),
    ],
)
def test_marks_without_end_are_capped(mark: str) -> None:
    shown = clean("e" + mark * 100_000 + "f")
    assert shown == "e" + mark * MARK_LIMIT + "f"
    assert clean(f"e{mark * MARK_LIMIT}f") == f"e{mark * MARK_LIMIT}f"
    cleaner = Cleaner()
    assert "".join(cleaner.feed(char) for char in "e" + mark * 300 + "f") == "e" + mark * MARK_LIMIT + "f"


def test_marks_of_all_kinds_count_together() -> None:
    shown = clean("e" + "\u0301\u0489\ufe0f\u200d\u05b0" * 1000)
    assert sum(unicodedata.category(char) != "Ll" for char in shown) == MARK_LIMIT


def test_words_of_many_letters_in_scripts_with_marks_stay_whole() -> None:
    words = "अन्तर्राष्ट्रीयकरण เครื่องคอมพิวเตอร์ والمستشفيات בינלאומי"
    assert clean(words) == words


def test_what_is_made_visible_is_what_may_not_be_in_a_line() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        assert (clean(char) == char) is (char == "\n" or not FORBIDDEN.match(char)), hex(code)


def test_whatever_takes_no_cell_is_capped() -> None:
    """As the program counts cells, of all characters there are."""
    for code in range(0x300, sys.maxunicode + 1):
        char = chr(code)
        if cell_len(f"a{char * 3}") == 1 and not FORBIDDEN.match(char):
            assert clean("a" + char * 40) == "a" + char * MARK_LIMIT, hex(code)


@pytest.mark.parametrize(
    "words",
    [
        "हिन्दी क्ष्म्य वाक्यांश",
        "தமிழ் சொற்றொடர்",
        "বাংলা কর্ত্তৃপক্ষ",
        "മലയാളം സ്വാതന്ത്ര്യം",
        "မြန်မာဘာသာ ကျွန်ုပ်",
        "བསྒྲུབས་ བཀྲ་ཤིས་",
        "ភាសាខ្មែរ ស្ត្រី",
        unicodedata.normalize("NFD", "한국어 문장을 읽습니다 닭값"),
        "👍🏽 👩🏿\u200d🔬",
    ],
)
def test_words_with_marks_that_have_their_place_stay_whole(words: str) -> None:
    assert clean(words * 20) == words * 20
    assert cleaned_in_parts(words, list(range(len(words)))) == words


@pytest.mark.parametrize("end", ["\r", "\u0301", "\u093e", "\u1161", "\U000e0041", "\u200e", "\r\u0301\U000e0041"])
def test_what_only_the_next_piece_decides_is_held_back_and_not_lost(end: str) -> None:
    cleaner = Cleaner()
    assert cleaner.feed("a" + end) == "a"
    assert cleaner.flush() == clean(end)
    assert cleaner.flush() == ""


@pytest.mark.parametrize(
    ("text", "limit", "line"),
    [
        ("  one\n\ttwo\r\nthree \u2028 four ", 100, "one two three four"),
        ("\x1b[2J", 100, "␛[2J"),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("ab cdefg", 4, "ab…"),
        (" " * 9000 + "late", 100, "late"),
        ("early" + " " * 9000 + "late", 100, "early…"),
        ("\n\n", 100, ""),
        ("[@click=app.quit]x[/]", 100, "[@click=app.quit]x[/]"),
    ],
)
def test_one_line_is_one_line(text: str, limit: int, line: str) -> None:
    assert one_line(text, limit) == line


@given(NASTY, st.integers(2, 50))
def test_one_line_is_short_harmless_and_stays_as_it_is(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert not FORBIDDEN.search(line)
    assert line == line.strip()
    assert one_line(line, limit) == line


@pytest.mark.parametrize(
    ("pasted", "kept"),
    [
        ("def f():\r\n\treturn 1\rend", "def f():\n\treturn 1\nend"),
        ("a\x1b[201~b", "a␛[201~b"),
        ("a\u202eb\x00", "a<U+202E>b␀"),
    ],
)
def test_pasted_text_keeps_its_tabs_and_lines_and_nothing_to_obey(pasted: str, kept: str) -> None:
    assert typed(pasted) == kept


@given(NASTY)
def test_pasted_text_is_harmless_and_stays_as_it_is(text: str) -> None:
    kept = typed(text)
    assert not FORBIDDEN.search(kept.replace("\n", "").replace("\t", ""))
    assert typed(kept) == kept


@given(NASTY)
def test_what_is_stored_is_what_came_but_for_what_cannot_be(text: str) -> None:
    stored = storable(text)
    stored.encode()
    assert len(stored) == len(text)
    for one, other in zip(text, stored, strict=True):
        assert other == one or (one, other) == ("\x00", "\u2400") or (0xD800 <= ord(one) < 0xE000 and other == "\ufffd")


@pytest.mark.parametrize(
    "url",
    ["http://a", "https://example.com/a_(b)?c=d&e=%20#f", "HTTPS://EXAMPLE.COM", "mailto:a@b.c", "http://[::1]:80/"],
)
def test_an_ordinary_address_may_be_opened(url: str) -> None:
    assert safe_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        *"javascript:alert(1) file:///etc/passwd data:text/html,x vscode://x ssh://-oProxyCommand=x smb://h/x".split(),
        *"//evil.example ../../etc/passwd -rf http: https:// mailto: xhttp://a ftp://a".split(),
        *"https:///evil.example http://?x http://#x http://:80/ HTTP:///".split(),
        *["", " http://a", "http://a b", "http://a\n", "http://a\x1b]0;x\x07", "http://a\x9c", "http://a\u202eb"],
        *["http://a\u200bb", 'http://a"b', "http://a<b", "http://a\\b", "http://a`b", "http://a|b", "http://a\ud800"],
        "http://" + "a" * 2048,
    ],
)
def test_any_other_address_may_not(url: str) -> None:
    assert safe_url(url) is None


@given(NASTY)
def test_no_address_that_may_be_opened_holds_anything_to_obey(text: str) -> None:
    url = safe_url(f"http://{text}")
    assert url is None or not (FORBIDDEN.search(url) or set(url) & set(' "<>\\'))


def test_stored_text_is_given_back_with_what_cannot_be_stored_replaced() -> None:
    assert storable("a\x00b\ud800\udfffc") == "a\u2400b\ufffd\ufffdc"
    assert storable("\ud800") == "\ufffd"
    assert storable("é😀\x07") == "é😀\x07"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\U000e0041", "⟨1 hidden character⟩"),
        ("\U000e0000\U000e0fff", "⟨2 hidden characters⟩"),
        ("a\U000e0041\U000e0042\U000e0043b", "a⟨3 hidden characters⟩b"),
    ],
)
def test_hidden_characters_are_counted(text: str, shown: str) -> None:
    assert clean(text) == shown
    cleaner = Cleaner()
    assert "".join(cleaner.feed(char) for char in text) + cleaner.flush() == shown


@pytest.mark.parametrize("edge", ["\U000e0000", "\U000e0fff"])
def test_hidden_characters_at_the_ends_of_their_block_wait_for_the_next(edge: str) -> None:
    cleaner = Cleaner()
    assert cleaner.feed(f"a{edge}") == "a"
    assert cleaner.feed(f"{edge}b") == "⟨2 hidden characters⟩b"


@pytest.mark.parametrize("first", ["", "a", "a\u0301", "ä" + "\u0301" * MARK_LIMIT, "\u0301" * (MARK_LIMIT + 3)])
@pytest.mark.parametrize("second", ["", "b", "é", "\u0301", "\u0301" * 3 + "b\u0301", "\u0301" * (MARK_LIMIT + 3)])
@pytest.mark.parametrize("third", ["", "\u0301" * (MARK_LIMIT - 2), "\u0301" * MARK_LIMIT + "c"])
def test_marks_of_a_text_in_parts_are_capped_as_those_of_the_whole(first: str, second: str, third: str) -> None:
    kept, marks = "", 0
    for part in (first, second, third):
        text, marks = cap_marks(clean(part), marks)
        kept += text
    assert kept == clean(first + second + third)
    assert marks == len(kept) - len(kept.rstrip("\u0301"))


def test_marks_are_capped_at_their_limit() -> None:
    mark = "\u0300"
    assert clean("a" + mark * MARK_LIMIT) == "a" + mark * MARK_LIMIT
    assert clean("a" + mark * (MARK_LIMIT + 1)) == "a" + mark * MARK_LIMIT
    assert clean(("a" + mark * 9) * 2) == ("a" + mark * MARK_LIMIT) * 2


def test_an_address_has_two_thousand_and_forty_eight_characters_at_most() -> None:
    longest = "http://" + "a" * 2041
    assert safe_url(longest) == longest
    assert safe_url(f"{longest}a") is None


def test_one_line_of_the_usual_length() -> None:
    assert one_line("a" * 500) == "a" * 500
    assert one_line("a" * 501) == "a" * 499 + "…"
    assert one_line("a" + " " * 2000 + "b") == "a…"


@pytest.mark.parametrize(
    "label", ["plain", "two words", "it's", "a\u202eb'\\$x", "漢字", "a\U000e0041b", "e" + "\u0301" * 9]
)
def test_a_word_of_a_command_line_means_what_it_says_and_is_harmless(label: str) -> None:
    word = shell_word(label)
    assert clean(word) == word
    said = subprocess.run(
        ["bash", "-c", f"printf %s {word}"], capture_output=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )
    assert said.stdout.decode() == label


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("plain", "plain"),
        ("two words", "'two words'"),
        ("a\nb", r"$'a\u000ab'"),
        ("\x1b[2J", r"$'\u001b\u005b2J'"),
        ("\u2028\ufeff", r"$'\u2028\ufeff'"),
        ("\uffff\x07", r"$'\uffff\u0007'"),
        ("\U00010000\U000e0041", r"$'\U00010000\U000e0041'"),
        ("\u00e9\x07", r"$'\u00e9\u0007'"),
        ("", "''"),
    ],
)
def test_a_word_is_quoted_only_as_far_as_it_must_be(text: str, word: str) -> None:
    assert shell_word(text) == word
