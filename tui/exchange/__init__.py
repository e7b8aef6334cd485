"""Threads that come and go as files: handed to someone else, kept for reading, taken over from other programs.

What is written holds what was said up to a point, and nothing of who said it or where. What is read is taken in whole,
thread by thread, and no thread twice. The readers and writers are imported when they are needed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tui.aside import aside
from tui.attachments import pictures_in
from tui.clock import Clock
from tui.config import Config
from tui.errors import FileRefused, StoreError, UsageError
from tui.model import Provenance, Session, TitleSource, Turn, TurnStatus, new_id
from tui.pictures import Picture
from tui.store import Store
from tui.text import one_line
from tui.values import dataclass

if TYPE_CHECKING:
    from tui.credentials import Secret
    from tui.exchange.mask import Mask
    from tui.exchange.outline import Outline
    from tui.exchange.reading import Reading
    from tui.exchange.thread import Refusal, Thread

BUNDLE_NOTICE = "This conversation was begun by someone else, who may have been allowed to see more than you are."

_PAGE = 20
_WRITTEN = frozenset({TurnStatus.DONE, TurnStatus.CANCELLED, TurnStatus.INTERRUPTED})


class Form(StrEnum):
    """What a thread is written as: to be gone on with, or to be read."""

    BUNDLE = "bundle"
    MARKDOWN = "markdown"
    HTML = "html"


@dataclass(frozen=True, slots=True)
class Plan:
    """A thread that is about to be written: its first `stop` turns, less those that failed, which `left_out` counts.

    `unread` names profiles whose keys could not be had, so that it is not known whether they are in it.
    """

    session: Session
    stop: int
    outline: Outline
    mask: Mask
    left_out: int = 0

    @property
    def unread(self) -> tuple[str, ...]:
        return self.mask.unread


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written."""

    file: Path
    plan: Plan


class Result(StrEnum):
    """What became of a thread in a file."""

    IMPORTED = "imported"
    KNOWN = "known"
    EMPTY = "empty"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one thread, or of a whole file that was refused. `done` of `total` threads of `file` are through."""

    result: Result
    name: str
    file: Path
    session: Session | None = None
    why: str = ""
    done: int = 0
    total: int = 0


class Writer(Protocol):
    """Writes a thread in one form, from its head to its foot. `pictures` are those there are, by their keys."""

    suffix: str

    def head(self, outline: Outline) -> str: ...

    def turn(self, turn: Turn, pictures: Mapping[str, Picture]) -> str: ...

    def foot(self, outline: Outline) -> str: ...


def _no_one(_done: int, _of: int) -> None:
    """No one is told how far it is."""


class Exchange:
    """Writes sessions to files, and reads them from files. `changed` is told of every session that is new; `keys` gives
    those that are known without asking anyone for them."""

    def __init__(
        self,
        store: Store,
        config: Config,
        clock: Clock,
        *,
        changed: Callable[[Session], None],
        keys: Callable[[], Iterable[Secret]] = tuple,
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._changed = changed
        self._keys = keys

    # Out

    async def plan(self, session: Session, until: str = "") -> Plan:
        """What there is to write of a session: up to its last turn that has ended, or to the turn `until`, which is named
        by its number, counted from 1, or by its id.

        Raises:
            UsageError: Nothing of it has ended, or all that has failed.
            StoreError: It has no such turn, or cannot be read.
        """
        from tui.exchange.mask import mask_for
        from tui.exchange.outline import Outline, heading

        count = await self._store.count(session.id)
        stop = await self._stop_at(session, until, count) if until else count
        turns: list[Turn] = []
        last_ended = 0
        for start in range(0, stop, _PAGE):
            for turn in await self._store.turns(session.id, start, min(start + _PAGE, stop)):
                if turn.status.is_final:
                    last_ended = turn.depth + 1
                turns.append(_light(turn))
        if not until:
            stop = last_ended
        kept = [turn for turn in turns if turn.depth < stop and turn.status in _WRITTEN]
        if not kept:
            raise _nothing_in(session, turns)
        mask = await mask_for(self._config, {turn.profile for turn in kept})
        headings = tuple(heading(turn, number, mask) for number, turn in enumerate(kept, 1))
        outline = Outline(mask.name(session.label), _one_title(mask.name(session.title)), headings)
        left_out = sum(turn.depth < stop for turn in turns) - len(kept)
        return Plan(session, stop, outline, mask, left_out)

    async def write(
        self, plan: Plan, form: Form, out: Callable[[str], object], on_written: Callable[[int, int], object] = _no_one
    ) -> None:
        """Give a thread to `out`, piece by piece; `on_written` is told now and then how many of how many turns it has.

        Raises:
            StoreError: It cannot be read any more.
        """
        writer = writer_of(form)
        out(writer.head(plan.outline))
        written = 0
        for start in range(0, plan.stop, _PAGE):
            page = await self._store.turns(plan.session.id, start, min(start + _PAGE, plan.stop))
            kept = [plan.mask.turn(turn) for turn in page if turn.status in _WRITTEN]
            named = [key for turn in kept for key in pictures_in(turn.prompt)]
            pictures = await self._store.pictures.get(named) if named else {}
            out(await asyncio.to_thread(_written, writer, kept, pictures))
            written += len(kept)
            on_written(written, len(plan.outline.turns))
        if written != len(plan.outline.turns):
            raise StoreError("The session changed while it was written.", hint="try again")
        out(writer.foot(plan.outline))

    async def export(
        self,
        session: Session,
        form: Form,
        file: Path | None = None,
        until: str = "",
        on_written: Callable[[int, int], object] = _no_one,
    ) -> Exported:
        """Write a session to a new file; without a name, to one named after its label, in the present folder. `on_written`
        is told now and then how many of how many turns are.

        Raises:
            UsageError, StoreError: As for `plan`.
            FileRefused: The file is there already, or cannot be written.
        """
        from tui.exchange.names import file_name
        from tui.exchange.writing import NewFile, free_name

        plan = await self.plan(session, until)
        file = file or free_name(Path.cwd() / file_name(plan.outline.label, writer_of(form).suffix))
        with NewFile(file) as new:
            await self.write(plan, form, new.write, on_written)
        return Exported(file, plan)

    def file_name(self, session: Session, form: Form) -> str:
        """What to call a session's new file, in the present folder. No one is asked for a key that might be in it."""
        from tui.exchange.mask import plain_mask
        from tui.exchange.names import file_name
        from tui.exchange.writing import free_name

        name = file_name(plain_mask(self._config, self._keys()).name(session.label), writer_of(form).suffix)
        return free_name(Path.cwd() / name).name

    async def check_new(self, file: Path) -> None:
        """See whether there can be a new file of that name.

        Raises:
            FileRefused: There is one already, or it cannot be written.
        """
        from tui.exchange.writing import NewFile

        await aside(NewFile(file).check)

    def masked(self, text: str) -> str:
        """`text` as it may be handed on at once: without the keys that no one has to be asked for."""
        from tui.exchange.mask import plain_mask

        return plain_mask(self._config, self._keys()).text(text)

    async def _stop_at(self, session: Session, until: str, count: int) -> int:
        name = one_line(session.label, 60)
        if until.isdecimal() and len(until) < 10:
            if not 1 <= int(until) <= count:
                raise StoreError(f"There is no turn {int(until):,} in “{name}”: it has {count:,}.")
            return int(until)
        turn = await self._store.turn(until)
        place = await self._store.turns(session.id, turn.depth, turn.depth + 1) if turn else []
        if turn is None or not place or place[0].id != turn.id:
            raise StoreError(f"There is no such turn in “{name}”.", hint="name one by its number, counted from 1")
        return turn.depth + 1

    # In

    async def check_known(self, file: Path) -> None:
        """See whether a file is of a kind that can be imported, by how it begins.

        Raises:
            FileRefused: It is not, or cannot be read.
        """
        from tui.exchange.sources import open_source

        await aside(lambda: open_source(file).close())

    async def take_in(
        self, files: Sequence[Path], label: str = "", on_saved: Callable[[int, int], object] = _no_one
    ) -> AsyncGenerator[Outcome, None]:
        """Import all threads in files, and tell what became of each as it does. What is imported stays, whatever comes
        after it; to do it again goes on from there.

        Of a thread that is alone in its file `on_saved` is told how many of how many turns are saved, now and then, and
        from another thread of execution.

        Raises:
            UsageError: `label` is given for several threads.
            StoreError: The history cannot be written.
        """
        from tui.exchange.reading import Reading

        for file in files:
            reading = Reading()
            try:
                async with aclosing(self._take_in(reading, file, label, len(files), on_saved)) as outcomes:
                    async for outcome in outcomes:
                        yield outcome
            except FileRefused as error:
                yield Outcome(Result.REFUSED, file.name, file, why=str(error))
            finally:
                reading.close()

    async def _take_in(
        self, reading: Reading, file: Path, label: str, files: int, on_saved: Callable[[int, int], object]
    ) -> AsyncGenerator[Outcome, None]:
        total = await reading.open(file)
        if label and (total > 1 or files > 1):
            raise UsageError("A label is for one thread, and there are several.", hint="leave out --label")

        def tell(saved: int, turns: int) -> None:
            reading.go_on()
            if total == 1:
                on_saved(saved, turns)

        done = 0
        while (found := await reading.next()) is not None:
            done += 1
            yield await self._taken(found, file, label, (done, total), tell)

    async def _taken(
        self,
        found: Thread | Refusal,
        file: Path,
        label: str,
        place: tuple[int, int],
        on_saved: Callable[[int, int], object],
    ) -> Outcome:
        from tui.exchange.names import handle, mended_label
        from tui.exchange.thread import Refusal

        done, total = place
        if isinstance(found, Refusal):
            return Outcome(Result.REFUSED, found.name, file, None, found.why, done, total)
        name = one_line(found.title or found.label or found.source, 80)
        if not found.turns:
            return Outcome(Result.EMPTY, name, file, None, "", done, total)
        title = _one_title(found.title)
        session = Session(
            new_id(),
            mended_label(label or found.label) if label or found.label else handle(found.title),
            title=title,
            title_source=TitleSource.GENERATED if title else TitleSource.NONE,
            # A single thread comes to the front, as what is made now; one of many keeps its place in time.
            created_at=(found.created_at if total > 1 else 0) or self._clock.now(),
            notice=_notice(found),
            provenance=Provenance.IMPORTED if found.is_foreign else Provenance.OWN,
        )
        source = hashlib.sha256(f"{found.program}\0{found.source}".encode("utf-8", "replace")).hexdigest()
        for picture in found.pictures:
            await self._store.pictures.add(picture)
        turns = found.turns
        session, is_new = await self._store.take_in(
            session, turns, source, on_top=total == 1, on_saved=lambda saved: on_saved(saved, len(turns))
        )
        if is_new:
            self._changed(session)
        result = Result.IMPORTED if is_new else Result.KNOWN
        return Outcome(result, name, file, session, "", done, total)


def writer_of(form: Form) -> Writer:
    """The writer of a form."""
    if form is Form.BUNDLE:
        from tui.exchange.bundle import BundleWriter

        return BundleWriter()
    if form is Form.MARKDOWN:
        from tui.exchange.markdown import MarkdownWriter

        return MarkdownWriter()
    from tui.exchange.page import PageWriter

    return PageWriter()


def form_of(name: str) -> Form:
    """The form that a file's name asks for."""
    suffix = Path(name).suffix.casefold()
    return {".md": Form.MARKDOWN, ".markdown": Form.MARKDOWN, ".html": Form.HTML, ".htm": Form.HTML}.get(
        suffix, Form.BUNDLE
    )


def summary(found: Sequence[Outcome]) -> str:
    """What an import came to, in a line."""
    counts = {result: sum(one.result is result for one in found) for result in Result}
    parts = [f"Imported {_threads(counts[Result.IMPORTED])}"]
    if counts[Result.KNOWN]:
        parts.append(f"{counts[Result.KNOWN]:,} already here")
    if counts[Result.EMPTY]:
        parts.append(f"{counts[Result.EMPTY]:,} with nothing in {'it' if counts[Result.EMPTY] == 1 else 'them'}")
    if counts[Result.REFUSED]:
        parts.append(f"{counts[Result.REFUSED]:,} refused")
    return "; ".join(parts)


def _threads(count: int) -> str:
    return f"{count:,} thread{'s' if count != 1 else ''}"


def _written(writer: Writer, turns: Sequence[Turn], pictures: Mapping[str, Picture]) -> str:
    return "".join(writer.turn(turn, pictures) for turn in turns)


def _nothing_in(session: Session, turns: Sequence[Turn]) -> UsageError:
    """Why nothing of a session can be written, by its turns up to where that was wanted."""
    name = one_line(session.label, 60)
    if not turns:
        return UsageError(f"Nothing was said in “{name}” yet.")
    if any(not turn.status.is_final for turn in turns):
        return UsageError(f"No answer in “{name}” is finished yet.", hint="wait for one")
    return UsageError(f"No prompt in “{name}” had an answer: what failed is not written.", hint="send one again")


def _light(turn: Turn) -> Turn:
    """A turn as far as it takes to plan: without its answer."""
    return replace(turn, items=(), prompt=_cut(turn.prompt, 2000), notes=(), error=None)


def _one_title(title: str) -> str:
    """A title as sessions have them: on one line, and no longer than a line may be."""
    return _cut(" ".join(_cut(title, 2000).split()), 500)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _notice(thread: Thread) -> str:
    notice = BUNDLE_NOTICE if thread.is_foreign else f"This conversation was held in {one_line(thread.program, 60)}."
    if thread.left_out:
        count = f"{thread.left_out:,} message{'s' if thread.left_out > 1 else ''}"
        notice += f" {count} on other branches stayed there."
    return notice


__all__ = ["Exchange", "Exported", "Form", "Outcome", "Plan", "Result", "form_of", "summary"]
