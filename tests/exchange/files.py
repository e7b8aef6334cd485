"""Files as other programs write them, made for the tests of reading them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any


def bundle(*turns: dict[str, Any], head: dict[str, Any] | None = None, end: int | None = None) -> str:
    """A bundle of Palaver's, as text."""
    first = {"palaver": "thread", "version": 1, "label": "work", "title": "Work"} if head is None else head
    last = {"end": len(turns) if end is None else end}
    return "".join(json.dumps(line) + "\n" for line in (first, *turns, last))


def turn(prompt: str = "hello", text: str = "hi", **more: Any) -> dict[str, Any]:
    """A turn, as a bundle has it."""
    return {"prompt": prompt, "status": "done", "answer": [{"kind": "message", "text": text}], **more}


def chatgpt(*said: tuple[str, str], source: str = "c1", title: str = "A talk", **more: Any) -> dict[str, Any]:
    """A conversation of ChatGPT's, of one branch."""
    mapping: dict[str, Any] = {"root": {"id": "root", "message": None, "parent": None, "children": ["m0"]}}
    before = "root"
    for number, (role, text) in enumerate(said):
        name = f"m{number}"
        mapping[name] = node(role, text, parent=before, at=1_700_000_000 + number)
        before = name
    return {
        "conversation_id": source,
        "title": title,
        "create_time": 1_700_000_000.5,
        "mapping": mapping,
        "current_node": before,
        **more,
    }


def node(role: str, text: str, *, parent: str, at: float = 1_700_000_000.0, **message: Any) -> dict[str, Any]:
    """A message in a conversation's tree."""
    said = {
        "author": {"role": role, "name": None},
        "content": {"content_type": "text", "parts": [text]},
        "create_time": at,
        "metadata": {"model_slug": "gpt-5"} if role == "assistant" else {},
        "recipient": "all",
        **message,
    }
    return {"message": said, "parent": parent, "children": []}


def claude(*said: tuple[str, str], source: str = "u1", name: str = "A talk") -> dict[str, Any]:
    """A conversation of Claude's."""
    messages = [
        {"uuid": f"{source}-{number}", "sender": sender, "text": text, "content": [{"type": "text", "text": text}],
         "created_at": f"2025-01-01T00:00:{number:02}.000000Z", "attachments": [], "files": []}
        for number, (sender, text) in enumerate(said)
    ]  # fmt: skip
    return {"uuid": source, "name": name, "created_at": "2025-01-01T00:00:00Z", "chat_messages": messages}


def old_llm_log(file: Path) -> Path:
    """A log as `llm` kept it before it had threads."""
    conn = sqlite3.connect(file)
    conn.executescript(
        """
        CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);
        CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT, response TEXT,
                                conversation_id TEXT, datetime_utc TEXT);
        INSERT INTO conversations VALUES ('01abc', 'Parsers', 'mock');
        INSERT INTO responses VALUES ('1', 'mock', 'first', 'be brief', 'one', '01abc', '2024-05-01T10:00:00');
        INSERT INTO responses VALUES ('2', 'mock', 'second', 'be brief', 'two', '01abc', '2024-05-01T10:01:00');
        """
    )
    conn.close()
    return file


def new_llm_log(file: Path) -> Path:
    """A log as `llm` keeps it since it has threads: messages that hang on one another."""
    conn = sqlite3.connect(file)
    conn.executescript(
        """
        CREATE TABLE threads (id TEXT PRIMARY KEY, name TEXT, tip_message_hash TEXT, forked_from TEXT, datetime_utc TEXT);
        CREATE TABLE messages (hash TEXT PRIMARY KEY, parent_hash TEXT, role TEXT, provider_metadata TEXT);
        CREATE TABLE parts (id INTEGER PRIMARY KEY, message_hash TEXT, position INTEGER, type TEXT, tool_name TEXT,
                            text TEXT, payload TEXT);
        CREATE TABLE turns (id TEXT PRIMARY KEY, thread_id TEXT, tip_message_hash TEXT, model TEXT, datetime_utc TEXT);
        CREATE TABLE fragments (id INTEGER PRIMARY KEY, hash TEXT, content TEXT);
        INSERT INTO threads VALUES ('t1', 'first', 'd', NULL, '2026-01-01 10:00:00+00:00');
        INSERT INTO messages VALUES ('a', NULL, 'user', NULL), ('b', 'a', 'assistant', NULL), ('c', 'b', 'tool', NULL),
                                    ('d', 'c', 'assistant', NULL);
        INSERT INTO fragments VALUES (7, 'h', 'from a file');
        INSERT INTO parts VALUES
            (1, 'a', 0, 'text', NULL, NULL, '{"text_ref": [{"literal": "look: "}, {"fragment": 7}]}'),
            (2, 'b', 0, 'tool_call', 'search', NULL, '{"name": "search", "arguments": {"q": 1}, "tool_call_id": "x9"}'),
            (3, 'c', 0, 'tool_result', 'search', NULL, '{"name": "search", "output": "found", "tool_call_id": "x9"}'),
            (4, 'd', 0, 'text', NULL, 'done', NULL);
        INSERT INTO turns VALUES ('u1', 't1', 'd', 'mock', '2026-01-01T10:00:05+00:00');
        """
    )
    conn.close()
    return file


def agents_sessions(file: Path, *items: Any, name: str = "support") -> Path:
    """A session as the Agents SDK keeps it."""
    conn = sqlite3.connect(file)
    conn.executescript(
        """
        CREATE TABLE agent_sessions (session_id TEXT PRIMARY KEY, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
                                     updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
        CREATE TABLE agent_messages (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL,
                                     message_data TEXT NOT NULL, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
        """
    )
    conn.execute("INSERT INTO agent_sessions (session_id) VALUES (?)", (name,))
    for item in items:
        told = item if isinstance(item, str) else json.dumps(item)
        conn.execute("INSERT INTO agent_messages (session_id, message_data) VALUES (?, ?)", (name, told))
    conn.commit()
    conn.close()
    return file
