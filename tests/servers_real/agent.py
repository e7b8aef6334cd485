"""The agent that MLflow's agent server serves here. It runs with the servers' own Python, as `uvicorn` loads it."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, SQLiteSession, function_tool, set_tracing_disabled
from fastapi import HTTPException
from mlflow.genai.agent_server import AgentServer, invoke, stream
from mlflow.types.responses import ResponsesAgentRequest, ResponsesAgentResponse, ResponsesAgentStreamEvent
from openai import AsyncOpenAI

set_tracing_disabled(True)

_UPSTREAM = AsyncOpenAI(base_url=os.environ["UPSTREAM"], api_key="none", max_retries=0)


@function_tool
def weather(city: str) -> str:
    """What the weather is like in a city."""
    return f"17 degrees in {city}"


_AGENT = Agent(
    name="Weatherman",
    instructions="Answer what you are asked.",
    model=OpenAIChatCompletionsModel("fake", _UPSTREAM),
    tools=[weather],
)


@invoke()
async def answer(request: ResponsesAgentRequest) -> ResponsesAgentResponse:
    """An answer as a whole."""
    session = _session_of(request)
    run = await Runner.run(_AGENT, await _news_of(request, session), session=session)
    return ResponsesAgentResponse(
        output=[item.to_input_item() for item in run.new_items], custom_outputs={"session_id": session.session_id}
    )


@stream()
async def answer_by_and_by(request: ResponsesAgentRequest) -> AsyncIterator[Any]:
    """An answer as it comes: the model's own events, and between them what its tools found."""
    session = _session_of(request)
    news = await _news_of(request, session)
    run = Runner.run_streamed(_AGENT, news, session=session)
    named = ""
    async for event in run.stream_events():
        if event.type == "raw_response_event":
            told = event.data.model_dump()
            if told["type"] == "response.output_item.added":
                named = str(uuid.uuid4())
            yield _with_name(told, named) if os.environ.get("OWN_IDS") else told
        elif event.type == "run_item_stream_event" and event.item.type == "tool_call_output_item":
            yield ResponsesAgentStreamEvent(type="response.output_item.done", item=event.item.to_input_item())


def _session_of(request: ResponsesAgentRequest) -> SQLiteSession:
    named = (request.custom_inputs or {}).get("session_id")
    if not named and request.context is not None:
        named = request.context.conversation_id
    return SQLiteSession(str(named or uuid.uuid4()), os.environ["SESSIONS"])


async def _news_of(request: ResponsesAgentRequest, session: SQLiteSession) -> list[Any]:
    """What the session does not hold yet: the newest message, or all where it holds nothing.

    A message is written out with the fields it does not have, as most agents have it; then it is refused where it is an
    answer. With TAKES_ANSWERS it is not.

    Raises:
        HTTPException: It is asked to be busy.
    """
    takes_answers = bool(os.environ.get("TAKES_ANSWERS"))
    said: list[Any] = [item.model_dump(exclude_none=takes_answers) for item in request.input]
    if str(said[-1].get("content")).startswith("limit"):
        raise HTTPException(429, "You are asking too often.")
    return said[-1:] if await session.get_items(1) else said


def _with_name(told: dict[str, Any], named: str) -> dict[str, Any]:
    """An event with an id of its item's own; the model's adapter calls every item the same."""
    if isinstance(told.get("item"), dict) and "id" in told["item"]:
        told["item"]["id"] = named
    elif "item_id" in told:
        told["item_id"] = named
    return told


app = AgentServer("ResponsesAgent").app
