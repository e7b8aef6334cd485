"""The output items of the OpenAI Responses API, read into the items they amount to."""

from __future__ import annotations

from collections.abc import Iterator

from tui.client.protocols.fields import Payload, plain, rows, table, text
from tui.model import Item, ItemKind, ItemState

_CALLS = {
    "function_call": "arguments",
    "custom_tool_call": "input",
    "mcp_call": "arguments",
    "code_interpreter_call": "code",
    "shell_call": "command",
    "local_shell_call": "command",
}


def read_item(item: Payload, place: str = "") -> Iterator[Item]:
    """The items an output item of any type amounts to: most are one, a tool's call and result may come as one."""
    kind = text(item.get("type"))
    own_id = text(item.get("id"))

    def key(as_kind: ItemKind) -> str:
        return own_id or f"#{place}/{as_kind}"

    match kind:
        case "message":
            if item.get("role") not in (None, "assistant"):
                return
            parts = rows(item.get("content"))
            said = [text(part.get("text")) or text(part.get("refusal")) for part in parts]
            refusal = any(part.get("refusal") for part in parts)
            yield Item(key(ItemKind.MESSAGE), ItemKind.MESSAGE, _joined(said), "refusal" if refusal else "")
        case "reasoning":
            said = [text(part.get("text")) for part in rows(item.get("summary")) + rows(item.get("content"))]
            yield Item(key(ItemKind.REASONING), ItemKind.REASONING, _joined(said))
        case "mcp_approval_request":
            name = _tool_name(item)
            asked = plain(item.get("arguments"))
            yield Item(key(ItemKind.APPROVAL), ItemKind.APPROVAL, asked, name, own_id, ItemState.OPEN)
        case _ if kind in _CALLS:
            call_id = text(item.get("call_id")) or own_id
            said_with = item.get(
                _CALLS[kind], table(item.get("action")).get("command", table(item.get("action")).get("commands"))
            )
            yield Item(key(ItemKind.TOOL_CALL), ItemKind.TOOL_CALL, plain(said_with), _tool_name(item), call_id)
            result = item.get("output") or item.get("error") or item.get("outputs")
            if result:
                yield Item(f"{key(ItemKind.TOOL_CALL)}/result", ItemKind.TOOL_RESULT, plain(result), "", call_id)
        case _ if kind.endswith("_output"):
            call_id = text(item.get("call_id"))
            result_key = own_id or f"{call_id}/result"
            yield Item(result_key, ItemKind.TOOL_RESULT, plain(item.get("output")), "", call_id)
        case _ if kind.endswith("_call"):
            query = table(item.get("action")).get("query") or item.get("queries") or ""
            yield Item(key(ItemKind.TOOL_CALL), ItemKind.TOOL_CALL, plain(query), kind.removesuffix("_call"), own_id)
        case "compaction":
            yield Item(key(ItemKind.NOTICE), ItemKind.NOTICE, "The server shortened the conversation.")
        case "mcp_list_tools" | "":
            return
        case _:
            kept = {name: value for name, value in item.items() if name not in ("id", "type", "status")}
            yield Item(key(ItemKind.NOTICE), ItemKind.NOTICE, plain(kept) if kept else "", kind)


def _tool_name(item: Payload) -> str:
    name = text(item.get("name")) or text(item.get("type")).removesuffix("_call")
    server = text(item.get("server_label"))
    return f"{server}.{name}" if server else name


def _joined(parts: list[str]) -> str:
    return "\n\n".join(part for part in parts if part)
