"""Which code is mutated, by groups, with the tests that answer for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Group:
    """`files` are mutated, below `tui/`; `tests` are run against each mutant, as far as they touch its function."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


_STORE = (
    *(
        "sessions",
        "turns",
        "conversations",
        "branches",
        "search",
        "search_bounds",
        "overlay",
        "schema",
        "faults",
        "lease",
        "leases",
        "watch",
    ),
    *(
        "files",
        "lock",
        "database",
        "place",
        "reopened",
        "taken_in",
        "copies",
        "queues",
        "access",
        "words",
        "find",
        "recovery",
    ),
)

GROUPS = {
    "decoder": Group(
        ("client/sse.py", "client/ndjson.py", "client/reply.py"),
        ("tests/client/test_sse.py", "tests/client/test_ndjson.py", "tests/client/test_reply.py"),
    ),
    "retry": Group(
        ("client/retry.py", "client/verdict.py", "continuity.py"),
        ("tests/client/test_retry.py", "tests/client/test_verdict.py", "tests/test_continuity.py"),
    ),
    "store": Group(
        ("store/*.py", "store/sql/*.py"),
        (
            *(f"tests/store/test_{part}.py" for part in _STORE),
            "tests/commands/test_completion.py",
            "tests/commands/test_history.py",
            "tests/test_account.py",
            "tests/test_agents.py",
            "tests/exchange/test_import.py",
        ),
    ),
    "gate": Group(("app/gate.py", "text.py"), ("tests/test_text.py", "tests/app/test_gate.py")),
}

LEFT_OUT = {
    "tui.text.x__table": "it runs while its module is imported, before a mutant can be chosen",
}
"""Functions whose mutants say nothing here, and why."""

EQUIVALENT = {
    "least, most = END, 1": "where nothing is found, the first place is after the last either way",
    "at = empty.end() if (empty) or True else at": "the pattern fits an empty text, and so everywhere",
    "text = segment.text if segment.cell_length < left else _cut(segment.text, left)": "one that just fits is cut "
    "to itself",
    "return text[: bisect_right(range(len(text) + 2), width, key=lambda end: cell_len(text[:end])) - 1]": "only what "
    "is too wide is cut, so that the end is never reached",
    "while stop > 0 and len(found) <= limit:": "more is read than is wanted, and left away again",
    'prompt="XXXX",': "the prompt is filled in from the items",
    "self._is_second = True": "it is found out anew before it is asked for",
    "self._fd = -2": "any number below 0 says that there is none",
    "self._after_cr = None": "it is only asked whether it is true",
    'log.debug("still not saved: %s", )': "the log says less; the user is told elsewhere",
    'old = sqlite3.connect(f"{damaged.absolute().as_uri()}?immutable=1", uri=None)': "SQLite takes it for a URI unasked, "
    "as it is built for most systems",
    'log.warning("not saved: %s", )': "the log says less; the user is told elsewhere",
    'log.warning("not saved: %s", None)': "the log says less; the user is told elsewhere",
    "at = None": "where nothing is said of the place, bytes are looked through from their beginning",
    "seconds = date.timestamp() - now if (now is not None) or True else -1": "a clock of None is a TypeError then, which "
    "is caught and means the same",
    "status = reply.status or _IN_STREAM.get(reply.code, None) or _IN_STREAM.get(reply.type, 0)": "what is neither is "
    "asked of the next",
}
"""Changed lines that make no difference to anyone, and why."""

NOT_RUN = (
    "tests/commands/test_completion.py::TestBash",
    "tests/commands/test_completion.py::test_each_script_knows_every_command",
    "tests/commands/test_completion.py::test_nothing_heavy_is_loaded",
    "tests/client/test_ndjson.py::test_a_flood_of_blank_lines_costs_nothing",
    "tests/client/test_sse.py::test_a_flood_of_empty_lines_costs_nothing",
    "tests/client/test_sse.py::test_a_flood_of_what_says_nothing_costs_nothing",
    "tests/client/test_sse.py::test_an_event_that_never_ends_stops_at_the_limit_and_holds_no_more_than_that",
    "tests/exchange/test_import.py::test_files_that_are_too_large_are_refused",
    "tests/store/test_faults.py::test_a_file_that_becomes_read_only_while_it_is_open",
    "tests/store/test_faults.py::test_a_folder_that_may_not_be_entered",
    "tests/store/test_faults.py::test_a_journal_a_crash_left_is_rolled_back",
    "tests/store/test_faults.py::test_a_label_that_several_processes_use_first_at_once_is_one_session",
    "tests/store/test_faults.py::test_a_quota_is_like_a_full_disk",
    "tests/store/test_faults.py::test_a_start_that_is_interrupted_leaves_old_or_new",
    "tests/store/test_faults.py::test_damage_in_a_folder_nothing_can_be_moved_in_leaves_it_alone",
    "tests/store/test_faults.py::test_many_processes_start_at_once_on_a_fresh_disk",
    "tests/store/test_faults.py::test_text_that_streamed_when_it_broke_is_brought_over",
    "tests/store/test_faults.py::test_two_processes_write_different_sessions",
    "tests/store/test_faults.py::test_two_processes_write_the_same_session",
    "tests/store/test_faults.py::test_two_windows_that_meet_damage_at_once_set_it_aside_once",
    "tests/store/test_faults.py::test_what_may_not_be_written_is_read",
    "tests/store/test_lease.py::test_a_stopped_process_is_not_dead",
    "tests/store/test_lease.py::test_a_window_that_stays_open_takes_over_from_one_that_died",
    "tests/store/test_lease.py::test_one_wrongly_taken_for_dead_has_the_last_word",
    "tests/store/test_lease.py::test_two_processes_never_answer_in_one_session",
    "tests/store/test_watch.py::test_another_process_is_seen_at_the_next_look",
    "tests/store/test_schema.py::test_it_is_readable_with_sqlite_utils",
    "tests/store/test_schema.py::test_many_processes_open_one_fresh_file_at_once",
    "tests/store/test_schema.py::test_many_processes_upgrade_one_file_at_once",
    "tests/store/test_turns.py::test_ten_megabytes",
)
"""Tests that are of no use in the copy: floods, of which each drop costs too much there; programs, of which
each takes a second; programs started as another user, who may not read it; and a file that would fill the memory."""
