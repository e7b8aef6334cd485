"""The programs that are compared: how each is installed, started, and worked by keys."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import histories
from tests.bench.peers import seeds
from tests.bench.program import FOLDER, PALAVER, environment, history, home, install

ROOT = FOLDER / "peers"
"""Where the other programs are installed, each into an environment of its own."""

HOMES = FOLDER / "homes" / "peers"

DOWN, TAB, ENTER, CTRL_TAB = "\x1b[B", "\t", "\r", "\x1b[9;5u"


@dataclass(frozen=True)
class Peer:
    """A program, and what a user does with it.

    `ready` stands on the screen once it can be used; `enters` are the keys that then lead to where one types. `opens` are
    the keys that open the long conversation, `begins` the words it is started with for that, `sends` the keys that ask for
    an answer, `asks` the words of a command that prints one; None where the program has no such thing. `pause` is how long
    it needs between two keys, in seconds. `known` says what is known of why the long conversation does not open, if it
    does not.
    """

    name: str
    package: str
    command: tuple[str, ...]
    ready: str
    seed: Callable[[seeds.Home], None]
    opens: tuple[str, ...] | None
    sends: tuple[str, ...]
    asks: tuple[str, ...] | None = None
    begins: tuple[str, ...] | None = None
    enters: tuple[str, ...] = ()
    pause: float = 0.4
    known: str = ""
    has_screen: bool = True

    def install(self) -> str:
        """Install it from the package index unless it is there. Gives its version."""
        if self.name == "palaver":
            install()
            return "this tree"
        where = ROOT / self.package
        if not (where / "bin" / self.command[0]).exists():
            subprocess.run([sys.executable, "-m", "venv", str(where)], check=True)
            pip = [str(where / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, self.package], check=True)
        ask = f"import importlib.metadata as m; print(m.version({self.package!r}))"
        done = subprocess.run([str(where / "bin" / "python"), "-c", ask], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def argv(self, model: str, words: tuple[str, ...] | None = None) -> list[str]:
        """What starts it, with other words than it is otherwise started with where there are some."""
        program = PALAVER if self.name == "palaver" else ROOT / self.package / "bin" / self.command[0]
        return [str(program), *(word.format(model=model) for word in words or self.command[1:])]

    def prepare(self, messages: int, url: str, model: str) -> dict[str, str]:
        """A home with a conversation of 10 messages and one of so many, made once. Gives the environment to start in."""
        if self.name == "palaver":
            label = f"peers-{messages}"
            histories.seed(history(label), {"small": 10, f"long-{messages}": messages})
            return home(label, url=url, model=model)
        where = HOMES / f"{self.name}-{messages}"
        about = seeds.Home(where, {"small": 10, f"long-{messages}": messages}, url, model)
        self.seed(about)
        return environment() | about.environment()


def _nothing(about: seeds.Home) -> None:
    """The history is made by the project's own means."""


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(
            name="palaver",
            package="palaver",
            command=("palaver",),
            ready="Send",
            seed=_nothing,
            opens=("\x1b[1;3B",),
            sends=("\x0e", "hello", ENTER),
            asks=("ask", "hello"),
            begins=("small",),
        ),
        Peer(
            name="elia",
            package="elia-chat",
            command=("elia",),
            ready="Send message",
            seed=seeds.elia,
            opens=(TAB, DOWN, ENTER),
            sends=("hello", "\n"),
        ),
        Peer(
            name="oterm",
            package="oterm",
            command=("oterm",),
            ready="next chat",
            seed=seeds.oterm,
            opens=(CTRL_TAB, CTRL_TAB),
            sends=(CTRL_TAB, CTRL_TAB, "hello", ENTER),
            enters=(CTRL_TAB, CTRL_TAB),
        ),
        Peer(
            name="parllama",
            package="parllama",
            command=("parllama",),
            ready="Type a message",
            seed=seeds.parllama,
            opens=("\x13", DOWN, DOWN, ENTER),
            sends=("hello", ENTER),
            pause=1.0,
            known="0.10 tells its app which chat was chosen from the list, and the app tells no one",
        ),
        Peer(
            name="llm",
            package="llm",
            command=("llm", "chat", "-m", "{model}"),
            ready="> ",
            seed=seeds.llm,
            opens=None,
            sends=("hello", ENTER),
            asks=("-m", "{model}", "hello"),
            has_screen=False,
        ),
    )
}
"""By name, ours first."""


def weight(peer: Peer) -> float:
    """What the environment it is installed into weighs, in MB."""
    from tests.bench.rows.weight import size

    where: Path = FOLDER / "program" if peer.name == "palaver" else ROOT / peer.package
    return size(where) / 1e6
