"""Figures: what was measured, beside its floor, held against its goal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


def quantile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least `share` of them do not exceed; not a number where there is none."""
    if not samples:
        return math.nan
    return sorted(samples)[max(0, math.ceil(share * len(samples)) - 1)]


STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "median": lambda samples: median(samples) if samples else math.nan,
    "p95": lambda samples: quantile(samples, 0.95),
    "p99": lambda samples: quantile(samples, 0.99),
    "worst": lambda samples: max(samples, default=math.nan),
}


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    The goal is that the `statistic` of the samples is at most `limit`, or at most `times` the floor's median. A figure
    without a goal informs. `trouble` says why there is no sample.
    """

    row: str
    work: str
    unit: str
    samples: tuple[float, ...] = ()
    floor: tuple[float, ...] = ()
    floor_is: str = ""
    statistic: str = "median"
    limit: float | None = None
    times: float | None = None
    trouble: str = ""
    who: str = "palaver"

    @property
    def median(self) -> float:
        return STATISTICS["median"](self.samples)

    @property
    def p95(self) -> float:
        return STATISTICS["p95"](self.samples)

    @property
    def floor_median(self) -> float:
        return STATISTICS["median"](self.floor)

    @property
    def ratio(self) -> float:
        return self.median / self.floor_median if self.floor and self.floor_median else math.nan

    @property
    def goal(self) -> str:
        if self.limit is not None:
            return f"{self.statistic} ≤ {self.limit:g} {self.unit}".rstrip()
        if self.times is not None:
            return f"{self.statistic} ≤ {self.times:g} × floor"
        return ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none, or nothing to hold against it."""
        bound = self.limit if self.limit is not None else None
        if bound is None and self.times is not None:
            bound = self.times * self.floor_median
        if bound is None or not self.samples or math.isnan(bound):
            return None
        return STATISTICS[self.statistic](self.samples) <= bound

    def as_json(self) -> dict[str, Any]:
        """All of it, with what follows from it."""
        derived = {"median": self.median, "p95": self.p95, "floor_median": self.floor_median, "ratio": self.ratio}
        plain = {name: None if math.isnan(value) else value for name, value in derived.items()}
        return asdict(self) | plain | {"goal": self.goal, "met": self.met}


@dataclass
class Samples:
    """Samples as they come in, by name, in rounds."""

    taken: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, *values: float) -> None:
        self.taken.setdefault(name, []).extend(values)

    def of(self, name: str) -> tuple[float, ...]:
        return tuple(self.taken.get(name, ()))


def number(value: float) -> str:
    """A figure in three digits."""
    if math.isnan(value):
        return "–"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def table(figures: Sequence[Figure]) -> str:
    """The figures as text."""
    head = ("row", "work", "who", "unit", "median", "p95", "floor", "ratio", "n", "goal", "met")
    lines = [head]
    for figure in figures:
        met = {None: "", True: "yes", False: "NO"}[figure.met]
        lines.append(
            (
                figure.row,
                figure.work,
                figure.who,
                figure.unit,
                number(figure.median),
                number(figure.p95),
                number(figure.floor_median),
                number(figure.ratio),
                str(len(figure.samples)),
                figure.goal,
                met if not figure.trouble else figure.trouble,
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(head) - 1)]
    rows = []
    for line in lines:
        cells = [
            cell.rjust(width) if 4 <= column <= 8 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=False))
        ]
        rows.append("  ".join([*cells, line[-1]]).rstrip())
    return "\n".join(rows)
