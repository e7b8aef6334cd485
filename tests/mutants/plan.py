"""Which code is mutated, by groups, with the tests that answer for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Group:
    """`files` are mutated, below `tui/`; `tests` are run against each mutant, as far as they touch its function."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


GROUPS = {
    "decoder": Group(
        ("client/sse.py", "client/ndjson.py", "client/reply.py"),
        ("tests/client/test_sse.py", "tests/client/test_ndjson.py", "tests/client/test_reply.py"),
    ),
    "retry": Group(
        ("client/retry.py", "client/verdict.py", "continuity.py"),
        (
            "tests/client/test_retry.py",
            "tests/client/test_verdict.py",
            "tests/client/test_client.py",
            "tests/test_continuity.py",
            "tests/test_conversations.py",
        ),
    ),
    "store": Group(("store/*.py",), ("tests/store",)),
    "gate": Group(("app/gate.py", "text.py"), ("tests/test_text.py", "tests/app/test_gate.py")),
}

LEFT_OUT = {
    "tui.text.x__table": "it runs while its module is imported, before a mutant can be chosen",
}
"""Functions whose mutants say nothing here, and why."""

NOT_RUN = (
    "tests/store/test_faults.py::test_a_file_that_becomes_read_only_while_it_is_open",
    "tests/store/test_faults.py::test_a_folder_that_may_not_be_entered",
    "tests/store/test_faults.py::test_damage_in_a_folder_nothing_can_be_moved_in_leaves_it_alone",
    "tests/store/test_faults.py::test_what_may_not_be_written_is_read",
)
"""Tests that cannot be run in the copy: they start a program as another user, who may not read it."""
