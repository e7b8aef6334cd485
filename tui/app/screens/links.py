"""A link that was clicked: shown in full before it is opened."""

from __future__ import annotations

import re
from collections.abc import Collection

from tui.app.screens.session_actions import Stage
from tui.text import one_line, safe_url


class Links:
    """Opens addresses once the user agrees. The browser does not see `key_variables` of the environment."""

    def __init__(self, key_variables: Collection[str], stage: Stage) -> None:
        self._key_variables = key_variables
        self._stage = stage

    def open(self, address: str) -> None:
        """Ask whether to open what a link goes to, if that is anything to be opened."""
        from tui.app.widgets.dialogs import ConfirmDialog

        url = safe_url(address)
        if url is None:
            self._stage.say(f"Not opened, only http, https and mailto are: {one_line(address, 120)}")
            return

        def done(agreed: bool | None) -> None:
            if agreed:
                self._stage.do(self._open(url))

        question = ConfirmDialog(f"Open {_place(url)}?", url, "opens it")
        self._stage.app.push_screen(question, done)

    async def _open(self, url: str) -> None:
        from tui.app.browser import open_address

        opened = await open_address(url, self._key_variables)
        self._stage.say("Opened in the browser" if opened else "No browser could be started")


def _place(url: str) -> str:
    """The host an address leads to, or whom it writes to: what decides, and the rest of a long one hides."""
    scheme, _, rest = url.partition(":")
    return (
        re.split("[/?#]", rest.removeprefix("//"), maxsplit=1)[0]
        if scheme.lower() != "mailto"
        else rest.partition("?")[0]
    )
