"""Calls that a server's conversation holds without an answer, for which it refuses all that is said next."""

from __future__ import annotations

import re
from typing import Any

from tui.client.reply import Rejected

MOST = 8
"""How many calls are closed for one turn: servers name one at a time."""

CLOSED = "A tool call that the server still waited for was closed, so that the conversation can go on."

_NOTHING_RAN = "There is no answer to this call: it was not carried out."
_OPEN = re.compile(r"(?i)no tool output found for (function|custom tool) call\W+([\w-]{1,200})")
_KINDS = {"function": "function_call_output", "custom tool": "custom_tool_call_output"}


def closing(rejected: Rejected, closed: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The item that closes the call which a request was refused for, where it can be closed and is not in `closed` yet.

    Only a request that was refused as a whole can be made again: once an answer has begun, the server has acted.
    """
    found = _OPEN.search(rejected.reply.message)
    if found is None or rejected.in_stream or rejected.reply.status not in (400, 422) or len(closed) == MOST:
        return None
    item = {"type": _KINDS[found[1].lower()], "call_id": found[2], "output": _NOTHING_RAN}
    return None if item in closed else item
