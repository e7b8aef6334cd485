"""The code blocks in a message, as they were written."""

from __future__ import annotations

from tui.app.transcript.parsing import parser


def code_blocks(source: str) -> list[str]:
    """The contents of all code blocks, in order, wherever they are nested."""
    return [token.content for token in parser().parse(source) if token.type in ("fence", "code_block")]
