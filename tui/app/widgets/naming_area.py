"""An input in which words with an @ name files: which of them the user means, and which only came along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textual.message import Message
from textual.widgets.text_area import Edit, EditResult

from tui.app.path_offers import path_words
from tui.app.widgets.folding_area import FoldingArea, Place
from tui.drafts import Folded, fold, is_long, without_marks
from tui.text import typed

MOST_KEPT = 20
"""How many drafts it is remembered of what was meant in them."""

MOST_PASTED = 200
"""How many words of a paste are looked at."""


class NamingArea(FoldingArea):
    """A file is meant where the user typed the @ before its name, or has `mean` called for what they wrote elsewhere. What
    was pasted or recalled is others' text, or was said already: no file is meant in that."""

    class FileNamed(Message):
        """A file is to be attached that a word may name."""

        def __init__(self, word: str) -> None:
            super().__init__()
            self.word = word

    class Pasted(Message):
        """There are words with an @ in what was pasted; it `is_folded`, or stands in the text."""

        def __init__(self, words: tuple[str, ...], is_folded: bool) -> None:
            super().__init__()
            self.words = words
            self.is_folded = is_folded

    _meant: frozenset[str] = frozenset()
    _meant_in: dict[str, frozenset[str]]
    _asked: frozenset[str] = frozenset()
    _is_pasting = False

    def words(self) -> Iterator[tuple[Place, str]]:
        """The words with an @, and where they begin."""
        for row, line in enumerate(self.text.split("\n")):
            for match in path_words(line):
                yield (row, match.start()), match[0]

    def mean(self, words: Iterable[str]) -> None:
        """Files of these names are meant."""
        self._meant |= frozenset(words)

    def do_not_mean(self, word: str) -> None:
        self._meant -= {word}

    def name_files(self, *, but_at_cursor: bool = False) -> None:
        """Ask for the files that are meant, `but_at_cursor` not for the one that is being named."""
        if not self._meant or self.text.startswith("/"):
            return
        row, column = self.cursor_location
        for (line, begin), word in self.words():
            is_at_cursor = line == row and begin <= column <= begin + len(word)
            if word in self._meant - self._asked and not (but_at_cursor and is_at_cursor):
                self._asked |= {word}
                self.post_message(self.FileNamed(word))

    def put_named(self, word: str, part: str, file: Folded | None) -> bool:
        """Put a file that was asked for in place of a `part` of the word that names it, wherever that stands by now, or leave
        it without one. False where it was asked for in another text."""
        if word not in self._asked:
            return False
        self._asked -= {word}
        self.do_not_mean(word)
        if file is not None:
            for (row, begin), found in reversed(list(self.words())):
                if found == word:
                    self.replace(fold(file, self._known), (row, begin), (row, begin + len(part)))
        return True

    def is_meant(self, at: Place) -> bool:
        """Whether the word that begins there is meant."""
        return self.word_from(at) in self._meant

    def word_from(self, at: Place) -> str:
        """The word that begins at a place; empty where none does."""
        row, column = at
        line = self.document.get_line(row) if row < self.document.line_count else ""
        return next((match[0] for match in path_words(line) if match.start() == column), "")

    def edit(self, edit: Edit) -> EditResult:
        """Make a change. A word that is meant is so whatever is made of it, be it with keys or with a paste behind its @."""
        at = min(edit.from_location, edit.to_location)
        around = self._meant_around(at)
        result = super().edit(edit)
        if edit.text == "@" and not self._is_pasting:
            self.mean(filter(None, [self.word_from(at)]))
        else:
            self._follow(around)
        return result

    def undo(self) -> None:
        around = self._meant_around(self.cursor_location)
        super().undo()
        self._follow(around)

    def redo(self) -> None:
        around = self._meant_around(self.cursor_location)
        super().redo()
        self._follow(around)

    def _meant_around(self, place: Place) -> tuple[Place, str] | None:
        """The word that is meant around a place, and where it begins; None where there is none."""
        row, column = place
        for match in path_words(self.document.get_line(row)) if self._meant else ():
            if match.start() <= column <= match.end() and match[0] in self._meant:
                return (row, match.start()), match[0]
        return None

    def _follow(self, around: tuple[Place, str] | None) -> None:
        """Mean what a word has become, if there was one."""
        if around is not None and (now := self.word_from(around[0])):
            self._meant = self._meant - {around[1]} | {now}

    def restore(self, draft: str) -> None:
        """Put a kept draft in place of everything; what was meant in it before is so again."""
        if "@" in self.text:
            self._meant_in[self.kept] = self._meant
            for text in list(self._meant_in)[:-MOST_KEPT]:
                del self._meant_in[text]
        super().restore(draft)
        self._asked = frozenset()
        self._meant = self._meant_in.get(draft, frozenset())

    def restore_before(self, draft: str) -> None:
        """Put a kept draft before what was typed since."""
        since = self._meant
        self.restore(draft + self.kept)
        self._meant = since | self._meant_in.get(draft, frozenset())

    def paste(self, text: str) -> None:
        """Put in what was pasted: as it stands, or folded if it is long."""
        text = plain(text)
        is_folded = is_long(text)
        self._is_pasting = True
        try:
            if is_folded:
                self.insert_folded(Folded(text), *self.selection)
            else:
                self.insert_typed(text)
        finally:
            self._is_pasting = False
        if "@" not in text:
            return
        words = dict.fromkeys(match[0] for match in path_words(text))
        if not is_folded:
            here = {word for _, word in self.words()} - self._meant
            words = {word: None for word in words if word in here}
        if words:
            self.post_message(self.Pasted(tuple(words)[:MOST_PASTED], is_folded))


def plain(text: str) -> str:
    """A text as it can stand in the input."""
    return without_marks(typed(text))
