"""Pictures that were sent along, kept on disk."""

from __future__ import annotations

from collections.abc import Collection

from tui.errors import StoreError
from tui.pictures import Picture
from tui.store import sql
from tui.store.access import Access


class Pictures:
    """All pictures that prompts name."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def add(self, picture: Picture) -> None:
        """Keep a picture. Never raises: what cannot be written is kept in memory, as all is before the file is opened."""
        if not self._access.is_begun:
            self._access.overlay.pictures[picture.key] = picture
            return
        try:
            await self._access.write(sql.pictures.put_picture, picture, is_awaited=True)
        except StoreError as error:
            self._access.overlay.pictures[picture.key] = picture
            self._access.not_saved(error)

    async def get(self, keys: Collection[str]) -> dict[str, Picture]:
        """Those of some pictures that are there, by their keys."""
        unsaved = {key: picture for key, picture in self._access.overlay.pictures.items() if key in keys}
        rest = sorted(set(keys) - unsaved.keys())
        saved: dict[str, Picture] = {}
        if rest:
            saved = await self._access.read(sql.pictures.get_pictures, saved, rest)
        return saved | unsaved
