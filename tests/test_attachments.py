"""Files sent along: what is read and what is refused, how a prompt holds them, and how they are found in it again."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.attachments import (
    LARGEST,
    LARGEST_PICTURE,
    Attachment,
    parted,
    pictures_in,
    read_attachment,
    with_attachments,
)
from tui.drafts import CLOSE, NAME, OPEN, PICTURE, Folded, folded_file, sent, unfolded, without_marks, written
from tui.errors import UsageError
from tui.pictures import Picture
from tui.sizes import size_words
from tui.text import typed

TEXT = st.text(alphabet=st.sampled_from("ab `\n@():KB1#")).filter(str.strip)
NAMES = st.sampled_from(["a.py", "b (2 bytes).txt", "c d.md", "`.txt", "~/x", "ä/ö"])
CONTENTS = TEXT.map(lambda text: typed(text).removesuffix("\n")).filter(str.strip)
KEYS = st.text(alphabet="0123456789abcdef", min_size=16, max_size=16)
SIZES = st.integers(1, LARGEST_PICTURE).map(size_words)
FILES = st.lists(
    st.builds(Attachment, NAMES, CONTENTS) | st.builds(Attachment, NAMES, picture=KEYS, size=SIZES), max_size=3
)
PNG = b"\x89PNG\r\n\x1a\n...."


@given(prompt=TEXT, files=FILES)
def test_files_are_found_again_whatever_is_in_them(prompt: str, files: list[Attachment]) -> None:
    whole = with_attachments(prompt, files)
    assert parted(whole) == (prompt, tuple(dict.fromkeys(files)))


@given(prompt=TEXT, files=FILES)
def test_a_prompt_becomes_a_draft_and_the_same_prompt_again(prompt: str, files: list[Attachment]) -> None:
    named = prompt + "".join(f" @{one.name}" for one in dict.fromkeys(files))
    whole = with_attachments(named, files)
    draft = written(whole)
    assert sent(draft) == whole
    assert unfolded(draft) == named


def test_a_file_stands_after_the_prompt_under_its_name_in_a_longer_fence() -> None:
    one = Attachment("src/a.md", "code:\n```py\nx = 1\n```")
    assert with_attachments("explain @src/a.md", [one, one]) == (
        "explain @src/a.md\n\n@src/a.md (21 bytes):\n\n````\ncode:\n```py\nx = 1\n```\n````"
    )
    assert with_attachments("", [one]).startswith("@src/a.md (21 bytes):")


def test_a_file_that_is_not_named_is_at_the_drafts_end() -> None:
    whole = with_attachments("why?", [Attachment("a", "text")])
    assert written(whole) == f"why? {OPEN}a{NAME}text{CLOSE}"


@pytest.mark.parametrize(
    "prompt",
    [
        "Here is my code:\n\n```\nx\n```",
        "@a.py (3 KB):\n\n```\nx\n```",
        "see @a.py (1 byte):\n\n```\nx\n```",
        "@a.py (1 byte):\n\n```\nx\n```\n",
        "@a.py (1 byte):\n\n```\nx\n``` and more ```",
        "@a.py (1 byte):\n```\nx\n```",
        "```",
        "(see @a.png (1 KB, picture 0123456789abcdef))",
        "see @a.png (1 KB, picture 0123456789abcdef)",
        "@a.png (1 KB, picture 0123456789abcde)",
        "@a.png (1 KB, picture 0123456789ABCDEF)",
        "@a.png (1 KB, picture 0123456789abcdef):",
        "look:\n@a.png (1 KB, picture 0123456789abcdef)",
        "@a.png (1 KB, picture 0123456789abcdef)\n",
    ],
)
def test_what_a_user_writes_is_no_file(prompt: str) -> None:
    assert parted(prompt) == (prompt, ())
    assert written(prompt) == prompt


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (1, "1 byte"), (999, "999 bytes"), (1000, "1 KB"), (12_300, "12 KB"), (LARGEST, "1,024 KB"),
        (30 << 20, "30 MB"), (1000 << 20, "1.0 GB"), (5 << 39, "2.5 TB"), (3 << 50, "3,072 TB"),
    ],
)  # fmt: skip
def test_sizes_in_words(size: int, words: str) -> None:
    assert size_words(size) == words


def test_a_text_is_read_clean(tmp_path: Path) -> None:
    file = tmp_path / "a b.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\n\ttwo \x1b[31m\n\n")
    assert read_attachment(str(file), "a b.txt") == (Attachment("a b.txt", "one\n\ttwo ␛[31m\n"), None)
    file.write_bytes(b"x" * LARGEST)
    assert len(read_attachment(str(file))[0].text) == LARGEST
    (tmp_path / "link").symlink_to(file)
    assert read_attachment(str(tmp_path / "link"), "l\x1bink\n")[0].name == "l␛ink"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
    ],
)
def test_a_picture_is_known_by_what_is_in_it_whatever_its_name_says(tmp_path: Path, head: bytes, kind: str) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(head + b"\x00" * 5000)
    read, picture = read_attachment(str(file), "notes.txt")
    assert picture == Picture(kind, head + b"\x00" * 5000)
    assert read == Attachment("notes.txt", picture=picture.key, size="5 KB")
    assert read.chip == "@notes.txt (5 KB, picture)"
    prompt = with_attachments("see @notes.txt", [read])
    assert prompt == f"see @notes.txt\n\n@notes.txt (5 KB, picture {picture.key})"
    assert pictures_in(prompt) == (picture.key,)


def test_what_stands_for_a_picture_says_what_it_is_and_no_text_can_pass_for_it() -> None:
    file = Attachment("a.png", picture="0123456789abcdef", size="5 KB")
    assert folded_file(file) == Folded(f"{PICTURE}0123456789abcdef 5 KB", "a.png")
    assert folded_file(file).label == file.chip
    forged = Attachment("a.txt", f"{PICTURE}0123456789abcdef 5 KB")
    assert folded_file(forged).text == without_marks(forged.text) == "\ufffd0123456789abcdef 5 KB"


def test_a_long_line_of_beginnings_costs_no_time() -> None:
    """Half a megabyte that could begin with a file at every character: looked at for each, it would take minutes."""
    prompt = "@ (" * 160_000 + ")"
    assert parted(prompt) == (prompt, ())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"x" * (LARGEST + 1), "f has 1,024 KB; a file may have up to 1,024 KB."),
        (b"x" * (7 * LARGEST), "f has 7,168 KB; a file may have up to 1,024 KB."),
        (b"a\x00b", "f is not text."),
        (b"\xff\xfehallo", "f is not UTF-8 text."),
        (PNG + b"x" * LARGEST_PICTURE, "f has 5,120 KB; a picture may have up to 5,120 KB."),
        (b"II*\x00a picture no server takes", "f is not text."),
        (b" \n", "f is empty."),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_what_is_no_text_is_refused_in_words(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(UsageError) as refused:
        read_attachment(str(tmp_path / "f"), "f")
    assert refused.value.message == said


def test_what_is_no_file_is_refused_in_words(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        cases = {
            tmp_path: "it is a folder; attach the files in it one by one.",
            tmp_path / "fifo": "it is a pipe and no file.",
            tmp_path / "socket": "it is a socket and no file.",
            Path("/dev/zero"): "it is a device and no file.",
            tmp_path / "loop": "it is a link that leads round in a circle.",
            tmp_path / "missing": "There is no file it.",
            tmp_path / "missing" / "x": "There is no file it.",
            tmp_path / ("x" * 300): "it cannot be read: File name too long.",
            tmp_path / "\x00": "it cannot be read: embedded null byte.",
        }
        if os.geteuid():
            cases[tmp_path / "secret"] = "it may not be read."
        for path, said in cases.items():
            with pytest.raises(UsageError) as refused:
                read_attachment(str(path), "it")
            assert refused.value.message == said
