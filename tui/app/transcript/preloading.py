"""What painting loads on first use, loaded ahead of it."""

from __future__ import annotations

from tui.app.transcript.parsing import parser
from tui.markup import find_lexer

_LANGUAGES = ("python", "bash", "json", "javascript", "sql", "yaml", "typescript", "go", "rust", "diff", "html", "toml")
"""Those that answers are full of; loading one takes 1 to 40 ms, three frames for Python's."""


def preload() -> None:
    """Load the parser of Markdown and the commonest highlighters, in whatever thread has the time."""
    parser()
    for language in _LANGUAGES:
        find_lexer(language)
