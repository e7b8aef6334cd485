"""Text that terminals, toolkits and parsers have been made to obey: `payloads.txt`, ready for a test to send."""

from __future__ import annotations

from pathlib import Path


def payloads(*headings: str) -> list[str]:
    """Those under the given headings ("osc", "markup"), or without any, all of them, in the order of the file."""
    chosen: list[str] = []
    known: set[str] = set()
    heading = ""
    for line in Path(__file__).with_name("payloads.txt").read_text(encoding="ascii").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ").partition(":")[0]
            known.add(heading)
        elif line and (not headings or heading in headings):
            chosen.append(line.encode("ascii").decode("unicode_escape"))
    if not known.issuperset(headings):
        raise LookupError(f"no such heading in payloads.txt: {', '.join(set(headings) - known)}")
    return chosen
