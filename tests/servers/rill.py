"""Stands in for a Rill runtime: conversations with owners, shared up to an answer, forked with new ids.

Who asks is the value of the bearer token; without one, all is allowed, as in Rill Developer, unless the service was made
with a key: then it is a cloud, whose anonymous users may do nothing. The token "outdated" has expired, and the user
"guest" may not use AI. An answer's work is its stream: when the client lets go, what was said so far is kept.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.servers.base import Answer, Asked, Service, event, manner, stream_answer, text_answer, words_of
from tests.servers.rill_catalog import Conversation, Talk, described, is_answer, is_prompt, loose, renamed, sparse

PREFIX = "/v1/instances/"
AGENTS = ("analyst_agent", "developer_agent", "feedback_agent")
FIELDS = {
    "instanceId": str,
    "conversationId": str,
    "prompt": str,
    "agent": str,
    "analystAgentContext": dict,
    "developerAgentContext": dict,
    "feedbackAgentContext": dict,
    "disableMemory": bool,
}
_STATUS = {2: 500, 3: 400, 5: 404, 9: 400, 16: 401}


def make(*, pace: float = 0.0, key: str = "") -> Rill:
    return Rill(pace=pace, key=key)


def profile_text(url: str, *, key: bool = False, name: str = "here") -> str:
    """A profile for it, as it stands in config.toml."""
    return f'profile = "{name}"\n[profiles.{name}]\nprotocol = "rill"\nbase_url = "{url}"\n' + (
        'api_key_env = "FAKE_KEY"\n' if key else ""
    )


class Failed(Exception):
    """An error as the runtime has it. `code` is gRPC's number, `name` its name."""

    def __init__(self, message: str, code: int = 2, name: str = "Unknown", *, public: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.name = name
        self.public = public or message


@dataclass
class User:
    """Who asks. `skips` is whether nothing is forbidden to them."""

    id: str
    skips: bool
    may_use_ai: bool = True


class Rill(Service):
    """Keeps every message from the moment it is said. `is_older` makes it speak as servers before sharing did."""

    def __init__(self, *, pace: float = 0.0, key: str = "") -> None:
        super().__init__(pace=pace, key=key)
        self.conversations: dict[str, Conversation] = {}
        self.is_older = False
        self._random = random.Random(7)
        self._clock = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)

    def forget(self) -> None:
        self.conversations.clear()

    async def answer(self, asked: Asked) -> Answer:
        instance, _, path = asked.path.removeprefix(PREFIX).partition("/ai/")
        if not asked.path.startswith(PREFIX) or not path:
            return text_answer("404 page not found\n", 404)
        is_stream = (asked.method, path) == ("POST", "complete/stream")
        try:
            user = self._user(asked.headers)
            if not user.may_use_ai:
                raise Failed("action not allowed", 16, "Unauthenticated")
        except Failed as failed:
            return text_answer(f"{failed.message}\n", 401) if is_stream else self._error(failed)
        if is_stream:
            body = _strict(asked.body)
            if body is None:
                return text_answer("failed to parse request body\n", 400)
            return stream_answer(self._complete(instance, user, body), connection="keep-alive")
        try:
            if instance != "default":
                raise Failed(f'failed to get instance "{instance}": not found')
            return self._rest(asked.method, path.split("/"), user, table(asked.json))
        except Failed as failed:
            return self._error(failed)

    # Who may do what

    def _user(self, headers: Mapping[str, str]) -> User:
        given = headers.get("authorization")
        if given is None:
            return User("", skips=not self.key, may_use_ai=not self.key)
        kind, _, token = given.partition(" ")
        if kind != "Bearer" or not token or (self.key and token != self.key and token != "outdated"):
            raise Failed("failed to parse and validate token: token is malformed", 16, "Unauthenticated")
        if token == "outdated":
            raise Failed("jwt is expired", 16, "Unauthenticated")
        return User(token, skips=False, may_use_ai=token != "guest")

    def _session(self, conversation_id: str, user: User) -> tuple[Conversation, list[dict[str, Any]]]:
        """A conversation, and the messages of it that the user may see."""
        found = self.conversations.get(conversation_id)
        if found is None:
            raise Failed(f'failed to find session "{conversation_id}": not found')
        if found.owner in ("", user.id) or user.skips:
            return found, list(found.messages)
        if not found.shared_until:
            denied = f'access denied to session "{found.id}"'
            if self.is_older:
                raise Failed(denied)
            raise Failed(f"action not allowed: {denied}", 16, public="action not allowed")
        seen = [message["id"] for message in found.messages].index(found.shared_until)
        return found, found.messages[: seen + 1]

    # Small requests

    def _rest(self, method: str, path: list[str], user: User, body: Mapping[str, Any]) -> Answer:
        match method, path:
            case "GET", ["conversations"]:
                own = [one for one in self.conversations.values() if one.owner == user.id]
                own.sort(key=lambda one: one.updated_on, reverse=True)
                return self._json({"conversations": [described(one, []) for one in own]})
            case "GET", ["conversations", conversation_id]:
                found, messages = self._session(conversation_id, user)
                told = {"conversation": described(found, messages), "messages": messages}
                return self._json(told if self.is_older else told | {"isOwner": found.owner == user.id})
            case "POST", ["conversations", conversation_id, "share"]:
                return self._share(conversation_id, user, text(body.get("untilMessageId")))
            case "POST", ["conversations", conversation_id, "fork"]:
                return self._fork(conversation_id, user)
        return text_answer("404 page not found\n", 404)

    def _share(self, conversation_id: str, user: User, until: str) -> Answer:
        found, messages = self._session(conversation_id, user)
        if found.owner != user.id and not user.skips:
            raise Failed("action not allowed", 16)
        if until == "none":
            found.shared_until = ""
            return self._json({})
        chosen = [one for one in messages if (one["id"] == until if until else is_answer(one))]
        if not chosen:
            bad = 3 if self.is_older else 5
            raise Failed(f'message with id "{until}" not found in conversation "{conversation_id}"', bad)
        if not is_answer(chosen[-1]):
            raise Failed(
                f'cannot share incomplete conversation as message with id "{until}" is not a router agent result message',
                3 if self.is_older else 9,
            )
        found.shared_until = chosen[-1]["id"]
        return self._json({})

    def _fork(self, conversation_id: str, user: User) -> Answer:
        try:
            found, messages = self._session(conversation_id, user)
        except Failed as failed:
            said = f"failed to load session to fork: {failed.message}"
            raise Failed(said, failed.code, public=failed.public if failed.code == 16 else said) from None
        made = self._new(user.id, f"{found.title} (forked)")
        made.is_foreign = found.owner != user.id or found.is_foreign
        new_ids = {"": ""}
        for message in messages:
            new_ids[message["id"]] = str(uuid.uuid4())
            now = self._now()
            made.messages.append(
                renamed(message, new_ids) | {"createdOn": now, "updatedOn": now, "index": message["index"]}
            )
        return self._json({"conversationId": made.id})

    # Answers

    async def _complete(self, instance: str, user: User, body: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
        prompt = text(body.get("prompt"))
        try:
            if instance != "default":
                raise Failed(f'failed to get instance "{instance}": not found')
            if not prompt:
                said = "prompt or feedback_agent_context must be provided"
                raise Failed(said, 3, "InvalidArgument")
            if body.get("conversationId"):
                conversation, seen = self._session(text(body["conversationId"]), user)
            else:
                conversation, seen = self._new(user.id), []
            if manner(prompt) == "fail first":
                raise Failed("failed to load instance config", 13, "Internal")
            talk = Talk(conversation, seen, self._now)
            for step in self._say(talk, prompt, text(body.get("agent"))):
                if step is None:
                    await self.hang()
                    continue
                yield event(self._loose({"conversationId": conversation.id, "message": sparse(step)}))
                await self.pause()
        except Failed as failed:
            error = {"error": failed.message} if self.is_older else {"code": failed.name, "error": failed.message}
            yield event(json.dumps(error), "error")

    def _say(self, talk: Talk, prompt: str, agent: str) -> Iterator[dict[str, Any] | None]:
        """The messages of one answer, in order; None where it waits."""
        conversation = talk.conversation
        conversation.title = conversation.title or " ".join(prompt.split())[:50]
        root = talk.call("router_agent", {"prompt": prompt} | ({"agent": agent} if agent else {}), role="user")
        yield root
        if agent and agent not in AGENTS:
            yield talk.result(root, f'agent "{agent}" not found', failed=True)
            return
        if not agent:
            choice = talk.call("Agent choice", None, root)
            yield choice
            yield talk.result(choice, {"agent": "analyst_agent"})
        inner = talk.call(agent or "analyst_agent", {"prompt": prompt}, root)
        yield inner
        yield from self._work(talk, prompt, inner)
        known = sum(is_prompt(message) for message in talk.seen)
        words = "" if manner(prompt) == "empty" else "".join(words_of(prompt, known))
        if manner(prompt) == "hang":
            yield talk.progress(words[: len(words) // 2], inner)
            yield None
        if manner(prompt) == "fail later":
            yield talk.progress("The first of it is known.", inner)
            raise Failed("context deadline exceeded")
        if prompt.lower().startswith("fail agent"):
            yield talk.result(inner, "completion failed: no model", failed=True)
            yield talk.result(root, "completion failed: no model", failed=True)
            return
        yield talk.result(inner, {"response": words})
        yield talk.result(root, {"response": words, "agent": agent or "analyst_agent"})

    def _work(self, talk: Talk, prompt: str, parent: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What is done for an answer."""
        if manner(prompt) == "think":
            yield talk.progress("It is a simple question.", parent)
        if manner(prompt) == "tool":
            call = talk.call("get_metrics_view", {"metrics_view": "weather"}, parent)
            yield call
            if prompt.lower().startswith("tool fails"):
                yield talk.result(call, 'metrics view "weather" not found', failed=True)
            elif talk.conversation.is_foreign:
                yield talk.result(call, "action not allowed", failed=True)
            else:
                yield talk.result(call, {"spec": {"model": "weather", "measures": [{"name": "degrees"}]}})
        if manner(prompt) == "table":
            call = talk.call("query_sql", {"sql": "SELECT city, n FROM bridges"}, parent)
            yield call
            columns = [{"name": "city", "type": "CODE_STRING"}, {"name": "n", "type": "CODE_INT64"}]
            yield talk.result(call, {"schema": columns, "data": [["Hamburg", 2496], ["Berlin", 960]]})

    # Within

    def _new(self, owner: str, title: str = "") -> Conversation:
        now = self._now()
        made = Conversation(str(uuid.uuid4()), owner, title, created_on=now, updated_on=now)
        self.conversations[made.id] = made
        return made

    def _now(self) -> str:
        self._clock += timedelta(seconds=1)
        return self._clock.isoformat().replace("+00:00", "Z")

    def _loose(self, value: Any) -> str:
        """JSON with keys in any order, and blanks wherever they may be."""
        return loose(value, self._random)

    def _json(self, value: object, status: int = 200) -> Answer:
        return Answer(status, {"content-type": "application/json"}, self._loose(value).encode())

    def _error(self, failed: Failed) -> Answer:
        status = _STATUS[failed.code]
        if self.is_older and status == 500:
            status = 500 if "access denied" in failed.message else 400
        return self._json({"code": failed.code, "message": failed.public, "details": []}, status)


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _strict(raw: bytes) -> Mapping[str, Any] | None:
    """The body, if it holds nothing but known fields of the right type."""
    with suppress(ValueError):
        body = json.loads(raw)
        if isinstance(body, dict) and all(isinstance(body[name], FIELDS.get(name, ())) for name in body):
            return body
    return None
