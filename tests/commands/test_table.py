"""Tables: as wide as they have to be, and on a terminal no wider than that."""

from __future__ import annotations

import os

import pytest
from rich.cells import cell_len

from tui.commands import table

ROWS = [("w" * 110, "a title", "2"), ("日本" * 20, "another " * 20, "10")]


@pytest.mark.parametrize("columns", [40, 80, 0])
def test_a_row_fits_into_a_line_of_the_terminal(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    def size(_descriptor: int) -> os.terminal_size:
        if not columns:
            raise OSError
        return os.terminal_size((columns, 24))

    monkeypatch.setattr(os, "get_terminal_size", size)
    table.print_table(("LABEL", "TITLE", "TURNS"), ROWS, "none", cut=(0, 1))
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert [line.split()[-1] for line in lines] == ["TURNS", "2", "10"]
    if columns:
        assert all(cell_len(line) <= columns for line in lines)
        assert max(map(cell_len, lines)) >= columns - 5
        assert lines[1].startswith("wwww")
        assert "…" in lines[1]
    else:
        assert lines[1].startswith("w" * 110)
