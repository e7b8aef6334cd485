"""What the manual says exists: every key, command, option, setting, variable, status, column and message in it."""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.theme import BUILTIN_THEMES
from textual.widgets import TextArea

from tests.app.driving import window
from tests.fake_server import PROFILE
from tests.guide import reading
from tui import ask, cli
from tui.app.app import PalaverApp, _bound_classes
from tui.app.screens.help import MARKS
from tui.app.screens.standing_screen import TINY
from tui.app.transcript.view import TranscriptView
from tui.app.widgets.sidebar import GROUPS, Sidebar
from tui.client import fresh_note
from tui.command_words import COMMANDS
from tui.commands import completion, exporting, importing, profiles, sessions
from tui.commands import config as config_command
from tui.commands import doctor as doctor_command
from tui.commands import history as history_command
from tui.commands import search as search_command
from tui.config import CONTINUE_BY, NOTIFY, PROTOCOLS
from tui.config_file import PROFILE_KEYS, TOP_KEYS, load
from tui.errors import Exit
from tui.exchange import Form
from tui.figures import Figures, figure_words
from tui.guide.answers import answer
from tui.guide.manual import passages
from tui.model import AttemptKind, Item, ItemKind, MappingState, Session, Turn, TurnStatus
from tui.objects import session_object, turn_json
from tui.paths import find
from tui.resending import Resending, Said
from tui.store import schema
from tui.traits import TRAITS

# Keys

_WORDS = {"escape": "Esc", "pageup": "PgUp", "pagedown": "PgDn"}
_KEY = re.compile(
    r"((Ctrl|Alt|Shift)\+)*(F\d+|Esc|Enter|Tab|Up|Down|Left|Right|PgUp|PgDn|Home|End|[A-Z]|\[)|[yurefadADnN]"
)
_UNBINDABLE = {"Ctrl+M", "Ctrl+I", "Ctrl+H", "Ctrl+["}


def shown(key: str) -> str:
    """A key as the manual writes it."""
    *modifiers, last = key.split("+")
    last = _WORDS.get(last, last if len(key) == 1 else last[:1].upper() + last[1:])
    return "+".join([*(modifier.capitalize() for modifier in modifiers), last])


def bindings() -> dict[str, Binding]:
    """Everything that is bound, by name."""
    made = [binding for cls in _bound_classes() for binding in cls.BINDINGS]
    return {binding.id: binding for binding in made if isinstance(binding, Binding) and binding.id}


def keys_of(binding: Binding) -> list[str]:
    return [shown(key) for key in binding.key.split(",")]


def bound_keys() -> set[str]:
    """Every key that does something somewhere, as the manual writes it."""
    own = {key for binding in bindings().values() for key in keys_of(binding)}
    editing = {shown(key) for made in Binding.make_bindings(TextArea.BINDINGS) for key in made.key.split(",")}
    return own | editing | {shown(PalaverApp.COMMAND_PALETTE_BINDING)}


KEY_ROWS = [
    *reading.rows("Keys"),
    *reading.rows("Keys in the transcript and the sidebar"),
    *(row for row in reading.rows("Finding something said earlier") if len(row) == 3),
    *reading.rows("Prompts that wait"),
    *reading.rows("Two windows at once"),
    *reading.rows("The list above the input"),
    *reading.rows("Long pastes"),
    *reading.rows("Writing in your own editor"),
]


@pytest.mark.parametrize("row", KEY_ROWS, ids=lambda row: row[2])
def test_a_key_is_bound_to_what_the_table_says(row: list[str]) -> None:
    (name,) = reading.spans_in(row[2])
    assert reading.spans_in(row[0]) == keys_of(bindings()[name])


def test_the_tables_hold_every_key_of_the_window() -> None:
    named = {name for row in KEY_ROWS for name in reading.spans_in(row[2])}
    assert {
        name for name in bindings() if not name.startswith(("help.", "picker.", "switcher.", "dialog.", "search."))
    } == named


def test_every_key_the_manual_mentions_is_bound() -> None:
    mentioned = {span for _, span in reading.spans() if _KEY.fullmatch(span)}
    assert len(mentioned) > 25
    assert mentioned - bound_keys() == _UNBINDABLE


def test_keys_are_always_marked_as_such() -> None:
    for passage in passages():
        plain = reading.without_spans(reading.prose(passage))
        assert not re.search(r"\b(Ctrl|Alt|Shift)\+|\bF\d\b", plain), passage.title


def test_names_to_bind_by_exist() -> None:
    for title, span in reading.spans():
        if re.fullmatch(r"(prompt|turn|queue|list|session|view|transcript|sidebar|app)\.[a-z-]+", span):
            assert span in bindings(), title


# The command line


def parse(words: list[str]) -> argparse.Namespace:
    """What the program makes of a command line, before it does anything."""
    if words[1:] == ["--version"]:
        return argparse.Namespace(version=True)
    module = {"sessions": sessions, "search": search_command,
              "profiles": profiles, "config": config_command, "history": history_command,
              "doctor": doctor_command, "export": exporting, "import": importing, "ask": ask,
              "completion": completion}.get(words[1] if words[1:] else "")  # fmt: skip
    if module is None:
        required = words[1:2] == ["open"]
        return cli._parser("palaver", label_required=required).parse_args(words[2 if required else 1 :])
    parser = cli._Parser(prog=f"palaver {words[1]}")
    module.add_arguments(parser)
    return parser.parse_args(words[2:])


LINES = [line for _, line in reading.shell_lines()]
_OTHERS = {"echo", "export", "jq", "git", "journalctl", "tee", "grep", "sed", "sqlite-utils", "sqlite3", "datasette"}


@pytest.mark.parametrize("line", LINES)
def test_shell_lines_can_be_run(line: str) -> None:
    for words in reading.commands(line):
        if words[0] == "palaver":
            assert parse(words)
        else:
            assert words[0] in _OTHERS


@pytest.mark.parametrize("span", sorted({span for _, span in reading.spans() if span.startswith("palaver ")}))
def test_commands_in_the_text_exist(span: str) -> None:
    words = span.split()
    # Where an option is only named, its value is left out.
    assert parse([*words, "1"] if words[-1] in takes_value() else words)


def actions_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """A parser's options, and those of its commands."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                found += actions_of(one)
        else:
            found.append(action)
    return found


def options() -> dict[str, argparse.Action]:
    """Every option there is."""
    parsers = [cli._parser("palaver", label_required=False)]
    modules = (
        sessions,
        search_command,
        profiles,
        config_command,
        history_command,
        doctor_command,
        exporting,
        importing,
    )
    for module in (*modules, ask):
        parsers.append(argparse.ArgumentParser())
        module.add_arguments(parsers[-1])
    return {word: action for parser in parsers for action in actions_of(parser) for word in action.option_strings}


def takes_value() -> set[str]:
    return {word for word, action in options().items() if action.nargs != 0}


def test_options_in_the_text_exist() -> None:
    for title, span in reading.spans():
        if span.startswith("-") and span != "-":
            assert span.split()[0] in options(), title


def test_every_option_of_ask_is_in_its_table() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    ask.add_arguments(parser)
    told = {word for row in reading.rows("palaver ask") for word in reading.spans_in(row[0])}
    assert told == {word for action in parser._actions for word in action.option_strings}
    outputs = next(action.choices for action in parser._actions if "--output" in action.option_strings)
    (row,) = (row for row in reading.rows("palaver ask") if "--output" in row[0])
    assert reading.spans_in(row[1]) == list(outputs or ())


def test_every_command_of_sessions_is_in_its_table() -> None:
    parser = argparse.ArgumentParser()
    sessions.add_arguments(parser)
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    told = {reading.spans_in(row[0])[0].split()[2] for row in reading.rows("palaver sessions")}
    assert told == set(commands.choices)
    for row in reading.rows("palaver sessions"):
        name = reading.spans_in(row[0])[0].split()[2]
        own = {word for action in commands.choices[name]._actions for word in action.option_strings}
        assert set(reading.spans_in(row[1])) == own - {"-h", "--help"}


def test_every_command_of_history_is_in_its_table() -> None:
    parser = argparse.ArgumentParser()
    history_command.add_arguments(parser)
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    told = {reading.spans_in(row[0])[0].split()[2] for row in reading.rows("palaver history")}
    assert told == set(commands.choices)


def test_every_line_of_the_doctor_is_in_its_table() -> None:
    told = {name for row in reading.rows("palaver doctor") for name in row[0].split(", ")}
    assert told == {line.about for line in doctor_command.look_over()}


def test_every_exit_status_is_in_the_table() -> None:
    assert [int(row[0]) for row in reading.rows("Exit statuses")] == sorted(Exit)


@pytest.mark.parametrize(
    ("title", "words", "status"),
    [
        ("Headers and parameters", "ends with status 7", Exit.INCOMPLETE),
        ("When the server has forgotten", "fails instead, with status 6", Exit.REFUSED),
        ("Two windows at once", "ends with status 8", Exit.LIMITED),
        ("palaver sessions", "ends with status 9", Exit.HISTORY),
        ("Importing", "refused in words, with status 9", Exit.HISTORY),
        ("palaver config", "ends the start with status 3", Exit.CONFIG),
        ("palaver doctor", "The status is 0 where nothing is ✗, and else 1", doctor_command.WRONG),
        ("Stopping an answer", "the exit status is 130", Exit.INTERRUPT),
        ("Logs and crash reports", "ends with status 1", Exit.BUG),
        ("Errors about the connection", "the status is 5", Exit.UNREACHABLE),
    ],
)
def test_statuses_in_the_text(title: str, words: str, status: Exit) -> None:
    (passage,) = (passage for passage in passages() if passage.title == title)
    assert words in " ".join(passage.text.split())
    assert words.endswith(f" {int(status)}")


# Configuration


@pytest.mark.parametrize("code", reading.codes("toml"), ids=lambda code: code.title)
def test_settings_are_taken(code: reading.Code, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    file = tmp_path / "config.toml"
    file.write_text(re.sub(r'ca_file = ".*?"', f'ca_file = "{authority}"', code.text), encoding="utf-8")
    file.chmod(0o600)
    config = load(file, {})
    assert config.warnings == ()
    assert set(config.keys) <= set(bindings())
    if code.title == "Adding a server":
        assert config.default == "work"


def test_every_setting_of_a_profile_is_in_its_table() -> None:
    told = [name for row in reading.rows("All settings of a profile") for name in reading.spans_in(row[0])]
    assert sorted(told) == sorted(PROFILE_KEYS)


def test_the_table_tells_what_holds_if_nothing_is_given(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[profiles.p]\nbase_url = "http://localhost:1"\n', encoding="utf-8")
    file.chmod(0o600)
    profile = load(file, {}).profile("p")
    told = {reading.spans_in(row[0])[0]: row[2].strip("`") for row in reading.rows("All settings of a profile")}
    assert told["protocol"] == profile.protocol
    assert reading.rows("How a conversation is continued")[0][0] == f"`{profile.continue_by}` (the default)"
    assert (told["connect_timeout"], told["idle_timeout"]) == (
        f"{profile.connect_timeout:g}",
        f"{profile.begin_timeout:g} before an answer, {profile.idle_timeout:g} within it",
    )
    assert told["replay"] == json.dumps(profile.replay)


def test_settings_for_all_profiles_are_told() -> None:
    (text,) = (passage.text for passage in passages() if passage.title == "All settings of a profile")
    assert {"profile", "conversation_ttl_days", "theme", "notify"} <= set(reading.spans_in(text))
    assert {"profile", "conversation_ttl_days", "theme", "notify", "keys", "profiles"} == set(TOP_KEYS)


def test_choices_are_complete() -> None:
    table = reading.rows("How a conversation is continued")
    assert [reading.spans_in(row[0])[0] for row in table] == list(CONTINUE_BY)
    assert {reading.spans_in(row[0])[0] for row in reading.rows("Protocols")} == {*PROTOCOLS} - {"guide"}


def test_themes_exist() -> None:
    (text,) = (passage.text for passage in passages() if passage.title == "Themes and colours")
    named = {span for span in reading.spans_in(text) if "." not in span and "+" not in span}
    assert len(named) > 12
    assert named <= set(BUILTIN_THEMES)
    light = set(reading.spans_in(text[text.index("light ones are") : text.index("With `ansi")]))
    assert all(BUILTIN_THEMES[name].dark == (name not in light) for name in named - {"ansi-light"})


# The environment, files and the history


def test_environment_variables_exist() -> None:
    source = "\n".join(file.read_text(encoding="utf-8") for file in reading.PACKAGE.rglob("*.py"))
    words = {span for _, span in reading.spans()} | {word for line in LINES for word in re.findall(r"\w+", line)}
    named = {word for word in words if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", word)} - {"EXAMPLE_API_KEY", "SQLITE_BUSY"}
    assert len(named) > 8
    for name in named:
        folder = re.fullmatch(r"PALAVER_([A-Z]+)_DIR", name)
        proxy = re.fullmatch(r"(HTTPS?|ALL|NO)_PROXY", name)
        assert name in source or (folder and f'"{folder[1]}"' in source) or (proxy and "_proxy" in source), name


def test_every_variable_of_ours_is_in_the_table() -> None:
    told = {name for row in reading.rows("Environment variables") for name in reading.spans_in(row[0])}
    assert {f"PALAVER_{kind}_DIR" for kind in ("CONFIG", "DATA", "LOG")} | {"PALAVER_LOG"} <= told


def test_files_are_where_the_manual_says() -> None:
    paths = find()
    told = {span for _, span in reading.spans()}
    assert {paths.config_file.name, paths.history_file.name, paths.log_file.name} <= told


@pytest.fixture
def empty_history(tmp_path: Path) -> sqlite3.Connection:
    conn = sqlite3.connect(tmp_path / "history.db", isolation_level=None)
    schema.migrate(conn)
    return conn


def columns(conn: sqlite3.Connection, view: str) -> list[str]:
    return [column[0] for column in conn.execute(f"SELECT * FROM {view}").description]


def test_the_views_have_these_columns(empty_history: sqlite3.Connection) -> None:
    (text,) = (passage.text for passage in passages() if passage.title == "The history as an open format")
    told = [reading.spans_in(row[0])[0] for row in reading.rows("The history as an open format")]
    assert told == columns(empty_history, "messages")
    after = text[text.index("`conversation_map`") :]
    named = reading.spans_in(after[: after.index(", which is")])
    assert named == ["conversation_map", *columns(empty_history, "conversation_map")]
    states = reading.spans_in(after[after.index("which is") : after.index("Read it")])
    assert set(states) == set(MappingState)
    (row,) = (row for row in reading.rows("The history as an open format") if row[0] == "`status`")
    assert reading.spans_in(row[1]) == list(TurnStatus)
    empty_history.close()


def test_queries_can_be_asked(empty_history: sqlite3.Connection) -> None:
    words = [word for line in LINES for command in reading.commands(line) for word in command]
    asked = [word for word in words if word.startswith("select ")]
    assert len(asked) >= 4
    for query in asked:
        empty_history.execute(query).fetchall()
    empty_history.close()


# What the program says


GENERATED = {
    fresh_note(7),
    fresh_note(4, why="A new conversation was started on this server"),
    " · ".join(("done in 9.6 s", *figure_words(Figures(1204, 356, 0.8, 41.0, 13_000)))),
    figure_words(Figures(1204, 356, window=13_000))[-1],
    Resending(Said(14, 20_800), is_new=True).text,
}


def test_what_the_program_is_quoted_with_it_says() -> None:
    quoted = [
        (passage.title, words) for passage in passages() for words in re.findall("“([^”]+)”", reading.prose(passage))
    ]
    assert len(quoted) > 50
    for title, words in quoted:
        assert words in GENERATED or reading.is_said(reading.without_spans(words)), (title, words)


def test_a_quotation_that_is_not_the_program_s_is_noticed() -> None:
    assert not reading.is_said("The server is asleep")


def test_marks_mean_what_the_manual_says() -> None:
    rows = [(row[0], row[1].replace("`", "")) for row in reading.rows("What is on the screen")]
    assert rows == [
        (mark, re.sub("<(.+?)>", lambda name: keys_of(bindings()[name[1]])[0], text)) for mark, text in MARKS
    ]
    assert {"Today", "Yesterday", "Previous 7 days"} <= set(GROUPS)
    assert any(f"{TINY[0]}×{TINY[1]}" in passage.text for passage in passages())


async def test_the_palette_offers_what_the_manual_lists(history: Path) -> None:
    async with window(history) as w:
        await w.send("wait")
        await w.server.request()
        titles = {command.title for command in w.app.palette_commands()}
        await w.press("escape")
        await w.until(lambda: not w.talk.chat.running())
        await w.exchange("hello", "```\nfine\n```")
        titles |= {command.title for command in w.app.palette_commands()}
        await w.press("f8")
        await w.until(lambda: "Deleted" in w.status)
        titles |= {command.title for command in w.app.palette_commands()}
    told = [
        name.removesuffix("…").strip() for row in reading.rows("The command palette") for name in row[0].split(", ")
    ]
    for name in told:
        assert any(title.startswith(name) for title in titles), name
    for title in titles:
        assert any(title.startswith(name) for name in told), title


def test_words_to_try_out_do_something() -> None:
    unknown = answer("/demo", -1, is_first=False).text
    named = {span for _, span in reading.spans() if span.startswith("/demo ")}
    assert len(named) == 5
    for word in named:
        assert unknown not in answer(word, -1, is_first=False).text


def test_the_fields_of_json() -> None:
    (text,) = (passage.text for passage in passages() if passage.title == "JSON output")
    turn = Turn("t", "s", 0, "p", items=(Item("m", ItemKind.MESSAGE, "x"),), status=TurnStatus.DONE)
    made = turn_json(turn, "label")
    fields = text[text.index("Its fields are") : text.index("`status` is")]
    assert reading.spans_in(fields) == [name for name in made if name not in ("prompt", "attempts")]
    assert set(reading.spans_in(text[text.index("`status` is") : text.index("; `error` is")])) - {"status"} == {
        status for status in TurnStatus if status.is_final
    }
    source = (reading.PACKAGE / "output.py").read_text(encoding="utf-8")
    for row in reading.rows("JSON output"):
        (kind,) = reading.spans_in(row[0])
        assert f'"{kind}"' in source
    assert "turns" in session_object(Session("s", "label"))


# Everything else that stands in code

SLASH_COMMANDS = {span for row in reading.rows("Commands after a slash") for span in reading.spans_in(row[0])}


async def test_every_word_after_a_slash_is_in_the_table(history: Path) -> None:
    async with window(history, replace(PROFILE, protocol="rill")) as w:
        assert set(w.screen.slash_commands()) == SLASH_COMMANDS


_KNOWN = re.compile(
    r"""
    https?://\S* | ~/.* | \d+ | \*\*\* | <.*> | [A-Z][A-Za-z-]+:\ Bearer\ … | /responses | /chat/completions | /invoke
    | (palaver|history|config)\.[a-z.-]+ | [a-z_]+\ =\ .+ | docker\ agent(\ .+)? | parser-2 | root
    | \[keys\] | parser(-2)? | recovered-1 | chat-[12] | gpt-5 | claude-[a-z0-9-]+
    | (ctrl|alt)\+[a-z]+ | f\d | pageup | escape | \\ | \+ | - | palaver/ | /demo | more | contents | true | false | localhost
    | ::1 | 127\.… | PALAVER_CORE=1 | TERM=dumb | max_output_tokens | max_tokens | store | kill\ -9 | NAME | LABEL
    """,
    re.VERBOSE,
)
_THEIRS = {"keyring", "keyring set palaver work", "socksio", "openai", "api_key", "messages", "attempts", "init", "null",
           "DEBUG", "INFO", "WARNING", "ERROR", "user", "assistant", "json", "jsonl", "Shift", "palaver", "kind",
           "message", "hint", "key", "name", "text", "config.toml", ".palaver.jsonl", "conversations.json", ".zip",
           "logs.db", ".yaml", "at", "call", "state", "answer", "approved", "denied", "agents", "get_items",
           "session_settings", "pop_item", "clear_session", "SessionBusy", "off", "source <(palaver completion bash)",
           "$fpath", "compinit", "Backspace", "VISUAL", "EDITOR"}  # fmt: skip


def test_everything_in_code_is_of_a_known_kind(empty_history: sqlite3.Connection) -> None:
    """A new sort of name in the manual has to be given a test, or a place in these lists."""
    made = turn_json(Turn("t", "s", 0, "p"), "label")
    known = {*bindings(), *options(), *PROFILE_KEYS, *TOP_KEYS, *PROTOCOLS, *CONTINUE_BY, *TurnStatus, *MappingState}
    known |= {*BUILTIN_THEMES, *made, *columns(empty_history, "messages"), *columns(empty_history, "conversation_map")}
    known |= {*SLASH_COMMANDS, *(name for traits in TRAITS.values() for name in traits.options)}
    known |= {*Form, *ItemKind, *NOTIFY}
    known |= {*AttemptKind, *COMMANDS, "item", "delta", "replace", "note", "turn", "type", "conversation_map", *_THEIRS}
    empty_history.close()
    for title, span in reading.spans():
        is_key = _KEY.fullmatch(span) is not None
        is_told = (
            span in known or span.startswith(("palaver ", "/demo ", "-")) or re.fullmatch(r"[A-Z]+(_[A-Z]+)+", span)
        )
        assert is_key or is_told or _KNOWN.fullmatch(span), (title, span)


def test_bindings_of_the_transcript_and_sidebar_are_theirs() -> None:
    own = {binding.id for cls in (TranscriptView, Sidebar) for binding in cls.BINDINGS if isinstance(binding, Binding)}
    told = {name for row in reading.rows("Keys in the transcript and the sidebar") for name in reading.spans_in(row[2])}
    assert {name for name in told if not name.startswith("view.")} <= own
