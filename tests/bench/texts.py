"""Made-up text of the kinds that models write, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

_WORDS = (
    "the a of to in is that for it on with as this be are by from at or an if when which one can will has not each more "
    "file line key value name list path error test type call time user data text code server session request response "
    "parser token cache index query table column thread lock event loop stream buffer socket client handler module "
    "returns reads writes holds keeps sends waits closes opens parses checks counts moves fails retries blocks "
    "fast slow empty shared local remote open stale fresh whole broken plain nested sorted unique lazy async"
).split()

_SNIPPETS = (
    (
        "python",
        "def {0}({1}: list[str]) -> int:\n"
        "    # {2} of {3}\n"
        "    total = 0\n"
        "    for number, {2} in enumerate({1}):\n"
        '        total += len({2}.strip("/")) * number\n'
        "    return total\n",
    ),
    ("sql", "SELECT {0}, count(*) AS {1}\nFROM {2} WHERE {3} > 10\nGROUP BY {0} ORDER BY 2 DESC LIMIT 20;\n"),
    ("rust", 'fn {0}({1}: &str) -> Option<usize> {{\n    let {2} = {1}.find("{3}")?;\n    Some({2} + 1)\n}}\n'),
    ("sh", 'for {0} in "$@"; do\n  {1} "${0}" | sort -u >> {2}.{3}\ndone\n'),
)


def sentence(chance: random.Random, least: int = 6, most: int = 20) -> str:
    words = [chance.choice(_WORDS) for _ in range(chance.randint(least, most))]
    for _ in range(len(words) // 8):
        place = chance.randrange(len(words))
        dress = chance.choice(("`{0}()`", "**{0}**", "*{0}*", "[{0}](https://example.com/{0})"))
        words[place] = dress.format(chance.choice(_WORDS))
    return " ".join(words).capitalize() + chance.choice("...?:")


def paragraph(chance: random.Random, sentences: int = 0) -> str:
    return " ".join(sentence(chance) for _ in range(sentences or chance.randint(1, 4)))


def code(chance: random.Random) -> str:
    language, body = chance.choice(_SNIPPETS)
    return f"```{language}\n{body.format(*chance.sample(_WORDS[40:], 4))}```"


def rows(chance: random.Random, count: int, columns: int = 3) -> str:
    def row() -> str:
        return "| " + " | ".join(f"{chance.choice(_WORDS)} {chance.randint(1, 999)}" for _ in range(columns)) + " |"

    return "\n".join([row(), "|" + "---|" * columns, *(row() for _ in range(count))])


def block(chance: random.Random) -> str:
    """A piece of an answer: mostly paragraphs, lists, code."""
    kind = chance.choices(("text", "list", "steps", "code", "table", "quote", "head"), (45, 15, 8, 18, 6, 4, 4))[0]
    match kind:
        case "list":
            return "\n".join(f"- {sentence(chance, 3, 12)}" for _ in range(chance.randint(2, 6)))
        case "steps":
            return "\n".join(f"{number}. {sentence(chance, 3, 12)}" for number in range(1, chance.randint(3, 6)))
        case "code":
            return code(chance)
        case "table":
            return rows(chance, chance.randint(2, 7))
        case "quote":
            return f"> {sentence(chance)}"
        case "head":
            return f"{'#' * chance.randint(2, 4)} {sentence(chance, 2, 5)}"
        case _:
            return paragraph(chance)


def question(seed: str) -> str:
    """What a user says."""
    return paragraph(random.Random(f"question {seed}"))


def answer(seed: str) -> str:
    """An answer of usual length: 1,000 to 1,500 characters on average."""
    chance = random.Random(f"answer {seed}")
    return "\n\n".join(block(chance) for _ in range(chance.randint(1, 9)))


def _mixed(size: int) -> Iterator[str]:
    chance = random.Random("mixed")
    while True:
        yield block(chance) + "\n\n"


def _paragraph(size: int) -> Iterator[str]:
    chance = random.Random("paragraph")
    while True:
        yield sentence(chance) + " "


def _fence(size: int) -> Iterator[str]:
    chance = random.Random("fence")
    yield "```python\n"
    while True:
        yield f"    {chance.choice(_WORDS)}_{chance.randint(1, 99)} = {chance.choice(_WORDS)}({chance.randint(1, 999)})\n"


def _list(size: int) -> Iterator[str]:
    chance = random.Random("list")
    while True:
        yield f"- {sentence(chance, 4, 12)}\n"


def _table(size: int) -> Iterator[str]:
    chance = random.Random("table")
    yield "| name | value | what it is for |\n|---|---|---|\n"
    while True:
        yield f"| {chance.choice(_WORDS)} | {chance.randint(1, 9999)} | {sentence(chance, 2, 6).replace('|', '')} |\n"


SHAPES: dict[str, Callable[[int], Iterator[str]]] = {
    "mixed": _mixed,
    "paragraph": _paragraph,
    "fence": _fence,
    "list": _list,
    "table": _table,
}
"""Long answers by their shape."""


def long_answer(shape: str, characters: int) -> str:
    """An answer of this shape, cut off at a length."""
    pieces: list[str] = []
    size = 0
    for piece in SHAPES[shape](characters):
        pieces.append(piece)
        size += len(piece)
        if size >= characters:
            break
    text = "".join(pieces)[:characters]
    return text + "\n```" if shape == "fence" else text


def tokens(text: str) -> list[str]:
    """Text in the pieces that models give out: four characters on average."""
    chance = random.Random("tokens")
    pieces: list[str] = []
    place = 0
    while place < len(text):
        size = chance.choice((1, 2, 3, 4, 4, 5, 6, 7))
        pieces.append(text[place : place + size])
        place += size
    return pieces
