"""How the window looks in its main states. `make snapshots` accepts a new look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.scenes import SCENES, make_app


@pytest.mark.parametrize("name", SCENES)
def test_looks(name: str, tmp_path: Path, snap_compare: Callable[..., bool]) -> None:
    scene = SCENES[name]
    assert snap_compare(make_app(scene, tmp_path), terminal_size=scene.size, run_before=scene.play)
