"""The SQL of pictures: each is kept once, under the key that prompts name it by."""

from __future__ import annotations

import json
from collections.abc import Sequence
from sqlite3 import Connection

from tui.pictures import Picture


def put_picture(conn: Connection, picture: Picture) -> None:
    """Keep a picture, if it is not there yet."""
    conn.execute(
        "INSERT OR IGNORE INTO pictures (key, kind, data) VALUES (?, ?, ?)", (picture.key, picture.kind, picture.data)
    )


def get_pictures(conn: Connection, keys: Sequence[str]) -> dict[str, Picture]:
    """Those of some pictures that are there, by their keys."""
    rows = conn.execute(
        "SELECT key, kind, data FROM pictures WHERE key IN (SELECT value FROM json_each(?))", (json.dumps(keys),)
    )
    return {key: Picture(kind, data) for key, kind, data in rows}
