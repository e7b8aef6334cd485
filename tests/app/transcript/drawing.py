"""What the transcript's tests share: samples of Markdown, and ways to read what was drawn."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.cells import cell_len, split_graphemes
from rich.style import Style

from tui.app.transcript.blocks import Ground, MessageBlock
from tui.app.transcript.markdown import render
from tui.app.transcript.palette import Palette
from tui.app.transcript.parsing import parser
from tui.app.transcript.pieces import Piece, Splitter
from tui.app.transcript.wrap import Line
from tui.model import Item, ItemKind

PLAIN = Palette()

URL = "https://example.com/x"


STYLED = Palette(
    text=Style(color="white"),
    muted=Style(dim=True),
    link=Style(color="blue", underline=True),
    code=Style(color="yellow"),
    fence=Style(bgcolor="grey19"),
    tokens={"Keyword": Style(color="red"), "Literal.String": Style(color="green")},
)
"""A palette whose styles can be told apart."""

WIDTHS = (10, 11, 12, 13, 16, 20, 27, 33, 40, 47, 64, 79, 80, 81, 100, 116, 120, 160, 200)


WORDS = "one two three four five six seven eight nine ten".split()


def _samples() -> dict[str, str]:
    text = Path(__file__).with_name("samples.txt").read_text(encoding="utf-8")
    named = [part.partition("\n") for part in text.split("%%% ")[1:]]
    samples = {name: source.removesuffix("\n") for name, _, source in named}
    samples["crlf"] = "\n\n".join(samples[name] for name in ("headings", "loose list", "fences", "table")).replace(
        "\n", "\r\n"
    )
    samples["table wide"] = f"{'| column ' * 12}|\n{'|---' * 12}|\n" + f"{'| cell ' * 12}|\n" * 3
    return samples


SAMPLES = _samples()
"""Markdown of all sorts, by name. In the file, `%%% name` begins a sample."""


def text_of(lines: Iterable[Line]) -> str:
    """The text that lines were made from, as they tell it."""
    parts: list[str] = []
    for line in lines:
        parts += [line.said, line.join]
    return "".join(parts[:-1])


def shown(lines: Iterable[Line]) -> list[str]:
    """The lines as they look, less the blanks at their ends."""
    return [line.marked.rstrip() for line in lines]


def squash(text: str) -> str:
    """Text without its blanks and line ends."""
    return "".join(text.split())


def cut_cells(line: Line, start: int, end: int) -> str:
    """The text of a line between two cells."""
    at, taken = 0, ""
    for first, last, cells in split_graphemes(line.text)[0]:
        if start <= at < end:
            taken += line.text[first:last]
        at += cells
    return taken


def assert_fits(lines: Sequence[Line], width: int) -> None:
    """No line is wider than there is room, or holds a line end; what is said of a line is within it."""
    for line in lines:
        assert line.width <= width, (width, line.width, line.text)
        assert cell_len(line.text) <= width
        assert "\n" not in line.text
        assert line.lead + line.tail <= len(line.text)
        assert line.join.strip(" ") in ("", "\n")
        for link in line.links:
            assert 0 <= link.start < link.end <= line.width
            assert link.url


def split(text: str) -> list[Piece]:
    """All pieces of a text that came at once."""
    splitter = Splitter()
    splitter.feed(text)
    return splitter.sealed + splitter.open()


def ground(width: int = 60, palette: Palette = PLAIN) -> Ground:
    return Ground(width, palette)


def meant(source: str) -> str:
    """What Markdown means, as text: the parser's own words, without blanks, with the marks of list items."""
    parts: list[str] = []
    lists: list[int | None] = []
    for token in parser().parse(source.expandtabs(4)):
        match token.type:
            case "bullet_list_open":
                lists.append(None)
            case "ordered_list_open":
                lists.append(int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                lists.pop()
            case "list_item_open":
                number = lists[-1]
                parts.append("•" if number is None else f"{number}.")
                lists[-1] = None if number is None else number + 1
            case "inline":
                parts += [child.content for child in token.children or [] if child.type != "image"]
            case "fence" | "code_block" | "html_block":
                parts.append(token.content)
    return squash("".join(parts))


def said_by(lines: Iterable[Line]) -> str:
    """The text that was drawn of Markdown, to compare with what is meant."""
    return squash(text_of(lines)).translate({ord("◦"): "•", ord("▪"): "•", ord("│"): None}).replace("───", "")


def message_lines(source: str, width: int = 60) -> list[Line]:
    """A message as it is drawn, piece by piece, without the empty line before it."""
    block = MessageBlock(Item("message", ItemKind.MESSAGE, source))
    on = ground(width)
    lines = [line for unit in block.units() for line in unit.lines(on)]
    return lines if not lines or lines[0].segments else lines[1:]


def document(seed: int) -> str:
    """An ordinary answer: blocks of all kinds, separated by empty lines."""
    rng = random.Random(seed)

    def words(least: int, most: int) -> str:
        return " ".join(
            rng.choice([*WORDS, "**bold**", "`code`", "[a](http://b.c)"]) for _ in range(rng.randint(least, most))
        )

    def block() -> str:
        kind = rng.randrange(8)
        if kind == 0:
            return "#" * rng.randint(1, 4) + " " + words(1, 5)
        if kind == 1:
            return "\n".join(
                f"- {words(1, 20)}" + (f"\n  - {words(1, 20)}" if rng.random() < 0.3 else "")
                for _ in range(rng.randint(2, 5))
            )
        if kind == 2:
            start = rng.choice([1, 1, 9])
            gap = rng.choice(["\n", "\n\n"])
            return gap.join(f"{start + number}. {words(1, 20)}" for number in range(rng.randint(2, 5)))
        if kind == 3:
            return (
                "```python\n"
                + "\n".join(rng.choice(["x = 1", "", "    return 2", "# words"]) for _ in range(rng.randint(1, 90)))
                + "\nend\n```"
            )
        if kind == 4:
            return "| a | b |\n|---|--:|\n" + "\n".join(
                f"| {words(1, 4)} | {words(1, 4)} |" for _ in range(rng.randint(1, 12))
            )
        if kind == 5:
            return "\n".join(f"> {words(2, 20)}" for _ in range(rng.randint(1, 4)))
        if kind == 6:
            return f"1. {words(1, 5)}\n\n   ```sh\n   {words(1, 9)}\n\n   end\n   ```\n\n2. {words(1, 5)}"
        return "\n".join(words(3, 30) for _ in range(rng.randint(1, 4)))

    blocks = [block()]
    for _ in range(rng.randint(3, 12)):
        # Two lists in a row are one list: something stands between them.
        following = block()
        blocks += [words(2, 9), following] if following[0] in "-1>9" else [following]
    return "\n\n".join(blocks)


def draw(source: str, width: int = 40) -> list[str]:
    return shown(render(source, width, PLAIN))


def links_in(source: str, width: int = 60) -> list[tuple[str, str]]:
    """The texts and the targets of what can be opened."""
    lines = render(source, width, STYLED)
    return [(cut_cells(line, link.start, link.end), link.url) for line in lines for link in line.links]
