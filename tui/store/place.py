"""What the place of a history means for it: a network file system, a folder that other computers have as well."""

from __future__ import annotations

import os
from pathlib import Path

from tui.patterns import pattern

MOUNTS = Path("/proc/self/mountinfo")
"""Where Linux tells what is mounted; other systems have no such file, and tell nothing."""

_NETWORK = frozenset(
    "9p acfs afpfs afs beegfs ceph cifs coda davfs fuse.ceph fuse.davfs fuse.gcsfuse fuse.glusterfs fuse.rclone "
    "fuse.s3fs fuse.sshfs glusterfs gfs2 gpfs lustre ncpfs nfs nfs3 nfs4 ocfs2 orangefs panfs smb3 smbfs".split()
)
_LOCAL_LOCKS = frozenset("nolock nobrl local_lock=all local_lock=flock noflock localflock".split())
_SYNCED = {
    "dropbox": "Dropbox",
    "onedrive": "OneDrive",
    "google drive": "Google Drive",
    "googledrive": "Google Drive",
    "mobile documents": "iCloud",
    "nextcloud": "Nextcloud",
    "owncloud": "ownCloud",
    "pcloud drive": "pCloud",
}
_MARKS = {".stfolder": "Syncthing", ".dropbox.cache": "Dropbox", ".dropbox": "Dropbox", ".sync": "Resilio Sync"}
_COPY = pattern(r"(?i:.*(conflict|konflikt|conflit))|[ _]?\(\d{1,3}\)| \d{1,3}|-[A-Z][A-Z0-9]*(-[A-Z0-9]+)+")
_ESCAPE = pattern(r"\\([0-7]{3})")


def remarks(file: Path) -> tuple[str, ...]:
    """What has to be known of the place of a history, in words; nothing where all is well or the system does not tell."""
    found = []
    kind, options = _mounted(file)
    if kind in _NETWORK:
        found.append(
            f"it is on a network file system ({kind}), where one computer at a time can write to it"
            + ("; locks do not reach other computers there, so never open it on two" if options & _LOCAL_LOCKS else "")
        )
    keeper = _kept_in_step(file)
    if keeper:
        found.append(
            f"{keeper} copies its folder to other computers: leave Palaver on one before you open it on another, "
            "or have the history elsewhere (PALAVER_DATA_DIR)"
        )
    copies = conflict_copies(file)
    if copies:
        names = ", ".join(copy.name for copy in copies[:5]) + (" …" if len(copies) > 5 else "")
        found.append(
            f"beside it are copies made where two computers had written, with answers it may not have: {names}"
        )
    return tuple(found)


def file_system(file: Path) -> str:
    """The type of the file system a file is on, or would be, as the system calls it; empty where it does not tell."""
    return _mounted(file)[0]


def is_on_network(file: Path) -> bool:
    """Whether other computers may have the same file open."""
    return file_system(file) in _NETWORK


def conflict_copies(file: Path) -> list[Path]:
    """Files that a program made out of a history which had changed in two places."""
    try:
        names = sorted(os.listdir(file.parent))
    except OSError:
        return []
    stem, suffix = file.stem, file.suffix
    return [
        file.with_name(name)
        for name in names
        if name != file.name
        and name.startswith(stem)
        and name.endswith(suffix)
        and _COPY.match(name[len(stem) : len(name) - len(suffix)])
    ]


def _mounted(file: Path) -> tuple[str, set[str]]:
    """The type of the file system a file is on, as the system calls it, and the options it is mounted with."""
    try:
        text = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return "", set()
    path = os.path.realpath(file)
    longest, found = -1, ("", set[str]())
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, source = before.split(), after.split()
        if len(fields) < 6 or not source:
            continue
        point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4])
        is_above = path == point or path.startswith(point.rstrip("/") + "/")
        # What was mounted last hides what was there before.
        if is_above and len(point) >= longest:
            longest, found = (
                len(point),
                (source[0], {*fields[5].split(","), *(source[2] if source[2:] else "").split(",")}),
            )
    return found


def _kept_in_step(file: Path) -> str:
    """The program that copies the folder a history is in to other computers, if it is one that can be told."""
    # A home folder has what such programs are set up with, and is not one they copy.
    home = Path(os.path.expanduser("~"))
    for folder in Path(os.path.realpath(file)).parents:
        for mark, name in _MARKS.items():
            if folder != home and (folder / mark).exists():
                return name
        name = folder.name.casefold()
        for begin, keeper in _SYNCED.items():
            if name == begin or name.startswith((f"{begin} ", f"{begin}-", f"{begin} (")):
                return keeper
    return ""
