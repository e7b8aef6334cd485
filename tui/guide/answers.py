"""What guide says: passages of the manual, the list of them, and a few things to try out."""

from __future__ import annotations

import re
from dataclasses import replace

from tui.guide.manual import Passage, passages, search, titled
from tui.values import dataclass

DURATION = 1.7
"""Seconds an answer is to take, where its words do not need longer."""

SLOWEST = 0.018
"""Seconds between two words of a short answer."""


@dataclass(frozen=True, slots=True)
class Script:
    """What guide is going to say, word by word with `pace` seconds between two.

    `call` is a tool's name, what it is called with, and what it gives. After `fail_after` words the answer breaks off.
    `forget` makes the conversation one that is already too old. `topic` is the number of the passage shown, or -1.
    """

    text: str
    topic: int = -1
    pace: float = 0.0
    reasoning: str = ""
    call: tuple[str, str, str] | None = None
    fail_after: int | None = None
    forget: bool = False


def answer(prompt: str, topic: int, *, is_first: bool) -> Script:
    """The answer to a prompt, `topic` being the passage shown last; the first one of a conversation says who is talking."""
    words = prompt.casefold().strip(" \t\n.!?").split()
    if words[:1] == ["/demo"]:
        demo = _demo(" ".join(words[1:]))
        return replace(demo, topic=topic) if demo.topic < 0 else demo
    if said := _SAY.fullmatch(prompt.strip()):
        return Script(said[1], topic)
    passage, text = _text(prompt, words, topic)
    if is_first:
        text = f"{text}\n\n> {_HELLO} {_TRY_SHORT}" if passage else f"{_HELLO}\n\n{text}\n\n{_TRY}"
    number = passage.number if passage else topic
    return Script(text, number, min(SLOWEST, DURATION / len(text.split())))


def _text(prompt: str, words: list[str], topic: int) -> tuple[Passage | None, str]:
    """What to say, and the passage that it is, if it is one."""
    if words in _MORE:
        if topic < 0:
            return None, f"There is nothing to go on with yet. The manual has these sections:\n\n{_contents()}"
        following = passages()[(topic + 1) % len(passages())]
        return following, _section(following, [])
    if words in _CONTENTS:
        return None, f"The manual has these sections; name one, or ask in your own words:\n\n{_contents()}"
    named = titled(prompt.strip(" \t\n.!?*#"))
    is_greeting = _GREETING.fullmatch(prompt) is not None
    found = [named] if named else [] if is_greeting else search(prompt)
    if found:
        return found[0], _section(found[0], found[1:])
    begin = "Ask me anything about Palaver." if is_greeting or not re.search(r"\w", prompt) else _NOTHING
    return None, f"{begin} The manual has these sections:\n\n{_contents()}"


def _section(passage: Passage, others: list[Passage]) -> str:
    following = passages()[(passage.number + 1) % len(passages())]
    also = [f"*{other.title}*" for other in others if other is not following]
    see = f"See also {', '.join(also)}. " if also else ""
    return f"## {passage.title}\n\n{passage.text}\n\n{see}Say `more` for *{following.title}*."


def _contents() -> str:
    parts: dict[str, list[str]] = {}
    for passage in passages():
        parts.setdefault(passage.part, []).append(passage.title)
    return "\n".join(f"- **{part}**: {' · '.join(titles)}" for part, titles in parts.items())


_MORE = (["more"], ["next"], ["go", "on"], ["continue"], ["and", "then"])
_CONTENTS = (["contents"], ["content"], ["topics"], ["sections"], ["index"], ["toc"], ["table", "of", "contents"])
_GREETING = re.compile(
    r"(?i)\W*(hi|hello|hey|hallo|help|moin|good (morning|day|afternoon|evening)|thanks?|thank you|test|ping)"
    r"(\W+(me|there|guide|palaver|you|please))?\W*"
)
_SAY = re.compile(r"(?i)say (?:the word)?:? *(\w{1,40})\W*")
_NOTHING = "The manual says nothing about that, as far as I can find; other words may help."

_HELLO = """\
I am **guide**, the manual inside Palaver, and no language model: I show the section that fits your words. To talk to a \
model, ask me “how do I add a server?”"""

_TRY_SHORT = """\
To see how Palaver takes servers' good and bad days, say `/demo long`, `/demo slow`, `/demo tools`, `/demo fail` or \
`/demo forget`."""

_TRY = """\
To try things out, say

| | |
| --- | --- |
| `/demo long` | a long answer, to scroll and to stop with Esc |
| `/demo slow` | a slow one, to switch sessions meanwhile |
| `/demo tools` | reasoning and a tool's call, each folded to one line |
| `/demo fail` | an answer that breaks off |
| `/demo forget` | then say anything: a conversation the server has forgotten |"""


def _demo(name: str) -> Script:
    match name:
        case "long":
            text = "\n\n".join(f"## {passage.title}\n\n{passage.text}" for passage in passages())
            return Script(f"The whole manual, from its first line. Esc stops it.\n\n{text}", 0, 0.006)
        case "slow":
            text = "This answer takes its time. Press Alt+Down or Ctrl+O to look at another session meanwhile: it goes on, "
            text += "and its row in the sidebar shows that it does. Come back, and nothing is missing. "
            return Script(text + "One word follows the other, slowly, " * 12 + "until the end.", pace=0.25)
        case "tools":
            titles = "\n".join(f"{number}. {passage.title}" for number, passage in enumerate(passages()[:5], 1))
            return Script(
                f"The manual begins with these sections:\n\n{titles}\n\n"
                "The call above is folded: press Tab, go to it with Up, and Enter unfolds it.",
                pace=SLOWEST,
                reasoning="I could answer from memory, but looking into the manual is safer.",
                call=("search_manual", '{"words": ["sections"], "limit": 5}', f"{len(passages())} sections"),
            )
        case "fail":
            text = "This answer was going well until, quite without warning, it broke off. " * 3
            return Script(text, pace=0.05, fail_after=12)
        case "forget":
            text = "I have forgotten this conversation. Say anything now, and watch the note below the answer."
            return Script(text, pace=SLOWEST, forget=True)
        case _:
            unknown = f"There is no `/demo {name}`. " if re.fullmatch(r"[a-z0-9-]{1,40}", name) else ""
            return Script(unknown + _TRY, pace=SLOWEST)
