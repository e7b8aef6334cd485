"""What is searched for, read from what was typed: words, phrases, conditions."""

from __future__ import annotations

import re
import time
import unicodedata
from dataclasses import replace
from datetime import date, timedelta

from tui.patterns import pattern
from tui.text import storable
from tui.values import dataclass

LONGEST = 1000
"""Characters of a query that are read."""

MOST_TERMS = 24
"""Words and phrases of a query that are heeded."""

USER, ASSISTANT = ROLES = ("user", "assistant")

_PART = pattern(
    r'(?P<field>label|before|after|role):(?:"(?P<quoted>[^"]*)"?|(?P<bare>[^\s"]*))|"(?P<phrase>[^"]*)(?P<end>"?)|(?P<word>[^\s"]+)',
    re.IGNORECASE,
)
_TOKEN = pattern(r"[^\W_]+")
_UNSPACED = pattern(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00010000-\U0003ffff]"
)
"""Scripts that do not part words by blanks, and what the index takes for no word at all, such as emoji."""

_AGO = pattern(r"(\d{1,4})([dwmy])")
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}
_DATE = pattern(r"(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?")


@dataclass(frozen=True, slots=True)
class Term:
    """Something that has to be in a message. `words` stand one after the other, with anything but words between them.

    With `is_prefix` the last of them may go on. Where there are no `words`, `text` is looked for as it stands.
    """

    text: str
    words: tuple[str, ...] = ()
    is_prefix: bool = False

    @property
    def is_short(self) -> bool:
        """Whether it is one letter of a word still being typed: too little to look through everything for."""
        return self.is_prefix and len(self.words) == 1 and len(self.words[0]) == 1


@dataclass(frozen=True, slots=True)
class Query:
    """What a message has to be like: all of it. Times are seconds since the epoch.

    `labels` are those of the sessions meant, any of them. `problem` says, in words, what could not be understood.
    """

    terms: tuple[Term, ...] = ()
    labels: tuple[str, ...] = ()
    before: float | None = None
    after: float | None = None
    role: str = ""
    problem: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is looked for."""
        return not (self.terms or self.labels or self.role) and self.before is None and self.after is None

    @property
    def is_bounded(self) -> bool:
        """Whether there are conditions beside the words."""
        return bool(self.labels or self.role) or self.before is not None or self.after is not None


def parse_query(text: str, now: float) -> Query:
    """Read a query as a user types it. The last word, unless it is in quotes, may be unfinished. Any text is one.

    `now` is the time that words such as "yesterday" count from.
    """
    query = Query()
    last = -1
    text = storable(unicodedata.normalize("NFC", text[:LONGEST]))
    for part in _PART.finditer(text):
        if part["field"]:
            query = _with_condition(query, part["field"].lower(), part["quoted"] or part["bare"] or "", now)
            continue
        is_open = part["word"] is not None or not part["end"]
        term = _term(part["word"] if part["word"] is not None else part["phrase"])
        if term is not None and len(query.terms) < MOST_TERMS:
            last = len(query.terms) if is_open else -1
            query = replace(query, terms=(*query.terms, term))
    if last >= 0 and query.terms[last].words:
        terms = list(query.terms)
        terms[last] = replace(terms[last], is_prefix=True)
        query = replace(query, terms=tuple(terms))
    return query


def _term(text: str) -> Term | None:
    text = text.strip()
    if not text:
        return None
    words = tuple(_TOKEN.findall(text))
    if not words or _UNSPACED.search(text):
        return Term(text)
    star = text.endswith("*") and len(text) > 1
    bare = text.rstrip("*").rstrip() if star else text
    if sum(map(len, words)) <= 2 and len(bare) > sum(map(len, words)):
        # C++, C#: the index knows their letters only.
        return Term(bare)
    return Term(bare, words, star)


def _with_condition(query: Query, field: str, value: str, now: float) -> Query:
    if not value:
        return replace(query, problem=_WANTED[field])
    match field:
        case "label":
            return replace(query, labels=(*query.labels, value))
        case "role":
            role = next((role for role in ROLES if role.startswith(value.lower())), "")
            return replace(query, role=role) if role else replace(query, problem=_WANTED[field])
        case _:
            moment = _moment(value.lower(), now)
            if moment is None:
                return replace(query, problem=_WANTED[field])
            return replace(query, before=moment) if field == "before" else replace(query, after=moment)


_WANTED = {
    "label": "“label:” takes a session's label",
    "role": "“role:” takes user or assistant",
    "before": "“before:” takes a day such as 2026-11-05, 2026-11, yesterday, or 7d",
    "after": "“after:” takes a day such as 2026-11-05, 2026-11, yesterday, or 7d",
}


def _moment(text: str, now: float) -> float | None:
    """The beginning of a day, in this machine's time zone. None where it is none, or not finished yet."""
    try:
        today = date.fromtimestamp(now)  # noqa: DTZ012 - the user's own day is meant
        if text in ("today", "yesterday"):
            return _begin(today - timedelta(days=text == "yesterday"))
        ago = _AGO.fullmatch(text)
        if ago:
            return _begin(today - timedelta(days=int(ago[1]) * _DAYS[ago[2]]))
        day = _DATE.fullmatch(text)
        return _begin(date(int(day[1]), int(day[2] or 1), int(day[3] or 1))) if day else None
    except (ValueError, OverflowError, OSError):
        return None


def _begin(day: date) -> float:
    return time.mktime((day.year, day.month, day.day, 0, 0, 0, 0, 0, -1))
