"""The pictures that a server is shown with a prompt."""

from __future__ import annotations

from tui.attachments import pictures_in
from tui.config import Profile
from tui.errors import UsageError
from tui.pictures import Picture
from tui.store import Store
from tui.traits import Can


def refuse_pictures(profile: Profile, prompt: str) -> None:
    """See to it that a prompt names no pictures where none can be shown.

    Raises:
        UsageError: It does.
    """
    if Can.PICTURES not in profile.traits.can and pictures_in(prompt):
        raise UsageError(f"The {profile.protocol} protocol takes no pictures.", hint="leave them out")


async def pictures_shown(store: Store, profile: Profile, prompt: str) -> tuple[Picture, ...]:
    """The pictures that a prompt names, as far as they are there: a text may only quote such a name.

    Raises:
        UsageError: The server cannot be shown any.
    """
    refuse_pictures(profile, prompt)
    keys = dict.fromkeys(pictures_in(prompt))
    found = await store.pictures.get(keys) if keys else {}
    return tuple(found[key] for key in keys if key in found)
