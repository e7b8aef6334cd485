"""Pictures that go along with what is said: each known by a name made of what is in it."""

from __future__ import annotations

from tui.values import dataclass

_KINDS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"),
          (b"GIF89a", "image/gif"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's bytes, of the media type `kind`."""

    kind: str
    data: bytes

    @property
    def key(self) -> str:
        """What it is known by: the same for the same bytes, anywhere (64 bits of SHA-256, in hexadecimal digits)."""
        import hashlib

        return hashlib.sha256(self.data).hexdigest()[:16]

    @property
    def base64(self) -> str:
        """Its bytes as text."""
        import base64

        return base64.b64encode(self.data).decode()

    @property
    def url(self) -> str:
        """An address that holds all of it."""
        return f"data:{self.kind};base64,{self.base64}"


def picture_of(data: bytes) -> Picture | None:
    """The picture that some bytes are, of a kind that models take; None where they are none."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Picture("image/webp", data)
    return next((Picture(kind, data) for head, kind in _KINDS if data.startswith(head)), None)
