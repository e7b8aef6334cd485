"""The history's tables, as numbered migrations that are only ever added to.

Times are seconds since the epoch in the tables and ISO 8601 (UTC) in the two views, which are the stable interface for
other programs.
"""

from __future__ import annotations

from sqlite3 import Connection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

VERSION = 8
"""The number of migrations, kept in `PRAGMA user_version`: a file with a higher one was made by a newer Palaver."""


def version_of(conn: Connection) -> int:
    """How many migrations a file has seen."""
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def migrate(conn: Connection) -> None:
    """Bring a file to the present version. To be called inside a transaction, which makes it all or nothing."""
    from sqlite_utils import Database

    db = Database(conn, execute_plugins=False, recursive_triggers=False)
    migrations().apply(db)
    conn.execute(f"PRAGMA user_version = {VERSION}")


def migrations() -> Migrations:
    """All migrations, in order."""
    from sqlite_utils.migrations import Migrations

    steps = Migrations("palaver")
    for step in (
        m001_initial,
        m002_runs,
        m003_sources,
        m004_originals,
        m005_queue,
        m006_leases,
        m007_pictures,
        m008_principals,
    ):
        steps()(step)
    return steps


def m001_initial(db: Database) -> None:
    """Sessions, and the turns they are made of.

    A session's turns lie on a branch; a branch goes on from another one's first `base` turns, so that forking copies
    nothing. A turn's prompt is its item at position 0, which lets one index serve all text. While an answer streams its
    text is added in chunks, because rewriting a long row several times a second costs more than it is worth.
    """
    for statement in _INITIAL:
        db.execute(statement)


def m002_runs(db: Database) -> None:
    """Runs that go on without us, how it went with parts of an answer, and where a session came from."""
    for statement in (
        "ALTER TABLE turns ADD COLUMN run TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE items ADD COLUMN state TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE sessions ADD COLUMN notice TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE sessions ADD COLUMN provenance TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE sessions ADD COLUMN shared INTEGER",
    ):
        db.execute(statement)


def m003_sources(db: Database) -> None:
    """Where a session was imported from, so that no thread comes in twice."""
    db.execute("ALTER TABLE sessions ADD COLUMN source TEXT NOT NULL DEFAULT ''")
    db.execute("CREATE UNIQUE INDEX session_source ON sessions (source) WHERE source != ''")


def m004_originals(db: Database) -> None:
    """What scripts say, in their own words: an item's exact JSON, beside what is shown of it."""
    db.execute("ALTER TABLE items ADD COLUMN original TEXT")


def m005_queue(db: Database) -> None:
    """Prompts that wait: each until the turn it follows is done. One is held while the user changes it."""
    db.execute(
        """
        CREATE TABLE queue (
            id TEXT PRIMARY KEY,
            session_id TEXT NOT NULL,
            place INTEGER NOT NULL,
            prompt TEXT NOT NULL,
            follows TEXT NOT NULL,
            held INTEGER NOT NULL DEFAULT 0,
            created_at REAL NOT NULL
        ) WITHOUT ROWID
        """
    )
    db.execute("CREATE INDEX queue_order ON queue (session_id, place)")


def m006_leases(db: Database) -> None:
    """Who is sending in a session: a row for as long as a process does, with its last sign of life."""
    db.execute(
        """
        CREATE TABLE leases (
            session_id TEXT PRIMARY KEY,
            turn_id TEXT NOT NULL,
            holder TEXT NOT NULL,
            kind TEXT NOT NULL,
            process INTEGER NOT NULL,
            computer TEXT NOT NULL,
            started_at REAL NOT NULL,
            since REAL NOT NULL,
            heartbeat REAL NOT NULL,
            uptime REAL NOT NULL,
            wanted_by TEXT NOT NULL DEFAULT ''
        ) WITHOUT ROWID
        """
    )


def m007_pictures(db: Database) -> None:
    """What was shown to a model, under the keys that prompts name it by: the same picture is there once."""
    db.execute("CREATE TABLE pictures (key TEXT PRIMARY KEY, kind TEXT NOT NULL, data BLOB NOT NULL)")


def m008_principals(db: Database) -> None:
    """Who a turn's server took us for; of commands that give keys, only what cannot be a key."""
    from tui.credentials import told_command

    db.execute("ALTER TABLE turns ADD COLUMN principal TEXT")
    named = "SELECT DISTINCT principal FROM conversations WHERE substr(principal, 1, 8) = 'command:'"
    for (principal,) in db.execute(named).fetchall():
        told = f"command:{told_command(principal.removeprefix('command:'))}"
        db.execute("UPDATE conversations SET principal = ? WHERE principal = ?", (told, principal))


_INITIAL = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "INSERT INTO meta VALUES ('revision', 0)",
    """
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        label TEXT NOT NULL,
        title TEXT NOT NULL DEFAULT '',
        title_source TEXT NOT NULL DEFAULT 'none',
        profile TEXT NOT NULL DEFAULT '',
        model TEXT NOT NULL DEFAULT '',
        branch_id TEXT NOT NULL,
        created_at REAL NOT NULL,
        last_turn_at REAL,
        turns INTEGER NOT NULL DEFAULT 0,
        last_status TEXT,
        pinned INTEGER NOT NULL DEFAULT 0,
        archived_at REAL,
        deleted_at REAL,
        unread INTEGER NOT NULL DEFAULT 0,
        draft TEXT NOT NULL DEFAULT '',
        scroll TEXT NOT NULL DEFAULT '',
        revision INTEGER NOT NULL DEFAULT 0,
        touched INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
    "CREATE UNIQUE INDEX session_label ON sessions (label) WHERE deleted_at IS NULL",
    "CREATE INDEX session_order ON sessions (touched)",
    "CREATE INDEX session_revision ON sessions (revision)",
    """
    CREATE TABLE branches (
        id TEXT PRIMARY KEY,
        session_id TEXT NOT NULL,
        parent_id TEXT REFERENCES branches (id),
        base INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
    "CREATE INDEX branch_session ON branches (session_id)",
    """
    CREATE TABLE turns (
        id TEXT PRIMARY KEY,
        session_id TEXT NOT NULL,
        branch_id TEXT NOT NULL,
        depth INTEGER NOT NULL,
        status TEXT NOT NULL,
        finish TEXT NOT NULL DEFAULT '',
        profile TEXT NOT NULL DEFAULT '',
        protocol TEXT NOT NULL DEFAULT '',
        model TEXT NOT NULL DEFAULT '',
        origin TEXT NOT NULL DEFAULT '',
        conversation_id TEXT NOT NULL DEFAULT '',
        created_at REAL NOT NULL,
        first_text_at REAL,
        ended_at REAL,
        input_tokens INTEGER,
        output_tokens INTEGER,
        reasoning_tokens INTEGER,
        cached_tokens INTEGER,
        notes TEXT NOT NULL DEFAULT '[]',
        error TEXT,
        holder TEXT NOT NULL DEFAULT '',
        revision INTEGER NOT NULL DEFAULT 0,
        UNIQUE (branch_id, depth)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX turn_running ON turns (status) WHERE status IN ('pending', 'streaming')",
    "CREATE INDEX turn_revision ON turns (revision)",
    """
    CREATE TABLE items (
        id INTEGER PRIMARY KEY,
        turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL DEFAULT '',
        name TEXT NOT NULL DEFAULT '',
        call_id TEXT NOT NULL DEFAULT '',
        text TEXT NOT NULL DEFAULT '',
        UNIQUE (turn_id, position)
    )
    """,
    """
    CREATE TABLE chunks (
        turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        start INTEGER NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (turn_id, position, start)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE attempts (
        turn_id TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        kind TEXT NOT NULL,
        started_at REAL NOT NULL,
        ended_at REAL,
        sent_id TEXT NOT NULL DEFAULT '',
        received_id TEXT NOT NULL DEFAULT '',
        outcome TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (turn_id, number)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE conversations (
        branch_id TEXT NOT NULL,
        session_id TEXT NOT NULL,
        origin TEXT NOT NULL,
        protocol TEXT NOT NULL,
        principal TEXT NOT NULL,
        conversation_id TEXT NOT NULL,
        depth INTEGER NOT NULL,
        issued_at REAL NOT NULL,
        used_at REAL NOT NULL,
        state TEXT NOT NULL DEFAULT 'live',
        PRIMARY KEY (branch_id, origin, protocol, principal)
    ) WITHOUT ROWID
    """,
    "CREATE VIRTUAL TABLE items_fts USING fts5(text, content='items', content_rowid='id', prefix='2 3')",
    """
    CREATE VIEW messages AS
    WITH RECURSIVE lineage (session, branch_id, low, high) AS (
        SELECT s.label, b.id, b.base, 9223372036854775807
        FROM sessions s JOIN branches b ON b.id = s.branch_id
        WHERE s.deleted_at IS NULL
        UNION
        SELECT l.session, p.id, p.base, min(l.low, l.high)
        FROM lineage l JOIN branches b ON b.id = l.branch_id JOIN branches p ON p.id = b.parent_id
    )
    SELECT l.session AS session,
           t.id AS turn_id,
           row_number() OVER (PARTITION BY l.session ORDER BY t.depth, i.position) AS position,
           CASE i.kind WHEN 'prompt' THEN 'user' ELSE 'assistant' END AS role,
           i.text || coalesce((SELECT group_concat(c.text, '') FROM
               (SELECT text FROM chunks WHERE turn_id = i.turn_id AND position = i.position ORDER BY start) c), '')
               AS text,
           t.status AS status,
           t.model AS model,
           strftime('%Y-%m-%dT%H:%M:%fZ', t.created_at, 'unixepoch') AS created_at
    FROM lineage l
    JOIN turns t ON t.branch_id = l.branch_id AND t.depth >= l.low AND t.depth < l.high
    JOIN items i ON i.turn_id = t.id AND i.kind IN ('prompt', 'message')
    """,
    """
    CREATE VIEW conversation_map AS
    SELECT s.label AS session, c.origin, c.protocol, c.conversation_id,
           strftime('%Y-%m-%dT%H:%M:%fZ', c.used_at, 'unixepoch') AS used_at,
           c.state
    FROM conversations c JOIN sessions s ON s.branch_id = c.branch_id
    WHERE s.deleted_at IS NULL
    """,
)
