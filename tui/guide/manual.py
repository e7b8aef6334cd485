"""The manual, cut into passages and searched by words (SQLite FTS5)."""

from __future__ import annotations

import re
import sqlite3
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise

from tui.values import dataclass

NEAR = 0.4
"""How well, compared with the best one, a passage has to fit to be worth a mention."""

_STOP_WORDS = frozenset(
    "a about after all also am an and any anything are as at be been being best but by can cannot could d did do does doing "
    "don else ever everything find for from get gets getting give go going got had has have having he her here him his how "
    "however i if in into is it its just kind know let like ll long make makes may me might mine most much must my need no "
    "not of off on one only or other our out palaver please put quite re really s say see seem shall she should show so "
    "some something sort such t tell than thank thanks that the their them then there these they thing things this those "
    "to too up us use used using ve very want wanted was way we well were what whatever when where which while who whom "
    "whose why will with within without won work works would yes yet you your yours".split()
)

_SAME = (
    "quit exit leave close logout",
    "stop cancel cancelled cancelling abort interrupt halt kill",
    "delete remove erase trash bin discard purge wipe",
    "restore undelete undo recover unremove",
    "fork branch duplicate clone",
    "again resend retry regenerate repeat redo",
    "search grep lookup",
    "key shortcut hotkey keybinding keybind keyboard keymap",
    "rebind remap reassign",
    "config configuration configure setting option preference",
    "folder directory dir location path",
    "error failure problem trouble issue fail failed fails",
    "colour color",
    "theme appearance",
    "server provider backend",
    "forgotten forget forgot forgets amnesia stale expired",
    "export dump",
    "copy yank clipboard",
    "history database db",
    "start launch begin",
    "rename relabel",
    "certificate cert tls ssl",
    "instruction persona",
    "script automation automate cron",
    "picture image screenshot photo",
    "privacy private confidential telemetry",
    "credential password secret login",
)

_WORD = re.compile(r"\w+")
_ENDINGS = (("ies", "y"), ("ied", "y"), ("ings", ""), ("ing", ""), ("ed", ""), ("es", "e"), ("s", ""))


@dataclass(frozen=True, slots=True)
class Passage:
    """A section of the manual. `number` is its place, from 0; `part` is the part it stands in.

    `words` are more words to find it by, as an index at a book's end has them.
    """

    number: int
    title: str
    text: str
    part: str = ""
    words: str = ""


@lru_cache(maxsize=1)
def passages() -> tuple[Passage, ...]:
    """The manual's sections, in order."""
    found: list[Passage] = []
    part = ""
    for heading, lines in _cut(files("tui.guide").joinpath("manual.md").read_text(encoding="utf-8")):
        if heading.startswith("# "):
            part = heading[2:].strip()
            continue
        text = "\n".join(lines).strip()
        words = re.match(r"<!-- also: (.*?) -->\n*", text, re.DOTALL)
        if words:
            text = text[words.end() :]
        found.append(Passage(len(found), heading[3:].strip(), text, part, words[1] if words else ""))
    return tuple(found)


def _cut(text: str) -> list[tuple[str, list[str]]]:
    """Headings, each with the lines below it. What looks like one inside a code block is none."""
    pieces: list[tuple[str, list[str]]] = []
    in_code = False
    for line in text.splitlines():
        in_code ^= line.startswith("```")
        if not in_code and line.startswith(("# ", "## ")):
            pieces.append((line, []))
        elif pieces:
            pieces[-1][1].append(line)
    return pieces


def titled(title: str) -> Passage | None:
    """The passage of exactly that title, whatever its capitals."""
    return next((passage for passage in passages() if passage.title.casefold() == title.casefold()), None)


def search(question: str, limit: int = 4) -> list[Passage]:
    """The passages that fit a question best, best first; none where it is about something else."""
    asked = _WORD.findall(question.lower())[:64]
    words = [_root(word) for word in asked]
    roots = list(dict.fromkeys(root for word, root in zip(asked, words, strict=True) if word not in _STOP_WORDS))
    # What stands together in the question counts where it stands together in the manual.
    pairs = [" ".join(pair) for pair in pairwise(words) if set(pair) <= set(roots)]
    index = _index()
    try:
        found = _match(index, [*roots, *pairs, " ".join(words)], limit) if words else []
    finally:
        index.close()
    return [passages()[number - 1] for number in found if _is_about(number - 1, roots)]


def _match(index: sqlite3.Connection, phrases: list[str], limit: int) -> list[int]:
    query = " OR ".join(f'"{phrase}"' for phrase in dict.fromkeys(phrases))
    ranked = (
        "SELECT rowid, bm25(passage, 9.0, 4.0, 1.0) AS rank FROM passage WHERE passage MATCH ? ORDER BY rank LIMIT ?"
    )
    found = index.execute(ranked, (query, limit)).fetchall()
    return [number for number, rank in found if rank <= found[0][1] * NEAR]


def _is_about(number: int, roots: list[str]) -> bool:
    """Whether a passage is about a question and does not only happen to hold one of its words."""
    title, words, text = (set(column.split()) for column in _columns()[number])
    weight = sum(2 if root in title | words else root in text for root in roots)
    return weight >= len(roots)


def _index() -> sqlite3.Connection:
    """A new index: a few milliseconds, and no connection outlives the thread that made it."""
    index = sqlite3.connect(":memory:")
    index.execute("CREATE VIRTUAL TABLE passage USING fts5(title, words, text, tokenize='unicode61')")
    rows = [(number, *columns) for number, columns in enumerate(_columns(), 1)]
    index.executemany("INSERT INTO passage(rowid, title, words, text) VALUES (?, ?, ?, ?)", rows)
    return index


@lru_cache(maxsize=1)
def _columns() -> tuple[tuple[str, str, str], ...]:
    """The roots of each passage's title, further words and text."""

    def roots(text: str) -> str:
        return " ".join(_root(word) for word in _WORD.findall(text.lower()))

    return tuple((roots(passage.title), roots(passage.words), roots(passage.text)) for passage in passages())


@lru_cache(maxsize=8192)
def _root(word: str) -> str:
    """What a word's forms, and the words that mean the same here, have in common."""
    return _MEANS.get(word) or _MEANS.get(_stem(word)) or _stem(word)


def _stem(word: str) -> str:
    for ending, other in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) > 2 and not word.endswith(("ss", "us", "is")):
            word = word.removesuffix(ending) + other
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 4 else word


_MEANS = {
    form: _stem(group.split()[0]) for group in _SAME for word in group.split() for form in (word, _stem(word))
}  # fmt: skip
"""Words that mean the same here, each with the root that stands for all of them."""
