"""The errors a user can meet, each with the words to show and the exit status it ends with.

PalaverError
├── UsageError             the command or its input is not usable
├── ConfigError            configuration, profile or key
├── TurnError              a turn could not be carried out
│   ├── NotAllowed         the server refused the key or the user
│   ├── Unreachable        nothing was received
│   ├── Refused            the server said no, or gave the wrong kind of answer
│   │   └── Stale          it said that it does not know the conversation
│   ├── Incomplete         the answer began and did not finish
│   └── Limited            busy or rate limited, also after retries
│       └── SessionBusy    the session is answering in another window
├── OutputRefused          standard output cannot be written to
├── FileRefused            a file to export to or import from cannot be used
└── StoreError             the history could not be read or written
    ├── NoSuchSession      no session has that label
    └── LabelTaken         another session has that label
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit statuses of the `palaver` command."""

    DONE = 0
    BUG = 1
    USAGE = 2
    CONFIG = 3
    NOT_ALLOWED = 4
    UNREACHABLE = 5
    REFUSED = 6
    INCOMPLETE = 7
    LIMITED = 8
    HISTORY = 9
    HANGUP = 129
    INTERRUPT = 130
    TERMINATED = 143
    READER_LEFT = 141


class PalaverError(Exception):
    """Something the user can act on.

    `message` is one line naming what is wrong; `hint` is one line naming how to mend it, or empty. Neither ever holds
    a secret. Both may quote other people's text and are cleaned where they are shown.
    """

    exit_status: Exit = Exit.BUG
    kind: str = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message.rstrip('.')} — {self.hint}" if self.hint else self.message


class UsageError(PalaverError):
    """What was asked for cannot be done as it was asked."""

    exit_status = Exit.USAGE
    kind = "usage"


class ConfigError(PalaverError):
    """Configuration, profile or key. `detail` holds further lines, such as the one with the fault and a caret."""

    exit_status = Exit.CONFIG
    kind = "config"

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message, hint=hint)
        self.detail = detail


class OutputRefused(PalaverError):
    """Standard output is closed, or takes no more."""

    kind = "output"


class TurnError(PalaverError):
    """A turn could not be carried out. `status` is the HTTP status, where there was one."""

    exit_status = Exit.REFUSED
    kind = "refused"

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class NotAllowed(TurnError):
    """The server does not accept the key, or it may not do this (401, 403)."""

    exit_status = Exit.NOT_ALLOWED
    kind = "not-allowed"


class Unreachable(TurnError):
    """Nothing was received.

    `sent` says whether any byte of the request may have left: then the server may have acted on it, and only the user
    may decide to send it again. `retryable` is false where trying again cannot help.
    """

    exit_status = Exit.UNREACHABLE
    kind = "unreachable"

    def __init__(self, message: str, *, hint: str = "", sent: bool = False, retryable: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent
        self.retryable = retryable


class Refused(TurnError):
    """The server refused, or gave the wrong kind of answer."""

    exit_status = Exit.REFUSED
    kind = "refused"


class Stale(Refused):
    """The server does not know the conversation id it was sent.

    `unsupported` is true where it knows no conversations at all: then sending an id again is pointless.
    """

    kind = "stale"

    def __init__(self, message: str, *, hint: str = "", status: int | None = None, unsupported: bool = False) -> None:
        super().__init__(message, hint=hint, status=status)
        self.unsupported = unsupported


class Incomplete(TurnError):
    """The answer ended before its end; what came is kept."""

    exit_status = Exit.INCOMPLETE
    kind = "incomplete"


class Limited(TurnError):
    """The server, or the session, is busy or limited, after all retries."""

    exit_status = Exit.LIMITED
    kind = "limited"


class SessionBusy(Limited):
    """The session is answering in another window."""

    kind = "busy"


class FileRefused(PalaverError):
    """A file that was to be exported to or imported from cannot be used, or not as what it claims to be."""

    exit_status = Exit.HISTORY
    kind = "file"


class StoreError(PalaverError):
    """The history could not be read or written. `transient` when waiting may help (locked, disk full)."""

    exit_status = Exit.HISTORY
    kind = "history"

    def __init__(self, message: str, *, hint: str = "", transient: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.transient = transient


class NoSuchSession(StoreError):
    """No session has that label."""

    def __init__(self, label: str) -> None:
        super().__init__(f"There is no session “{label}”.", hint="see `palaver sessions list`")


class LabelTaken(StoreError):
    """Another session has that label already."""

    kind = "label-taken"

    def __init__(self, label: str) -> None:
        super().__init__(f"There is a session “{label}” already.", hint="use another label")
