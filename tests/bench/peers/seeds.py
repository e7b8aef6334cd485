"""The same conversations, put into the databases of other programs, in the form that each keeps them."""

from __future__ import annotations

import json
import shutil
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.bench import histories

_DAY = datetime(2025, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Home:
    """A home folder of a program: the conversations it shall hold (messages by label), the server, the model."""

    folder: Path
    conversations: Mapping[str, int]
    url: str
    model: str

    def environment(self) -> dict[str, str]:
        """What tells a program that this is its home, and where the server is."""
        inside = {f"XDG_{name}_HOME": str(self.folder / name.lower()) for name in ("DATA", "CONFIG", "CACHE", "STATE")}
        return inside | {
            "HOME": str(self.folder),
            "LLM_USER_PATH": str(self.folder / "llm"),
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "OPENAI_API_BASE": f"{self.url}/v1",
            "OLLAMA_HOST": self.url.partition("://")[2],
            "OLLAMA_URL": self.url,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "NO_PROXY": "*",
        }

    def make(self, *parts: str) -> Path:
        """A folder in it."""
        folder = self.folder.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def messages(self, label: str) -> Iterator[tuple[str, str]]:
        """(role, text) of a conversation."""
        for prompt, answer in histories.exchanges(label, self.conversations[label]):
            yield "user", prompt
            yield "assistant", answer

    def database(self, file: Path, schema: str) -> sqlite3.Connection:
        """A new database in the place of one that may be there."""
        file.unlink(missing_ok=True)
        db = sqlite3.connect(file)
        db.executescript(schema)
        return db


def elia(home: Home) -> None:
    """elia-chat 1.10: SQLite by SQLModel; the chat with the newest message is listed first."""
    models = f'[[models]]\nname = "openai/{home.model}"\napi_base = "{home.url}/v1"\napi_key = "none"\n'
    config = f'default_model = "openai/{home.model}"\nsystem_prompt = "s"\n{models}'
    (home.make("config", "elia") / "config.toml").write_text(config, encoding="utf-8")
    schema = """
    CREATE TABLE system_prompt (id INTEGER NOT NULL PRIMARY KEY, title VARCHAR NOT NULL, prompt VARCHAR NOT NULL,
        created_at DATETIME DEFAULT CURRENT_TIMESTAMP);
    CREATE TABLE chat (id INTEGER NOT NULL PRIMARY KEY, model VARCHAR NOT NULL, title VARCHAR,
        started_at DATETIME DEFAULT CURRENT_TIMESTAMP, archived BOOLEAN NOT NULL);
    CREATE TABLE message (id INTEGER NOT NULL PRIMARY KEY, chat_id INTEGER REFERENCES chat (id), role VARCHAR NOT NULL,
        content VARCHAR NOT NULL, timestamp DATETIME DEFAULT CURRENT_TIMESTAMP, meta JSON, parent_id INTEGER,
        model VARCHAR);"""
    model = f"openai/{home.model}"
    with closing(home.database(home.make("data", "elia") / "elia.sqlite", schema)) as db, db:
        for number, label in enumerate(home.conversations):
            began = _DAY - timedelta(days=10 * number)
            chat = db.execute("INSERT INTO chat VALUES (?, ?, ?, ?, 0)", (number + 1, model, label, _plain(began)))
            said = [("system", "s"), *home.messages(label)]
            db.executemany(
                "INSERT INTO message (chat_id, role, content, timestamp, meta, model) VALUES (?, ?, ?, ?, '{}', ?)",
                [
                    (chat.lastrowid, role, text, _plain(began + timedelta(seconds=place)), model)
                    for place, (role, text) in enumerate(said)
                ],
            )


def _plain(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat(" ", "microseconds")


def oterm(home: Home) -> None:
    """oterm 0.26: SQLite; its tabs stand in the order of the rows."""
    settings = {"theme": "textual-dark", "splash-screen": False}
    (home.make("data", "oterm") / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    schema = """
    CREATE TABLE "chat" ("id" INTEGER PRIMARY KEY AUTOINCREMENT, "name" TEXT, "model" TEXT NOT NULL, "system" TEXT,
        "provider" TEXT DEFAULT "ollama", "parameters" TEXT DEFAULT "{}", "tools" TEXT DEFAULT "[]",
        "thinking" BOOLEAN DEFAULT 0);
    CREATE TABLE "message" ("id" INTEGER PRIMARY KEY AUTOINCREMENT, "author" TEXT NOT NULL, "text" TEXT NOT NULL,
        "images" TEXT DEFAULT "[]", "chat_id" INTEGER NOT NULL REFERENCES "chat"("id") ON DELETE CASCADE);
    PRAGMA user_version = 6657;"""
    with closing(home.database(home.make("data", "oterm") / "store.db", schema)) as db, db:
        for label in home.conversations:
            values = (label, home.model)
            chat = db.execute("INSERT INTO chat (name, model, system, provider) VALUES (?, ?, '', 'ollama')", values)
            db.executemany(
                "INSERT INTO message (chat_id, author, text) VALUES (?, ?, ?)",
                [(chat.lastrowid, role, text) for role, text in home.messages(label)],
            )


def parllama(home: Home) -> None:
    """parllama 0.10: a JSON file for each chat; the newest is listed first. It begins where chats are, asking the model."""
    settings = {
        "starting_tab": "Chat", "use_last_tab_on_startup": False, "ui": {"show_first_run": False},
        "last_llm_config": {"provider": "Ollama", "model_name": home.model, "temperature": 0.5, "num_ctx": 2048},
        "provider": {"provider_base_urls": {"Ollama": home.url}},
    }  # fmt: skip
    (home.make("data", "parllama") / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    # It lists the models anew only where it does not remember them.
    shutil.rmtree(home.folder / "cache", ignore_errors=True)
    folder = home.make("data", "parllama", "chats")
    for old in folder.iterdir():
        old.unlink()
    model = {
        "class_name": "LlmConfig", "provider": "Ollama", "model_name": home.model, "temperature": 0.5, "mode": "Chat",
        "streaming": True, "num_ctx": 2048,
    }  # fmt: skip
    for number, label in enumerate(home.conversations):
        name = str(uuid.UUID(int=number + 1))
        said: list[dict[str, Any]] = [
            {"id": str(uuid.UUID(int=(number + 1) * 10**6 + place)), "role": role, "content": text, "thinking": "",
             "images": None, "tool_calls": None}
            for place, (role, text) in enumerate(home.messages(label))
        ]  # fmt: skip
        chat = {
            "id": name, "_salt": None, "__key__": None, "name": label, "name_generated": True,
            "last_updated": (_DAY - timedelta(days=number)).isoformat(), "llm_config": model, "total_cost": 0.0,
            "total_usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}, "messages": said,
        }  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(chat), encoding="utf-8")


def llm(home: Home) -> None:
    """llm 0.36: only the model is told; it opens no earlier conversation by itself."""
    models = f'- model_id: {home.model}\n  model_name: {home.model}\n  api_base: "{home.url}/v1"\n'
    (home.make("llm") / "extra-openai-models.yaml").write_text(models, encoding="utf-8")
