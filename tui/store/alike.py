"""Labels that look the same and are not: letters of other alphabets, other dashes and blanks, marks that are not shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_LETTERS = (
    "аa еe оo рp сc уy хx іi јj ѕs һh ԁd ԛq ԝw ѵv ӏl АA ВB ЕE КK МM НH ОO РP СC ТT УY ХX ІI ЈJ ЅS ԚQ ԜW ѴV ӀI "
    "οo αa νv ρp υu ιi κk ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX оo օo ոn սu հh ցg զq ıi ɡg ɑa "
    "‐- ‑- ‒- –- —- −- ⁃- ’' ‘' ʼ' “\" ”\" ∕/ ⁄/ ꞉: ∶: ǀl ․."
)
_TABLE: dict[int, str | None] = {ord(pair[0]): pair[1] for pair in _LETTERS.split()}
_TABLE |= dict.fromkeys([0x200C, 0x200D, 0x200E, 0x200F, 0x061C, *range(0xFE00, 0xFE10)])


def look(label: str) -> str:
    """The same text for labels that look the same."""
    plain = unicodedata.normalize("NFKC", label.translate(_TABLE)).translate(_TABLE)
    return " ".join(plain.split())


def telling(label: str) -> str:
    """The characters of a label that are not what they look like, by number; nothing where there are none."""
    return " ".join(f"U+{ord(char):04X}" for char in label if look(f"x{char}x") != f"x{char}x")


def told_apart(labels: Iterable[str]) -> list[str]:
    """For each set of labels that look the same, all of them, with what tells them apart."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(look(label), []).append(label)
    return [
        ", ".join(f"“{label}”" + (f" ({telling(label)})" if telling(label) else "") for label in sorted(group))
        for group in groups.values()
        if len(group) > 1
    ]
