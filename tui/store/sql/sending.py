"""The SQL of who may send in a session."""

from __future__ import annotations

from sqlite3 import Connection

from tui.errors import SessionBusy
from tui.model import SessionLease, Turn
from tui.store.sql import leases, recovery, sessions
from tui.store.sql.leases import Writer
from tui.store.sql.turns import failure_of


def refuse_others(conn: Connection, session_id: str, writer: Writer) -> None:
    """See to it that no one else is sending in a session; what the dead have left is marked as cut short.

    Raises:
        SessionBusy: Another process, still alive, is.
    """
    holder = live_holder(conn, session_id, writer)
    if holder and holder != writer.holder:
        pid = holder.partition(":")[0]
        raise SessionBusy(
            f"This session is answering in another window (process {pid}).", hint="wait for it, or take it over"
        )
    lease = leases.get_lease(conn, session_id)
    if lease is not None and lease.holder != writer.holder:
        leases.free(conn, session_id, lease.holder)
    for turn_id, other in recovery.running(conn, session_id):
        if other != writer.holder:
            recovery.cut_short(conn, turn_id, recovery.CRASHED)


def live_holder(conn: Connection, session_id: str, writer: Writer) -> str:
    """The process that is sending in a session: this one, or another that is still alive; nothing, where none is."""
    lease = leases.get_lease(conn, session_id)
    if lease is not None and writer.is_live(lease):
        return lease.holder
    others = [other for _, other in recovery.running(conn, session_id) if lease is None or other != lease.holder]
    # An older Palaver that still runs keeps no lease.
    return next((other for other in others if writer.is_alive(other)), "")


def ask_for(conn: Connection, session_id: str, writer: Writer, seizes: bool) -> SessionLease | None:
    """Have whoever is sending in a session let go of it. Gives who that is; None where it is free, or is now.

    A process that is gone is not asked, and with `seizes` none is: what it was answering is marked as taken over.

    Raises:
        SessionBusy: It is answering in a window that cannot be asked.
    """
    lease = leases.get_lease(conn, session_id)
    if lease is not None and lease.holder == writer.holder:
        return None
    if lease is None or not writer.is_live(lease):
        refuse_others(conn, session_id, writer)
        return None
    if seizes:
        leases.free(conn, session_id, lease.holder)
        for turn_id, other in recovery.running(conn, session_id):
            if other == lease.holder:
                recovery.cut_short(conn, turn_id, recovery.SEIZED)
        return None
    leases.want(conn, session_id, writer)
    sessions.tell_of(conn, session_id)
    return lease


def beat(conn: Connection, session_id: str, turn_id: str, writer: Writer) -> str:
    """Say that a turn goes on. Gives who wants its session, or has had it since; nothing where no one does."""
    return _overtaken(conn, turn_id) or leases.beat(conn, session_id, turn_id, writer)


def release(conn: Connection, session_id: str, writer: Writer) -> None:
    """Let go of a session in which nothing more is sent."""
    leases.free(conn, session_id, writer.holder)


def running_turn(conn: Connection, session_id: str, holder: str) -> str:
    """The turn that a process runs in a session; nothing, where it runs none."""
    return next((turn_id for turn_id, other in recovery.running(conn, session_id) if other == holder), "")


def is_held(conn: Connection, session_id: str, writer: Writer) -> bool:
    """Whether this process is the one that is sending in a session."""
    lease = leases.get_lease(conn, session_id)
    return lease is not None and lease.holder == writer.holder


def pass_on(conn: Connection, turn: Turn, writer: Writer) -> None:
    """Let this process hold a session, if it does, for another turn of it."""
    if is_held(conn, turn.session_id, writer):
        leases.take(conn, turn.session_id, turn.id, writer)


def let_go(conn: Connection, turn: Turn, writer: Writer) -> None:
    """End the lease of a turn that has ended, unless it is another turn's by now."""
    if not running_turn(conn, turn.session_id, writer.holder):
        leases.free(conn, turn.session_id, writer.holder)


def _overtaken(conn: Connection, turn_id: str) -> str:
    """Who has sent something after a turn that was cut short here, or has taken its session over; nothing, if no one."""
    row = conn.execute(
        f"SELECT error, branch_id, depth, holder FROM turns WHERE id = ? AND status NOT IN {recovery.RUNNING}",  # noqa: S608
        (turn_id,),
    ).fetchone()
    if row is None:
        return ""
    error, branch, depth, holder = row
    later = conn.execute("SELECT holder FROM turns WHERE branch_id = ? AND depth > ?", (branch, depth)).fetchone()
    if later is not None:
        return str(later[0]) or str(holder)
    failure = failure_of(error)
    return str(holder) if failure is not None and failure.kind == recovery.SEIZED.kind else ""
