"""The first session shown, with what is said at its beginning."""

from __future__ import annotations

from collections.abc import Mapping

from tui.app.run import Wish
from tui.chat import Chat
from tui.errors import ConfigError
from tui.model import Session
from tui.store import Store

MOST_TOLD = 4
"""Lines that are told at the start, at most, one below the other."""


async def wished_session(chat: Chat, wish: Wish) -> Session:
    """The session the command line asks for, or else the one used last.

    Raises `PalaverError` where there can be none such.
    """
    if wish.label:
        session = await chat.open(wish.label, profile=wish.profile, model=wish.model)
    elif wish.new:
        session = await chat.new(profile=wish.profile, model=wish.model)
    else:
        session = await chat.last() or await chat.new(profile=wish.profile, model=wish.model)
    if (wish.profile and wish.profile != session.profile) or (wish.model and wish.model != session.model):
        session = await chat.set_profile(session.id, wish.profile or session.profile, wish.model)
    return session


def first_words(chat: Chat, store: Store, warnings: list[str]) -> list[str]:
    """What there is to tell at the start, line by line; nothing, where all is well."""
    said = [*store.notices, *warnings]
    if store.recovered:
        plural = "answers were" if store.recovered > 1 else "answer was"
        said.append(f"{store.recovered} {plural} cut short when Palaver last ended; what came is kept")
    if chat.health.message:
        said.append(chat.health.message)
    return said


def shortened(said: list[str]) -> list[str]:
    """As much of `said` as a window has room for, with how much more there is."""
    left = len(said) - MOST_TOLD
    return said if left <= 0 else [*said[:MOST_TOLD], f"And {left} more; `palaver config` lists those about settings."]


def hint(chat: Chat, session: Session, keys: Mapping[str, str]) -> tuple[str, ...]:
    """What an empty transcript says; `keys` are the keys by the names of what they do."""
    first = (
        "A new session",
        "",
        f"Type a message and press {keys['prompt.send']}.",
        f"{keys['app.help']} shows the keys, {keys['app.commands']} the commands.",
    )
    try:
        protocol = chat.profile_of(session).protocol
    except ConfigError as error:
        return (*first, "", error.message, "/profile names the server it is to talk to.")
    if protocol != "guide":
        return first
    is_alone = all(profile.protocol == "guide" for profile in chat.config.profiles.values())
    why = "No server is configured yet, so guide answers:" if is_alone else "guide answers:"
    return (*first, "", why, "Palaver's own manual. Ask it anything.")
