"""The SQL of queues: prompts that wait until the answer before them is done."""

from __future__ import annotations

from collections.abc import Iterable
from sqlite3 import Connection

from tui.model import Queued, Session, Turn
from tui.store.sql import leases, saving, sending, sessions
from tui.store.sql.leases import Writer
from tui.text import storable


def put_queued(conn: Connection, queued: Queued, session: Session, writer: Writer) -> Queued | None:
    """Put a prompt at the end of its session's queue. Gives it with the turn it follows: the one that runs, else its own.

    Without one of its own only what others run counts, and where they run nothing it is left out: None.
    """
    sessions.ensure_session(conn, session)
    follows = queued.follows
    holder = sending.live_holder(conn, session.id, writer)
    if holder and (queued.follows or holder != writer.holder):
        # Between two turns: it comes after the one that is about to be made, as everything that waits does.
        follows = sending.running_turn(conn, session.id, holder) or queued.follows or session.id
    if not follows:
        return None
    conn.execute(
        "INSERT INTO queue (id, session_id, place, prompt, follows, created_at) VALUES (?1, ?2, "
        "(SELECT coalesce(max(place), 0) + 1 FROM queue WHERE session_id = ?2), ?3, ?4, ?5)",
        (queued.id, session.id, storable(queued.prompt), follows, queued.created_at),
    )
    sessions.drop_draft(conn, session.id, queued.prompt)
    sessions.tell_of(conn, session.id)
    return get_queue(conn, session.id)[-1]


def get_queue(conn: Connection, session_id: str) -> tuple[Queued, ...]:
    """What waits in a session, in the order in which it is to be sent."""
    rows = conn.execute(
        "SELECT id, session_id, prompt, created_at, follows, held FROM queue WHERE session_id = ? ORDER BY place",
        (session_id,),
    )
    return tuple(Queued(one, of, prompt, at, follows, bool(held)) for one, of, prompt, at, follows, held in rows)


def get_queues(conn: Connection, session_ids: Iterable[str]) -> dict[str, tuple[Queued, ...]]:
    """The queues of these sessions, empty ones among them."""
    return {session_id: get_queue(conn, session_id) for session_id in session_ids}


def change_queued(conn: Connection, queued: Queued, prompt: str, is_held: bool) -> bool:
    """Let a prompt that waits be another one in the same place, or be held there. False where it waits no more."""
    found = conn.execute(
        "UPDATE queue SET prompt = ?, held = ? WHERE id = ?", (storable(prompt), int(is_held), queued.id)
    )
    if found.rowcount and not is_held:
        sessions.drop_draft(conn, queued.session_id, prompt)
    sessions.tell_of(conn, queued.session_id)
    return found.rowcount > 0


def remove_queued(conn: Connection, queued: Queued) -> bool:
    """Take a prompt out of its queue. False where it waits no more."""
    found = conn.execute("DELETE FROM queue WHERE id = ?", (queued.id,))
    sessions.tell_of(conn, queued.session_id)
    return found.rowcount > 0


def follow_on(conn: Connection, session_id: str, old: str, new: str) -> None:
    """Let what follows one turn follow another one."""
    conn.execute("UPDATE queue SET follows = ? WHERE session_id = ? AND follows = ?", (new, session_id, old))


def begin_queued(
    conn: Connection,
    queued: Queued,
    turn: Turn,
    session: Session,
    title: str,
    writer: Writer,
) -> Turn | None:
    """Make the first prompt of a queue a turn, which the others follow then. None where it is not the first any more, or
    another window wants the session.

    Raises:
        SessionBusy: Another window, still alive, is answering in this session.
    """
    first = get_queue(conn, queued.session_id)[:1]
    if [(one.id, one.prompt) for one in first] != [(queued.id, queued.prompt)]:
        return None
    lease = leases.get_lease(conn, queued.session_id)
    if lease is not None and lease.holder == writer.holder and lease.wanted_by:
        return None
    begun = saving.begin_turn(conn, turn, session, title, None, writer)
    conn.execute("DELETE FROM queue WHERE id = ?", (queued.id,))
    conn.execute("UPDATE queue SET follows = ? WHERE session_id = ?", (begun.id, queued.session_id))
    return begun
