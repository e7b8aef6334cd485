"""Which rows of the fault catalogue have a test: `python -m tests.faults`."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent


def catalogue() -> dict[str, str]:
    """All rows, by number."""
    return dict(tomllib.loads((HERE / "faults.toml").read_text(encoding="utf-8"))["rows"])


def reasons() -> dict[str, str]:
    """Rows that need no test, with the reason."""
    return dict(tomllib.loads((HERE / "faults.toml").read_text(encoding="utf-8"))["reasons"])


def claimed() -> dict[str, list[str]]:
    """The tests that name each row with `@pytest.mark.fault`."""
    found: dict[str, list[str]] = {}
    for file in sorted(HERE.rglob("test_*.py")):
        for name, numbers in _marked(ast.parse(file.read_text(encoding="utf-8"))):
            for number in numbers:
                found.setdefault(number, []).append(f"{file.relative_to(HERE)}::{name}")
    return found


def _marked(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault":
                    yield node.name, [str(ast.literal_eval(argument)) for argument in decorator.args]


def main() -> int:
    """Print the report; the status is 1 where a test names a row there is not."""
    rows, why, tests = catalogue(), reasons(), claimed()
    for number, text in rows.items():
        if number in tests:
            print(f"tested   {number}  {text}  [{len(tests[number])}]")
        elif number in why:
            print(f"reason   {number}  {text}: {why[number]}")
        else:
            print(f"open     {number}  {text}")
    covered = sum(number in tests for number in rows)
    print(f"\n{covered} of {len(rows)} rows tested, {sum(n in why and n not in tests for n in rows)} with a reason, "
          f"{sum(n not in tests and n not in why for n in rows)} open")  # fmt: skip
    unknown = sorted(set(tests) - set(rows))
    if unknown:
        print(f"tests name rows there are not: {', '.join(unknown)}")
    return bool(unknown)


if __name__ == "__main__":
    sys.exit(main())
