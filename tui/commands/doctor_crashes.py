"""The reports of crashes."""

from __future__ import annotations

from collections.abc import Iterator

from tui import paths
from tui.commands.doctor_lines import Line, Mark
from tui.moments import moment


def reports() -> Iterator[Line]:
    """The reports that our own mistakes have left."""
    folder = paths.find().log_dir
    try:
        paths.check_may_make(folder)
    except paths.NotHere as error:
        fact = "there is no log, and the report of a crash is in a temporary folder"
        yield Line(Mark.NOTE, "crashes", f"{error.strerror}: {fact}", error.hint)
        return
    found = sorted(folder.glob("crash-*.txt"), key=lambda file: file.stat().st_mtime)
    if not found:
        yield Line(Mark.OK, "crashes", f"no reports in {folder}")
        return
    newest = f"{found[-1].name} of {moment(found[-1].stat().st_mtime)}"
    count = f"{len(found)} reports, the newest" if len(found) > 1 else "a report,"
    yield Line(
        Mark.NOTE,
        "crashes",
        f"{count} {newest}, in {folder}",
        "add the newest to a bug report; delete those you are done with",
    )
