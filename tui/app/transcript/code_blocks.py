"""The code blocks in a message, as they were written."""

from __future__ import annotations

import re

from tui.app.transcript.parsing import parser

_MAY_HOLD_CODE = re.compile(r"```|~~~|^[ \t>*+\-\d.)]*(?: {4}|\t)", re.MULTILINE)


def may_hold_code(source: str) -> bool:
    """Whether anything looks like a code block, without parsing all of it."""
    return _MAY_HOLD_CODE.search(source) is not None


def code_blocks(source: str) -> list[str]:
    """The contents of all code blocks, in order, wherever they are nested."""
    if not may_hold_code(source):
        return []
    return [token.content for token in parser().parse(source) if token.type in ("fence", "code_block")]
