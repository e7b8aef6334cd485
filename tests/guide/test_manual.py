"""The manual: every section stands alone, and is found by the questions people ask."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.guide import reading
from tui.guide.manual import Passage, passages, search, titled

_LINES = Path(__file__).with_name("questions.txt").read_text(encoding="utf-8").splitlines()
QUESTIONS = [
    tuple(part.strip() for part in line.rsplit("|", 1)) for line in _LINES if "|" in line and not line.startswith("#")
]


def test_there_are_enough_questions() -> None:
    assert len({question for question, _ in QUESTIONS}) == len(QUESTIONS) > 150


def test_every_section_is_asked_for() -> None:
    assert {title for _, title in QUESTIONS} == {passage.title for passage in passages()}


@pytest.mark.parametrize(("question", "title"), QUESTIONS)
def test_the_right_section_is_found_first(question: str, title: str) -> None:
    assert [passage.title for passage in search(question)][:1] == [title]


@pytest.mark.parametrize("title", [passage.title for passage in passages()])
def test_a_section_is_found_by_its_title(title: str) -> None:
    assert titled(title.upper()) is titled(title)
    assert title in [passage.title for passage in search(title)]


@pytest.mark.parametrize(
    "question",
    [
        "what is the weather in Paris?",
        "tell me a joke about python",
        "what is the capital of France?",
        "asdf qwer",
        "",
        "   ",
        "???",
        "the of and",
        "\x00",
        "日本語で答えて",
    ],
)
def test_other_matters_are_not_in_the_manual(question: str) -> None:
    assert search(question) == []


@pytest.mark.parametrize("question", ['"', 'fork"', "fork AND", "NEAR(fork", "fork*", "-fork", "fork' OR"])
def test_a_question_is_never_a_query(question: str) -> None:
    found = [passage.title for passage in search(question)]
    assert found[:1] == (["Forking a session"] if "fork" in question else [])


def test_a_columns_name_in_a_question_is_a_word() -> None:
    assert {"palaver sessions", "Labels and titles"} <= {passage.title for passage in search("title:fork")}


def test_a_very_long_question_is_cut() -> None:
    assert search("fork " * 100_000)[0].title == "Forking a session"


def test_no_more_are_found_than_wanted_and_none_twice() -> None:
    for limit in (1, 2, 4):
        found = search("keys", limit)
        assert 1 <= len(found) <= limit
        assert len(set(found)) == len(found)


def test_words_that_mean_the_same_find_the_same() -> None:
    for words in (("quit", "exit", "leave"), ("delete", "remove", "trash"), ("cancel", "abort", "stop", "interrupt")):
        assert len({search(f"{word} it")[0] for word in words}) == 1, words


# What it looks like


def test_sections_are_numbered_and_in_parts() -> None:
    assert [passage.number for passage in passages()] == list(range(len(passages())))
    assert len({passage.title.casefold() for passage in passages()}) == len(passages())
    assert all(passage.part and passage.words for passage in passages())


@pytest.mark.parametrize("passage", passages(), ids=lambda passage: passage.title)
def test_a_section_has_the_size_of_an_answer(passage: Passage) -> None:
    assert 60 <= len(passage.text.split()) <= 240
    assert passage.text.count("```") % 2 == 0
    assert not re.search(r"(?m)^#", reading.prose(passage))
    assert "<!--" not in passage.text


@pytest.mark.parametrize("passage", passages(), ids=lambda passage: passage.title)
def test_tables_are_whole(passage: Passage) -> None:
    for table in reading.tables(passage):
        head, rule, *rows = table
        assert rule == []
        assert rows
        assert {len(row) for row in rows} == {len(head)}


@pytest.mark.parametrize("passage", passages(), ids=lambda passage: passage.title)
def test_what_is_referred_to_exists(passage: Passage) -> None:
    text = reading.without_spans(reading.prose(passage)).replace("**", "")
    for title in re.findall(r"(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)", text):
        assert titled(title) is not None
        assert title != passage.title


def test_a_heading_inside_a_code_block_is_none() -> None:
    example = titled("Opening and leaving Palaver")
    assert example is not None
    assert "# the session looked at last" in example.text
    assert "palaver" in example.text
