"""A request's body in JSON: whole, and written step by step."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tui.client.encoding import STEP, encode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda some: st.lists(some, max_size=4) | st.dictionaries(st.text(), some, max_size=4),
    max_leaves=8,
)


@given(body=st.dictionaries(st.text(), VALUES, max_size=4), entry=VALUES, count=st.integers(0, 3 * STEP))
def test_a_body_is_what_the_json_module_makes_of_it_whole(body: dict[str, Any], entry: Any, count: int) -> None:
    body = {"messages": [*([entry] * count), "the last"], **body}
    expected = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    assert asyncio.run(encode(body)) == expected


async def test_others_have_their_turn_while_a_long_history_is_written() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await encode({"model": "m", "messages": [{"role": "user", "content": "x" * 100}] * (10 * STEP)})
    beside.cancel()
    assert turns >= 10


async def test_half_a_character_is_sent_as_a_question_mark() -> None:
    assert await encode({"input": "a\ud800b"}) == b'{"input": "a?b"}'
