"""The values of a JSON array, however the file comes in pieces."""

from __future__ import annotations

import io
import json

import pytest

from tui.exchange import json_stream

_SIGNS = r'[{"a": "x\\\"]}, \u00fc", "b": [1, {"c": "é, ]"}]}, "s\n", [], 3, "\\", {"d": {}}]  '


@pytest.mark.parametrize("size", range(1, len(_SIGNS.encode()) + 1))
def test_where_a_file_is_cut_makes_no_difference(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", size)
    assert list(json_stream.values(io.BytesIO(_SIGNS.encode()), "f")) == json.loads(_SIGNS)


def test_one_object_is_one_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "CHUNK", 3)
    assert list(json_stream.values(io.BytesIO(b'  {"a": [1, 2]} \n'), "f")) == [{"a": [1, 2]}]
