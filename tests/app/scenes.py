"""Scenes of the window for snapshots and pictures: what the server says is written out, and time stands still."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from tests.app.driving import text_in_view, until
from tests.fake_server import FakeServer, Waits, client_of, completed, delta
from tui.app.app import PalaverApp
from tui.app.run import Wish
from tui.app.screens import slash
from tui.app.screens.chat import ChatScreen
from tui.app.widgets.hit_list import HitList
from tui.app.widgets.sidebar import Sidebar
from tui.attachments import Attachment, with_attachments
from tui.chat import Chat
from tui.client import Client
from tui.clock import Clock
from tui.config import GUIDE, Config, Profile
from tui.drafts import written
from tui.store import Store

NOON = 1_795_262_400.0
"""A day in November 2026, at noon."""

STILL = Clock(lambda: NOON, lambda: 0.0)

WORK = Profile(name="work", protocol="responses", base_url="https://api.example.com/v1", model="large-2")

ANSWER = """\
A **WAL** file lets readers go on while one writer appends. The trade:

| Journal | Readers wait | Files | Power loss |
| :-- | :-: | --: | --- |
| `DELETE` | yes | 1 | safe |
| `WAL` | no | 3 | safe with `FULL` |

1. Open the database *once* and keep the connection.
2. Set the mode, then check what came of it:

```python
with sqlite3.connect("history.db") as db:
    (mode,) = db.execute("PRAGMA journal_mode = wal").fetchone()
    assert mode == "wal"  # network filesystems say "delete"
```

> Every connection of a process shares one lock table.

More in [the documentation](https://sqlite.org/wal.html).
"""

STALE = {"error": {"message": "Previous response with id 'resp_1' not found.", "code": "previous_response_not_found"}}


class Stage:
    """The window during a scene."""

    def __init__(self, app: SceneApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot
        self.server = app.server

    @property
    def screen(self) -> ChatScreen:
        screen = self.app.screen_stack[0]
        assert isinstance(screen, ChatScreen)
        return screen

    async def until(self, ready: Callable[[], object]) -> None:
        await until(self.pilot, ready, 20)

    async def shows(self, text: str) -> None:
        await self.until(lambda: text in " ".join(text_in_view(self.screen.transcript).split()))

    async def send(self, prompt: str) -> None:
        self.screen.prompt.replace_text(prompt)
        await self.pilot.press("enter")

    async def talk(self, prompt: str, answer: str, response_id: str = "resp_1", **usage: int) -> None:
        """A prompt and its whole answer."""
        await self.send(prompt)
        exchange = await self.server.request()
        more = {"usage": usage} if usage else {}
        exchange.respond().event(delta(answer)).event(completed(answer, response_id, **more)).end()
        await self.until(lambda: "done in" in self.screen.status_bar.text and not self.has_mark("◌"))

    @property
    def has_unread(self) -> bool:
        """Whether a row says that there is an answer not seen yet."""
        return self.has_mark("●")

    def has_mark(self, mark: str) -> bool:
        """Whether a row of the sidebar has this mark."""
        rows = self.screen.query_one(Sidebar)
        return any(mark in rows.render_line(row).text for row in range(rows.size.height))

    async def new(self) -> None:
        # That an answer was seen is on disk before its session is left.
        await self.until(lambda: not self.has_unread)
        label = self.app.come_back
        await self.pilot.press("ctrl+n")
        await self.until(lambda: self.app.come_back != label)


@dataclass(frozen=True)
class Scene:
    """What happens, and how large the window is."""

    act: Callable[[Stage], Awaitable[None]]
    size: tuple[int, int] = (100, 30)
    theme: str = ""
    profile: Profile = WORK

    async def play(self, pilot: Pilot[None]) -> None:
        """Play it in a window that `make_app` made."""
        app = pilot.app
        assert isinstance(app, SceneApp)
        stage = Stage(app, pilot)
        await stage.until(lambda: app.come_back)
        await self.act(stage)
        await stage.until(lambda: not stage.screen.transcript.pace.is_due)
        await pilot.pause()


class SceneApp(PalaverApp):
    """The application with its server, which closes its history behind it."""

    server: FakeServer
    beside: tuple[Chat, Store] | None = None
    """Another window on the same history, where a scene has one."""

    async def on_unmount(self) -> None:
        for chat, store in filter(None, ((self.chat, self.store), self.beside)):
            await chat.aclose()
            await store.close()


def make_app(scene: Scene, folder: Path) -> SceneApp:
    """The application for a scene, with a history of its own in `folder`."""
    clock = STILL
    server = FakeServer()
    is_guide = scene.profile.protocol == "guide"
    client = Client() if is_guide else client_of(server, Waits())
    config = Config({scene.profile.name: scene.profile, "guide": GUIDE}, scene.profile.name, theme=scene.theme)
    store = Store(folder / "history.db", clock=clock)
    chat = Chat(store, client, config, clock=clock)
    store.on_health = chat.tell_health
    app = SceneApp(chat, store, Wish())
    app.server = server
    return app


async def empty(stage: Stage) -> None:
    await stage.pilot.pause()


async def answer(stage: Stage) -> None:
    await stage.talk("Why would I use WAL mode in SQLite?", ANSWER, input_tokens=18, output_tokens=231)


async def streaming(stage: Stage) -> None:
    await stage.talk("Rename the parser's tests", "Done: 14 files.", "resp_0")
    await stage.pilot.press("f4")
    await stage.new()
    await stage.talk("Release notes for 2.1", "Here they are.", "resp_1")
    await stage.new()
    await stage.send("Why would I use WAL mode in SQLite?")
    exchange = (await stage.server.request()).respond()
    half = ANSWER.index("assert mode")
    exchange.event(delta(ANSWER[:half]))
    await stage.shows("fetchone")


async def cancelled(stage: Stage) -> None:
    await stage.send("Tell me a long story about a small bird")
    (await stage.server.request()).respond().event(delta("Once upon a time, in a wood nobody had a name for,"))
    await stage.shows("Once upon a time")
    await stage.pilot.press("escape")
    await stage.until(lambda: stage.screen.prompt.border_title)
    await stage.shows("Cancelled")


async def held(stage: Stage) -> None:
    """Another window answers in the session shown; a prompt written here waits behind that."""
    await stage.talk("Which journal modes are there?", "`DELETE`, `TRUNCATE`, `PERSIST`, `MEMORY`, `WAL` and `OFF`.")
    store = Store(stage.app.store.file, clock=STILL)
    chat = Chat(store, client_of(stage.server, Waits()), stage.app.chat.config, clock=STILL)
    stage.app.beside = chat, store
    await store.open()
    chat.send(await chat.find(stage.app.come_back), "Why would I use WAL mode in SQLite?")
    exchange = (await stage.server.request()).respond()
    exchange.event(delta("A **WAL** file lets readers go on while one writer appends."))
    await stage.shows("one writer appends")
    await stage.until(lambda: stage.screen.prompt.border_subtitle)
    await stage.send("And on a network drive?")
    await stage.until(lambda: stage.screen.queue_list.display)


async def queue(stage: Stage) -> None:
    """Three prompts wait behind an answer, one of them a long one."""
    await stage.send("Why would I use WAL mode in SQLite?")
    (await stage.server.request()).respond().event(delta("A **WAL** file lets readers go on while one writer appends."))
    await stage.shows("one writer appends")
    for prompt in (
        "And on a network drive?",
        "Then compare it with a rollback journal, line by line, and say what each of them costs on a slow disk",
        "Make a table of it",
    ):
        await stage.send(prompt)
        await stage.until(lambda said=prompt[:20]: said in stage.screen.queue_list.text)


async def stale(stage: Stage) -> None:
    await stage.talk("My name is Ada. Which city has the most bridges?", "Hamburg, by most counts, Ada.", "resp_1")
    await stage.send("And what was my name?")
    (await stage.server.request()).answer(400, STALE)
    (await stage.server.request()).respond().event(completed("You said it is Ada.", "resp_2")).end()
    await stage.shows("sent along")


async def failed(stage: Stage) -> None:
    await stage.send("hello")
    (await stage.server.request()).answer(401, {"error": {"message": "Incorrect API key provided."}})
    await stage.shows("Incorrect API key")
    await stage.until(lambda: "failed after" in stage.screen.status_bar.text)


async def long(stage: Stage) -> None:
    for number in range(6):
        text = "\n\n".join(f"Paragraph {line} of answer {number}." for line in range(8))
        await stage.talk(f"Question {number}", text, f"resp_{number}")
    for _ in range(3):
        await stage.pilot.press("pageup")


async def tools(stage: Stage) -> None:
    call = {
        "type": "function_call",
        "id": "f",
        "call_id": "c",
        "name": "query",
        "arguments": '{"sql": "SELECT city, count(*) AS n\\nFROM bridges\\nGROUP BY city ORDER BY n DESC"}',
    }
    rows = {"columns": ["city", "n"], "rows": [["Hamburg", 2496], ["Berlin", 960], ["Venice", 435]]}
    result = {"type": "function_call_output", "id": "o", "call_id": "c", "output": json.dumps(rows)}
    reasoning = {"type": "response.reasoning_summary_text.delta", "item_id": "r", "summary_index": 0}
    await stage.send("Which city has the most bridges?")
    exchange = (await stage.server.request()).respond()
    exchange.event(reasoning | {"delta": "The table of cities should say. I look it up rather than guess."})
    exchange.event({"type": "response.output_item.done", "output_index": 1, "item": call})
    exchange.event({"type": "response.output_item.done", "output_index": 2, "item": result})
    text = "Hamburg.\n\n| City | Bridges |\n| --- | --: |\n| Hamburg | 2,496 |\n| Berlin | 960 |\n| Venice | 435 |\n"
    exchange.event(delta(text)).event(completed(text)).end()
    transcript = stage.screen.transcript
    await stage.until(lambda: "done in" in stage.screen.status_bar.text and "Venice" in text_in_view(transcript))
    await stage.pilot.press("tab", "up", "enter")


async def approval(stage: Stage) -> None:
    arguments = {"service": "checkout", "version": "2.1.0", "to": "production"}
    asked = {
        "type": "mcp_approval_request",
        "id": "mcpr_1",
        "server_label": "ops",
        "name": "deploy",
        "arguments": json.dumps(arguments),
    }
    await stage.send("Ship 2.1.0 of checkout")
    exchange = (await stage.server.request()).respond()
    exchange.event(delta("All checks are green. I would deploy it now."))
    exchange.event({"type": "response.output_item.done", "output_index": 1, "item": asked})
    exchange.event(completed("All checks are green. I would deploy it now.")).end()
    await stage.until(lambda: "waits for" in stage.screen.status_bar.text)
    await stage.pilot.press("tab")


async def help_keys(stage: Stage) -> None:
    await stage.pilot.press("f1")


async def switcher(stage: Stage) -> None:
    for number, prompt in enumerate(("Rename the parser's tests", "Release notes for 2.1", "A bug in the lexer")):
        await stage.talk(prompt, "Done.", f"resp_{number}")
        await stage.new()
    await stage.pilot.press("ctrl+o", *"re")


async def journals(stage: Stage) -> None:
    """Three sessions that speak of the same."""
    await stage.talk("Why would I use WAL mode in SQLite?", ANSWER, "resp_0")
    await stage.new()
    await stage.talk("Name a journal for the diary app", "Daybook, or simply *Journal*.", "resp_1")
    await stage.new()
    await stage.talk("What does fsync do?", "It waits until the disk has what was written.", "resp_2")


async def search(stage: Stage) -> None:
    await journals(stage)
    await stage.pilot.press("ctrl+r", *"journ")
    await stage.until(lambda: any(len(one.rows) == 5 for one in stage.app.screen.query(HitList)))
    await stage.until(lambda: not stage.has_unread)


async def composing(stage: Stage) -> None:
    """A file in the transcript, a file and a long paste in the input, and the list above it."""
    whole = with_attachments("Why is @src/parser.py slow?", [Attachment("src/parser.py", "import re\n" * 1200)])
    await stage.talk(whole, "It reads every line twice.")
    prompt = stage.screen.prompt
    prompt.restore(written(whole))
    prompt.paste("a line of the log\n" * 1234)
    await stage.pilot.pause()
    stage.screen.offer_list.show(slash.offers("/", stage.screen.slash_commands()))


async def find(stage: Stage) -> None:
    await stage.talk("Why would I use WAL mode in SQLite?", ANSWER)
    await stage.pilot.press("ctrl+f")
    await stage.until(lambda: stage.screen.query("#find"))
    await stage.pilot.press(*"mode", "enter")

    def is_found() -> bool:
        finding = stage.screen.transcript.finding
        return finding is not None and finding.is_done and finding.number == 2

    await stage.until(is_found)


SCENES = {
    "empty": Scene(empty),
    "empty-guide": Scene(empty, profile=GUIDE),
    "answer": Scene(answer, size=(110, 40)),
    "streaming": Scene(streaming, size=(110, 34)),
    "cancelled": Scene(cancelled, size=(80, 24)),
    "held": Scene(held, size=(80, 24)),
    "queue": Scene(queue, size=(80, 24)),
    "stale": Scene(stale, size=(90, 24)),
    "failed": Scene(failed, size=(80, 24)),
    "long": Scene(long, size=(80, 24)),
    "tools": Scene(tools, size=(90, 30)),
    "approval": Scene(approval, size=(90, 24)),
    "narrow": Scene(answer, size=(50, 24)),
    "smallest": Scene(answer, size=(40, 12)),
    "light": Scene(answer, size=(110, 40), theme="textual-light"),
    "help": Scene(help_keys, size=(100, 50)),
    "search": Scene(search, size=(80, 24)),
    "search-light": Scene(search, size=(120, 34), theme="textual-light"),
    "find": Scene(find, size=(90, 30)),
    "composing": Scene(composing, size=(80, 24)),
    "switcher": Scene(switcher, size=(90, 24)),
}
