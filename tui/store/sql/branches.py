"""The SQL of a session's branches: where they part, which one is gone on with.

A session has one present branch. The others keep what was said before a prompt was changed or asked again.
"""

from __future__ import annotations

from sqlite3 import Connection

from tui.model import Branch, Session, Variants, new_id
from tui.store.sql import sessions

Line = list[tuple[str, int, int]]
"""The branches that turns lie on, newest first: id, first depth, and the depth it stops before."""


def end_of(conn: Connection, session_id: str) -> tuple[str, int, int]:
    """A session's present branch: its id, its first depth and the next free one. A branch that is missing is made."""
    line = sessions.lineage(conn, session_id)
    if not line:
        conn.execute(
            "INSERT INTO branches (id, session_id) SELECT branch_id, id FROM sessions WHERE id = ?", (session_id,)
        )
        line = sessions.lineage(conn, session_id)
    branch, low, _ = line[0]
    newest = conn.execute("SELECT max(depth) FROM turns WHERE branch_id = ?", (branch,)).fetchone()[0]
    return branch, low, low if newest is None else max(low, int(newest) + 1)


def branch_off(conn: Connection, session_id: str, depth: int) -> None:
    """Let a session go on from its first `depth` turns; what came after them stays on the branch that it was on."""
    line = sessions.lineage(conn, session_id)
    parent = next((branch for branch, low, _ in line if low < depth), line[-1][0])
    branch = new_id()
    conn.execute("INSERT INTO branches (id, session_id, parent_id, base) VALUES (?, ?, ?, ?)",
                 (branch, session_id, parent, depth))  # fmt: skip
    _go_on_with(conn, session_id, branch, depth)


def get_variants(conn: Connection, session_id: str) -> dict[int, Variants]:
    """Where a session has been gone on with in several ways: by the depths at which those on its present branch part."""
    present = sessions.lineage(conn, session_id)
    lines = _lines(conn, session_id)
    found = {}
    for depth in sorted({line[0][1] for line in lines.values()}) if len(lines) > 1 else ():
        before = _holder(present, depth - 1)
        turns = {
            turn
            for line in lines.values()
            if depth == 0 or _holder(line, depth - 1) == before
            for turn in [_turn_at(conn, line, depth)]
            if turn
        }
        here = _turn_at(conn, present, depth)
        if len(turns) > 1 and here in turns:
            ordered = tuple(sorted(turns, key=lambda turn: _place(conn, turn)))
            found[depth] = Variants(ordered, ordered.index(here))
    return found


def list_branches(conn: Connection, session_id: str) -> list[Branch]:
    """The branches of a session that something was said on, the one begun first first."""
    row = conn.execute("SELECT branch_id FROM sessions WHERE id = ?", (session_id,)).fetchone()
    found = []
    for branch, base in conn.execute("SELECT id, base FROM branches WHERE session_id = ?", (session_id,)).fetchall():
        said = conn.execute(
            "SELECT id, depth, created_at FROM turns WHERE branch_id = ? ORDER BY depth", (branch,)
        ).fetchall()
        if said:
            (first, _, _), (newest, depth, at) = said[0], said[-1]
            prompt = conn.execute("SELECT text FROM items WHERE turn_id = ? AND position = 0", (first,)).fetchone()
            one = Branch(newest, base + 1, depth + 1, prompt[0] if prompt else "", at, branch == row[0])
            found.append((_place(conn, first), one))
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def go_on_through(conn: Connection, session_id: str, turn_id: str) -> Session | None:
    """Go on with the branch a turn lies on; where there are several of them, with the one said something in last.

    Gives the session as it is then, or None where it has no such turn.
    """
    row = conn.execute("SELECT branch_id, depth FROM turns WHERE id = ?", (turn_id,)).fetchone()
    if row is None:
        return None
    through = {branch: line for branch, line in _lines(conn, session_id).items() if _holder(line, row[1]) == row[0]}
    if not through:
        return None
    newest = {branch: _newest(conn, line) for branch, line in through.items()}
    branch = max(through, key=lambda one: newest[one])
    turns = conn.execute("SELECT max(depth) + 1 FROM turns WHERE branch_id = ?", (branch,)).fetchone()[0]
    _go_on_with(conn, session_id, branch, max(turns or 0, through[branch][0][1]))
    return sessions.get_session(conn, session_id)


def _go_on_with(conn: Connection, session_id: str, branch: str, turns: int) -> None:
    now = sessions.next_revision(conn)
    conn.execute(
        "UPDATE sessions SET branch_id = ?, turns = ?, revision = ? WHERE id = ?", (branch, turns, now, session_id)
    )
    if turns:
        line = sessions.lineage(conn, session_id)
        conn.execute(
            "UPDATE sessions SET last_status = coalesce((SELECT status FROM turns WHERE branch_id = ? AND depth = ?), "
            "last_status) WHERE id = ?",
            (_holder(line, turns - 1), turns - 1, session_id),
        )


def _lines(conn: Connection, session_id: str) -> dict[str, Line]:
    """The branches that are a session's own, each with those it goes on from."""
    rows = conn.execute(
        """
        WITH RECURSIVE line (tip, id, parent_id, low, high) AS (
            SELECT id, id, parent_id, base, 9223372036854775807 FROM branches WHERE session_id = ?
            UNION
            SELECT line.tip, p.id, p.parent_id, p.base, min(line.low, line.high)
            FROM line JOIN branches p ON p.id = line.parent_id
        )
        SELECT tip, id, low, high FROM line
        """,
        (session_id,),
    )
    lines: dict[str, Line] = {}
    for tip, branch, low, high in rows:
        lines.setdefault(str(tip), []).append((str(branch), int(low), int(high)))
    return {tip: sorted(line, key=lambda part: -part[2]) for tip, line in lines.items()}


def _holder(line: Line, depth: int) -> str | None:
    """The branch of a line that a depth is on."""
    return next((branch for branch, low, high in line if low <= depth < high), None)


def _turn_at(conn: Connection, line: Line, depth: int) -> str | None:
    row = conn.execute(
        "SELECT id FROM turns WHERE branch_id = ? AND depth = ?", (_holder(line, depth), depth)
    ).fetchone()
    return str(row[0]) if row else None


def _newest(conn: Connection, line: Line) -> int:
    """The place of the newest turn on a branch, or where it has none of its own, on what it goes on from."""
    for branch, _, high in line:
        row = conn.execute(
            "SELECT id FROM turns WHERE branch_id = ? AND depth < ? ORDER BY depth DESC LIMIT 1", (branch, high)
        ).fetchone()
        if row:
            return _place(conn, row[0])
    return 0


def _place(conn: Connection, turn_id: str) -> int:
    """Where a turn stands among all turns, by when it was written: its id tells a clock's time, and clocks are set back."""
    row = conn.execute("SELECT id FROM items WHERE turn_id = ? AND position = 0", (turn_id,)).fetchone()
    return int(row[0]) if row else 0
