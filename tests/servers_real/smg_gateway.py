"""smg between a model that is a stand-in and a tap, as its tests have it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.base import Running
from tests.servers_real import smg
from tests.servers_real.conftest import need
from tests.servers_real.processes import Process
from tests.servers_real.tap import Tap, tapped
from tests.servers_real.upstream import behind_smg, words_in


@dataclass(frozen=True)
class Gateway:
    """The gateway with the model behind it, and the tap before it, through which Palaver alone comes."""

    model: Running
    process: Process
    tap: Tap

    @property
    def host(self) -> str:
        return self.tap.url.removeprefix("http://")

    def profile(self, more: str = "") -> str:
        """A configuration with this server as its default profile."""
        return 'profile = "here"\n' + smg.profile_text(self.tap.url, more=more)

    def delete(self, path: str) -> None:
        """Delete something at the gateway, as someone else."""
        request = urllib.request.Request(f"{self.process.url}/v1/{path}", method="DELETE")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["deleted"] is True

    def told(self) -> list[str]:
        """What the gateway told the model that the user has said, in its newest request."""
        (*_, newest) = self.prompts()
        return [words_in(one) for one in newest["input"] if one.get("role") == "user"]

    def prompts(self) -> list[dict[str, Any]]:
        """All that the model was asked to answer. The gateway also asks it for its models, whenever it likes."""
        return [asked.json for asked in self.model.service.asked if asked.path.endswith("/responses")]


@contextmanager
def gateway(folder: Path, *, key: str = "", pace: float = 0.0) -> Iterator[Gateway]:
    """It, with everything before it and behind it; left out where it is not installed."""
    need("smg")
    with (
        behind_smg(pace=pace) as model,
        smg.serving(folder / "smg", model.url, key=key) as process,
        tapped(process.port) as tap,
    ):
        yield Gateway(model, process, tap)
