"""The table in README.md and the tests agree: every statement about the five systems has a test named after it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
SYSTEMS = {"genie": 20, "rill": 18, "agent_server": 20, "agenta": 18, "docker": 18}
"""How many statements there are about each system, by what the names of its tests begin with."""

systems = pytest.mark.parametrize("system", SYSTEMS)


@dataclass(frozen=True)
class Row:
    """A statement: what it says, the tests named after it, and why there are none where there are none."""

    says: str
    tests: tuple[str, ...]
    reason: str


@cache
def table() -> dict[tuple[str, int], Row]:
    """All rows, by system and number."""
    found: dict[tuple[str, int], Row] = {}
    system = ""
    for line in (Path(__file__).parent / "README.md").read_text(encoding="utf-8").splitlines():
        begins = re.fullmatch(r"Tests: `test_(\w+)_…`", line)
        row = re.fullmatch(r"\| (\d+) \| (.+) \| (.+) \|", line)
        if begins:
            system = begins[1]
        elif row:
            assert (system, int(row[1])) not in found, line
            reason = row[3].partition("None: ")[2]
            tests = () if reason else tuple(re.findall(r"`(\w+)`", row[3]))
            found[system, int(row[1])] = Row(row[2].strip(), tests, reason.strip())
    return found


@cache
def names() -> frozenset[str]:
    """The names of all tests there are."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in sorted(TESTS.rglob("test_*.py"))]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    found = [node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return frozenset(name for name in found if name.startswith("test_"))


def named_after(name: str) -> set[tuple[str, int]]:
    """The statements a test is named after: "test_rill_4_…", or two of them, "test_genie_15_and_18_…"."""
    match = re.match(rf"test_({'|'.join(SYSTEMS)})_(\d+)_(?:and_(\d+)_)?", name)
    return {(match[1], int(number)) for number in match.groups()[1:] if number} if match else set()


@systems
def test_every_statement_has_a_row_with_a_test_or_a_reason(system: str) -> None:
    numbers = [number for known, number in table() if known == system]
    assert numbers == list(range(1, SYSTEMS[system] + 1))
    for number in numbers:
        row = table()[system, number]
        assert len(row.says) > 10, number
        assert row.tests or len(row.reason) > 10, number


def test_no_row_is_about_anything_else() -> None:
    assert {system for system, _ in table()} == set(SYSTEMS)


@systems
def test_every_test_in_the_table_is_there_and_named_after_its_statement(system: str) -> None:
    for (known, number), row in table().items():
        for name in row.tests if known == system else ():
            assert name in names(), f"{system} {number}: there is no {name}"
            assert (system, number) in named_after(name), f"{system} {number}: {name} is named after another one"


@systems
def test_every_test_named_after_a_statement_is_in_its_row(system: str) -> None:
    missing = {
        (number, name)
        for name in names()
        for known, number in named_after(name)
        if known == system and ((known, number) not in table() or name not in table()[known, number].tests)
    }
    assert missing == set()
