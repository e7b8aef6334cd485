"""Many processes write one history at once; some are stopped or killed inside a transaction: no turn is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.store.histories import is_whole, rows
from tests.torture.hammer import Plan
from tests.torture.report import Report

ROOT = Path(__file__).parent.parent.parent
PAUSE = 1.0
"""Seconds a process stays stopped inside its transaction, which all others have to wait for."""

WAITING = "History is not saved yet: another process is using it."
"""What is said after a second of waiting, and taken back when it is over."""


def writers(seconds: float, count: int = 16) -> Report:
    """Processes, each of which writes in a session of its own, and whenever that is free in a shared one."""
    report = Report("writers")
    with tempfile.TemporaryDirectory(prefix="palaver-writers-") as name:
        file = Path(name) / "data" / "history.db"
        plans = [Plan(str(file), f"p{number}", seconds, own=1) for number in range(count)]
        _hammer(plans, report)
        _check(file, report)
    return report


def many(seconds: float, counts: Sequence[int] = (2, 4, 16)) -> Report:
    """So many processes, each time with one more that stops and one more that dies in a transaction; in all as long as
    `seconds`."""
    report = Report("many")
    share = seconds / len(counts)
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="palaver-many-") as name:
            file = Path(name) / "data" / "history.db"
            plans = [Plan(str(file), f"p{number}", share, own=1) for number in range(count)]
            plans += [Plan(str(file), "stopped", share, own=1, stop_at=10)]
            plans += [Plan(str(file), "killed", share, own=1, kill_at=12)]
            _hammer(plans, report, lock=file.with_name("history.db.lock"))
            _check(file, report)
    return report


def _hammer(plans: list[Plan], report: Report, lock: Path | None = None) -> None:
    """Run the plans at once. Meanwhile the lock's file, if it is given, is deleted."""
    processes = [subprocess.Popen(plan.command(), cwd=ROOT, stdout=subprocess.PIPE) for plan in plans]
    outputs: list[list[dict[str, Any]]] = [[] for _ in plans]
    threads = [threading.Thread(target=_read, args=pair) for pair in zip(processes, outputs, strict=True)]
    threads += [
        threading.Thread(target=_wake, args=(process, report))
        for plan, process in zip(plans, processes, strict=True)
        if plan.stop_at
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + plans[0].seconds / 2
    if lock is not None:
        while time.monotonic() < deadline:
            time.sleep(0.01)
        lock.unlink(missing_ok=True)
        report.counts["lock files deleted"] += 1
    for thread in threads:
        thread.join()
    for plan, process, output in zip(plans, processes, outputs, strict=True):
        status = process.wait()
        report.counts["processes"] += 1
        if plan.kill_at:
            report.expect(status == -signal.SIGKILL, f"{plan.name} ended with {status}")
            report.counts["killed inside a transaction"] += status == -signal.SIGKILL
        else:
            report.expect(status == 0, f"{plan.name} ended with {status}")
        report.counts["saved turns"] += sum("prompt" in one for one in output)
        for summary in (one for one in output if "calls" in one):
            report.counts["commits"] += summary["commits"]
            report.counts["busy"] += summary["busy"]
            report.figures["longest wait"] = f"{max(summary['longest'], _figure(report)):.2f} s"
            report.counts["warnings that others are writing"] += summary["errors"].count(WAITING)
            errors = [one for one in summary["errors"] if one != WAITING]
            report.expect(not errors, f"{plan.name}: {errors[:3]}")
            report.expect(not summary["unsaved"], f"{plan.name}: not all is saved")
    _told.extend(one for output in outputs for one in output if "prompt" in one)


_told: list[dict[str, Any]] = []


def _figure(report: Report) -> float:
    return float(report.figures.get("longest wait", "0").split()[0])


def _wake(process: subprocess.Popen[bytes], report: Report) -> None:
    """Let a process that has stopped itself go on after a while."""
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    time.sleep(PAUSE)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGCONT)
        report.counts["stopped inside a transaction"] += 1
    else:
        report.wrong.append("a process that was to stop did not")


def _read(process: subprocess.Popen[bytes], output: list[dict[str, Any]]) -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        output.extend(json.loads(line) for line in lines)


def _check(file: Path, report: Report) -> None:
    """Everything that was told is there once, whole and in its place."""
    kept: dict[str, list[tuple[str, str]]] = {}
    for prompt, status, text in rows(
        file,
        "SELECT p.text, t.status, coalesce(a.text, '') FROM turns t JOIN items p ON p.turn_id = t.id AND p.position = 0 "
        "LEFT JOIN items a ON a.turn_id = t.id AND a.position = 1",
    ):
        kept.setdefault(prompt, []).append((status, text))
    for one in _told:
        found = kept.get(one["prompt"], [])
        report.expect(found == [("done", one["text"])], f"{one['prompt']}: {found}")
    _told.clear()
    for label, count, depth in rows(
        file,
        "SELECT s.label, count(*), max(t.depth) + 1 FROM turns t JOIN sessions s ON s.id = t.session_id GROUP BY 1",
    ):
        report.expect(count == depth, f"{label} has {count} turns in {depth} places")
    report.expect(is_whole(file), "the history is not whole")
