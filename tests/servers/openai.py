"""What the stand-ins of OpenAI's two APIs have in common."""

from __future__ import annotations

from typing import Any

from tests.servers.base import Answer, json_answer


def text_in(message: dict[str, Any]) -> str:
    """What a message says, whether its content is text or parts."""
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content)
    return str(content)


def refusal(
    status: int, message: str, *, code: str = "", type_: str = "invalid_request_error", param: str = ""
) -> Answer:
    """An error in their envelope."""
    error = {"message": message, "type": type_, "param": param or None, "code": code or None}
    return json_answer({"error": error}, status)
