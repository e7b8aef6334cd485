"""Draws the README's pictures: the real program, driven against a server written out here, at a fixed time.

`python assets/render.py` writes the SVG files beside this one. The same scenes are what the snapshot tests pin.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.app.scenes import SCENES, Scene, make_app  # noqa: E402 - found only after the line above

PICTURES = {
    "streaming": "streaming",
    "stale": "stale",
    "tools": "tools",
}


async def draw(scene: Scene, folder: Path) -> str:
    """One scene as SVG."""
    app = make_app(scene, folder)
    async with app.run_test(size=scene.size) as pilot:
        await scene.play(pilot)
        return app.export_screenshot(title="Palaver")


def main() -> None:
    """Draw all pictures."""
    play: Callable[[Scene, Path], Awaitable[str]] = draw
    for name, scene in PICTURES.items():
        with tempfile.TemporaryDirectory() as folder:
            picture = asyncio.run(play(SCENES[scene], Path(folder)))
        file = HERE / f"{name}.svg"
        file.write_text(picture, encoding="utf-8")
        print(f"{file.name}: {len(picture):,} characters")


if __name__ == "__main__":
    main()
