"""What the server's own tools answered in the Anthropic Messages API, as text."""

from __future__ import annotations

from tui.client.protocols.fields import Payload, plain, rows, text
from tui.model import Item, ItemKind, ItemState

_DEEPEST = 8
_OPAQUE = ("type", "encrypted_content", "encrypted_stdout", "file_id", "signature", "page_age", "retrieved_at")


def read_result(key: str, block: Payload) -> Item:
    """The item a `*_tool_result` block amounts to."""
    content = block.get("content")
    failed = block.get("is_error") is True or _has_failed(content)
    call_id = text(block.get("tool_use_id"))
    return Item(key, ItemKind.TOOL_RESULT, _said(content), "", call_id, ItemState.FAILED if failed else ItemState.NONE)


def _has_failed(content: object) -> bool:
    if not isinstance(content, dict):
        return False
    code = content.get("return_code")
    return text(content.get("type")).endswith("_error") or (isinstance(code, int) and code != 0)


def _said(content: object, depth: int = 0) -> str:
    if depth > _DEEPEST:
        return ""
    if isinstance(content, list):
        return "\n".join(part for part in (_said(one, depth + 1) for one in content) if part)
    if not isinstance(content, dict):
        return plain(content)
    return "\n".join(part for part in _parts(content, depth + 1) if part)


def _parts(content: Payload, depth: int) -> list[str]:
    """The lines that one object of a result is told in."""
    kind = text(content.get("type"))
    if kind == "text" and "text" in content:
        return [text(content.get("text"))]
    if kind.endswith("_error"):
        return [text(content.get("error_code")), text(content.get("error_message"))]
    if kind == "base64":
        return [f"({text(content.get('media_type')) or 'data'})"]
    if "stdout" in content or "stderr" in content or "return_code" in content:
        code = content.get("return_code")
        status = f"exit status {code}" if isinstance(code, int) and code else ""
        files = [f"file {text(file.get('file_id'))}" for file in rows(content.get("content"))]
        return [text(content.get("stdout")).rstrip("\n"), text(content.get("stderr")).rstrip("\n"), status, *files]
    if kind == "tool_reference":
        return [text(content.get("tool_name"))]
    for name in ("content", "source", "data", "tool_references", "lines"):
        if content.get(name) is not None:
            return [text(content.get("title")), text(content.get("url")), _said(content[name], depth)]
    if content.get("url"):
        return [text(content.get("title")), text(content.get("url"))]
    kept = {name: value for name, value in content.items() if name not in _OPAQUE}
    return [plain(kept) if kept else ""]
