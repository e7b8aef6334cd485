"""The import contracts in pyproject.toml speak of every module there is."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = {
    f"tui.{path.stem}" for path in (ROOT / "tui").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
}
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


def test_every_module_has_its_layer() -> None:
    layers = next(one["layers"] for one in CONTRACTS if one["type"] == "layers" and "containers" not in one)
    assert sorted(name for layer in layers for name in layer.split(" | ")) == sorted(MODULES - {"tui.__init__"})


@pytest.mark.parametrize(
    ("forbidden", "allowed"),
    [("textual", {"tui.app"}), ("httpx", {"tui.client"}), ("sqlite3", {"tui.store", "tui.guide"})],
)
def test_only_those_may_import_it(forbidden: str, allowed: set[str]) -> None:
    sources = next(one["source_modules"] for one in CONTRACTS if forbidden in one.get("forbidden_modules", ()))
    assert sorted(sources) == sorted(MODULES - {"tui.__init__"} - allowed)
