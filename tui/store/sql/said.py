"""The SQL of how much was said in a session, without reading what."""

from __future__ import annotations

from sqlite3 import Connection

from tui.resending import Said
from tui.store.sql import sessions


def get_said(conn: Connection, session_id: str, start: int, stop: int) -> Said:
    """How much a server may be told of, of the turns of a session's present branch from depth `start` up to, not
    including, `stop`. What it may be told is what `Turn.is_context` says."""
    said = Said()
    for branch, low, high in sessions.lineage(conn, session_id):
        first, last = max(low, start), min(high, stop)
        if first < last:
            messages, size = conn.execute(
                """
                SELECT sum(1 + (answer > 0)), sum(prompt + answer) FROM (
                    SELECT t.status AS status,
                        sum(CASE i.kind WHEN 'prompt' THEN length(CAST(i.text AS BLOB)) ELSE 0 END) AS prompt,
                        sum(CASE i.kind WHEN 'message' THEN length(CAST(i.text AS BLOB)) ELSE 0 END) AS answer
                    FROM turns t JOIN items i ON i.turn_id = t.id AND i.kind IN ('prompt', 'message')
                    WHERE t.branch_id = ? AND t.depth >= ? AND t.depth < ?
                        AND t.status IN ('done', 'cancelled', 'interrupted')
                    GROUP BY t.id
                ) WHERE status = 'done' OR answer > 0
                """,
                (branch, first, last),
            ).fetchone()
            said += Said(messages or 0, size or 0)
    return said
