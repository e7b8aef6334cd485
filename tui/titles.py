"""A title that a model makes of a session's first exchange, by a request of its own that no conversation is part of."""

from __future__ import annotations

from dataclasses import replace

from tui.config import Profile
from tui.model import Turn
from tui.text import one_line
from tui.traits import TRAITS

MOST = 60
"""The longest title, in characters; a model that says more was not giving a title."""

_SHOWN = 2000  # characters of each side of the exchange: enough to tell what it is about

_ASKED = """\
Name this conversation in at most six words, in the language it is held in. Answer with the name only.

<user>
{prompt}
</user>

<assistant>
{text}
</assistant>"""


def title_profile(profile: Profile) -> Profile | None:
    """The profile as a title is asked for: with nothing kept of it. None where the server would keep a conversation."""
    if TRAITS[profile.protocol].keeps and profile.protocol != "responses":
        return None
    params = {name: value for name, value in profile.params.items() if not name.startswith("tool")}
    return replace(profile, continue_by="nothing", system="", params=params, options={})


def question(turn: Turn) -> str:
    """What the model is asked."""
    return _ASKED.format(prompt=turn.prompt[:_SHOWN], text=turn.text[:_SHOWN])


def title_in(answer: str) -> str:
    """The title in a model's answer; nothing where there is none."""
    line = next((line for line in answer.splitlines() if line.strip()), "")
    title = one_line(line).strip(" #*_`\"'“”„«»").rstrip(".").strip()
    return title if len(title) <= MOST else ""
