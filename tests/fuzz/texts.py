"""Targets that take bytes or text: decoders, cleaning, the gate, errors, settings, labels, the drawing of answers."""

from __future__ import annotations

import asyncio
import json
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

from rich.segment import ControlType, Segment
from rich.style import Style
from textual.color import Color

from tests.fuzz import inputs
from tests.fuzz.engine import Check, Differs, Target
from tui.addresses import check_base_url, origin_of
from tui.app.cells import mend
from tui.app.gate import Gate
from tui.app.transcript.blocks import Ground, MessageBlock
from tui.app.transcript.palette import Palette
from tui.app.transcript.turn_blocks import TurnBlocks
from tui.client.encoding import encode
from tui.client.ndjson import LineDecoder
from tui.client.reply import BODY_LIMIT, MESSAGE_LIMIT, read_reply
from tui.client.sse import Decoder, TooLarge
from tui.config_file import EXAMPLE, load
from tui.errors import ConfigError, UsageError
from tui.model import Item, ItemKind, Turn, TurnStatus, check_label, title_from
from tui.text import FORBIDDEN, Cleaner, clean, one_line, safe_url, storable, typed

LIMIT = 300
"""The limit decoders are given, in bytes: one that inputs do reach."""


def splits(data: Sequence[Any]) -> Iterator[list[int]]:
    """Where to cut something: in two, in a few, and, where it is short, everywhere."""
    size = len(data)
    chance = Random(size if isinstance(data, str) else crc32(bytes(data)))
    yield [0, chance.randrange(size + 1), size]
    yield [0, *sorted(chance.randrange(size + 1) for _ in range(4)), size]
    if size < 60:
        yield [*range(size + 1)]


def _decoder(make: Callable[[], Any]) -> Check:
    def told(data: bytes, cuts: list[int]) -> list[object]:
        decoder, found = make(), list[object]()
        try:
            for start, end in pairwise(cuts):
                found += decoder.feed(data[start:end])
            found.append(decoder.end())
        except TooLarge:
            found.append("too large")
        found.append(getattr(decoder, "retry", None))
        return found

    def check(data: bytes) -> None:
        whole = told(data, [0, len(data)])
        for cuts in splits(data):
            if told(data, cuts) != whole:
                raise Differs(cuts)

    return check


def from_known(*known: Callable[[], list[bytes]]) -> Callable[[Random], bytes]:
    """Makes inputs of all that is known."""
    all_known = [data for some in known for data in some()]
    return lambda chance: inputs.make(chance, all_known)


def text_of(data: bytes) -> str:
    """Bytes as the text they are, lone surrogates among it."""
    return data.decode("utf-8", "surrogatepass" if b"\xed" in data and _passes(data) else "replace")


def _passes(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _in_words(error: Exception) -> None:
    assert str(error)


def _harmless(text: str) -> None:
    assert not FORBIDDEN.search(text.replace("\n", "")), ascii(text)


def check_cleaner(data: bytes) -> None:
    text = text_of(data)
    shown = clean(text)
    _harmless(shown)
    assert clean(shown) == shown
    for cuts in splits(text):
        cleaner = Cleaner()
        if "".join(cleaner.feed(text[start:end]) for start, end in pairwise(cuts)) + cleaner.flush() != shown:
            raise Differs(cuts)
    line = one_line(text, 80)
    assert len(line) <= 80
    assert not FORBIDDEN.search(line)
    storable(text).encode()
    assert "\r" not in typed(text)
    url = safe_url(text)
    assert url is None or not FORBIDDEN.search(url)


def check_gate(data: bytes) -> None:
    text = text_of(data)
    half = len(text) // 2
    bell = Segment("\x07", None, [(ControlType.BELL,)])
    given = [bell, Segment(text[:half], Style(bold=True)), Segment(text[half:], Style(link="https://a.example/"))]
    left = Gate().apply(given, Color(0, 0, 0))
    assert left[0] == bell
    assert not any(FORBIDDEN.search(one.text) or (one.style and one.style.link) for one in left[1:])
    assert Segment.get_line_length(left) == Segment.get_line_length(given)


def check_error(data: bytes) -> None:
    status = (400, 401, 404, 409, 422, 429, 500, 503)[len(data) % 8]
    reply = read_reply(status, data[:BODY_LIMIT], {"retry-after": text_of(data[:9]), "x-should-retry": "true"})
    assert reply.status == status
    assert len(reply.message) <= MESSAGE_LIMIT
    assert max(map(len, (reply.code, reply.type, reply.param))) <= 200
    assert reply.form in ("json", "html", "text", "empty")


def _config() -> tuple[Callable[[Random], bytes], Check]:
    folder = Path(tempfile.mkdtemp(prefix="palaver-fuzz-"))
    file = folder / "config.toml"
    file.touch(0o600)
    lines = [line.removeprefix("# ") for line in EXAMPLE.splitlines() if "=" in line or "[" in line]
    settings = "\n".join(lines).encode()
    values = (
        "1979-05-27T07:32:00Z",
        "07:32:00",
        "nan",
        "-inf",
        "1e999",
        "1_0",
        "0x1",
        "true",
        '""',
        "[[]]",
        "{ a.b = 1 }",
    )
    lines += [f"params = {{ a = {value}, b = [{value}] }}" for value in values]
    profile = '[profiles.w]\nbase_url = "https://a.b"\n'
    known = [settings, *(f"{profile}{line}\n".encode() for line in lines), *inputs.hostile()]
    deep = f"a{'.a' * 1500} = 1\n"
    long = [f"{profile}params.{deep}", f"[keys]\n{deep}", f"x = {'[' * 500}{']' * 500}\n"]
    long += [f"{profile}params.a = {digits}\n" for digits in ("1" * 5000, f"0x{'f' * 5000}")]

    def check(data: bytes) -> None:
        file.write_bytes(data)
        try:
            config = load(file, {})
        except ConfigError as error:
            _in_words(error)
            return
        assert config.profile().base_url
        assert config.conversation_ttl > 0
        for profile in config.profiles.values():
            if profile.params:
                json.loads(asyncio.run(encode(profile.params)), parse_constant=_no_constant)

    def make(chance: Random) -> bytes:
        return (
            inputs.whole(chance, [text.encode() for text in long])
            if chance.random() < 0.05
            else inputs.make(chance, known)
        )

    return make, check


def _no_constant(name: str) -> None:
    raise AssertionError(f"JSON has no {name}")


def check_label_and_address(data: bytes) -> None:
    text = text_of(data)
    title_from(text)
    for given in (text, data.decode("utf-8", "surrogateescape")):
        try:
            label = check_label(given)
        except UsageError as error:
            _in_words(error)
        else:
            assert check_label(label) == label == unicodedata.normalize("NFC", label)
            label.encode()
        for key in ("", "the key"):
            try:
                url = check_base_url(given, key=key)
            except ConfigError as error:
                _in_words(error)
            else:
                assert check_base_url(url, key=key) == url
                assert origin_of(url).startswith(("http://", "https://"))


def check_markdown(data: bytes) -> None:
    text = text_of(data)
    ground = Ground((10, 23, 60, 120)[len(data) % 4], Palette())
    whole = _drawn(MessageBlock(Item("m", ItemKind.MESSAGE, text)), ground)
    cuts = next(splits(text))
    growing = MessageBlock(Item("m", ItemKind.MESSAGE, ""))
    for end in cuts[1:]:
        assert growing.update(Item("m", ItemKind.MESSAGE, text[:end]))
        _drawn(growing, ground)
    if _drawn(growing, ground) != whole:
        raise Differs(cuts)


def _drawn(block: Any, ground: Ground) -> list[str]:
    lines = [line for unit in block.units() for line in unit.lines(ground)]
    for line in lines:
        assert line.width <= ground.width, ascii(line.text)
        assert not FORBIDDEN.search(line.text), ascii(line.text)
        for link in line.links:
            assert safe_url(link.url), ascii(link.url)
    return [line.text for line in lines]


def check_turn(data: bytes) -> None:
    """A turn all of whose words are hostile, drawn with everything unfolded."""
    text = text_of(data)
    half = text[: len(text) // 2]
    kinds = [kind for kind in ItemKind if kind is not ItemKind.MESSAGE]
    items = tuple(Item(str(place), kind, text, half, "c") for place, kind in enumerate(kinds))
    turn = Turn("t", "s", 0, text, TurnStatus.DONE, items, notes=(half,), model=half, finish=half, profile=half)
    blocks, ground = TurnBlocks(turn, half, half), Ground(40, Palette())
    for block in blocks.blocks:
        if hasattr(block, "toggle"):
            block.toggle()
        _drawn(block, ground)


def _json_known() -> list[bytes]:
    return [*inputs.errors(), json.dumps({"detail": [{"msg": "m", "loc": ["body", 1]}]}).encode(), b"<html><title>t"]


def _addresses() -> list[bytes]:
    return [b"https://api.example.com:80/v1?x=y", b"http://[::1]:80/"]


def _shown(*known: Callable[[], list[bytes]]) -> Callable[[Random], bytes]:
    """As `from_known`, for what is drawn: in a window cells are counted its own way."""
    mend()
    return from_known(*known)


TARGETS = {
    "sse": Target("the decoder of server-sent events", lambda: (
        from_known(inputs.vectors, inputs.streams), _decoder(lambda: Decoder(LIMIT)))),
    "ndjson": Target("the decoder of JSON lines", lambda: (
        from_known(inputs.vectors, inputs.streams), _decoder(lambda: LineDecoder(LIMIT)))),
    "cleaner": Target("cleaning, at once or as it comes", lambda: (from_known(inputs.hostile), check_cleaner)),
    "gate": Target("the screen's gate", lambda: (from_known(inputs.hostile), check_gate)),
    "errors": Target("bodies of errors", lambda: (from_known(_json_known, inputs.hostile), check_error)),
    "config": Target("the configuration file", _config),
    "labels": Target("labels, titles, addresses", lambda: (
        from_known(inputs.hostile, _addresses), check_label_and_address)),
    "markdown": Target("answers, drawn while they grow", lambda: (_shown(inputs.hostile, _samples), check_markdown)),
    "drawing": Target("hostile text in every place of a turn", lambda: (_shown(inputs.hostile), check_turn)),
}  # fmt: skip


def _samples() -> list[bytes]:
    from tests.app.transcript.drawing import SAMPLES

    return [text.encode() for text in SAMPLES.values()]
