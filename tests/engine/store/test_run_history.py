"""Each run leaves a history: its plan, and what became of every step, while it goes on and after its end."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, Rows, Step
from potstill.engine.progress import Silent
from potstill.engine.store import run_history
from potstill.engine.store.run_history import History, PlannedStep, histories
from potstill.engine.store.run_records import Origin

KEY = "ab" * 16


class Make(Step):
    n: int = 3

    def run(self) -> Any:
        return [{"n": number} for number in range(self.n)]


class Break(Step):
    rows: Rows

    def run(self, rows: Any) -> Any:
        raise ValueError("no")


class After(Step):
    rows: Rows

    def run(self, rows: Any) -> Any:
        return rows


def run(store: Path, *, breaks: bool = False, n: int = 3) -> None:
    rows = Make(n, name="rows")
    outputs: dict[str, Any] = {"kept": After(rows, name="kept")}
    outputs |= {"lost": After(Break(rows, name="broken"), name="never")} if breaks else {}
    Pipeline("p", outputs=outputs).execute(store=store, watcher=Silent())


def states(history: run_history.RunHistory) -> dict[str, str]:
    return {step.name: step.state for step in history.steps}


def test_a_run_keeps_what_ran_what_was_cached_and_what_failed(tmp_path: Path) -> None:
    run(tmp_path)
    run(tmp_path, breaks=True)
    second, first = histories(tmp_path)
    assert (first.state, states(first)) == ("done", {"rows": "ran", "kept": "ran"})
    assert second.state == "failed"
    assert states(second) == {"rows": "hit", "kept": "hit", "broken": "failed", "never": "skipped"}
    by_name = {step.name: step for step in second.steps}
    assert "ValueError: no" in by_name["broken"].error
    assert by_name["never"].inputs == ("broken",)
    assert first.steps[0].rows == 3
    assert first.outputs == {"kept": "kept"}
    assert first.ended is not None and first.ended >= first.began


def test_a_step_that_waits_is_told_from_one_that_runs_and_says_how_far_it_is(tmp_path: Path) -> None:
    history = History(tmp_path, Origin("p", "p.py", "here"))
    history.planned([PlannedStep("a", "Make"), PlannedStep("b", "After", ("a",))], {"out": "b"})
    history.started("a", KEY)
    history.progressing("a")({"done": 4, "total": 10, "tokens": 0, "note": "loss 1"})
    (seen,) = histories(tmp_path)
    assert (seen.state, states(seen)) == ("running", {"a": "running", "b": "waiting"})
    assert seen.steps[0].progress["done"] == 4
    history.close("interrupted")
    assert states(histories(tmp_path)[0]) == {"a": "stopped", "b": "waiting"}


def _killed(store: Path) -> None:
    history = History(store, Origin("p"))
    history.planned([PlannedStep("a", "Make")], {})
    history.started("a", KEY)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_run_that_was_killed_is_not_taken_for_one_that_goes_on(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_killed, args=(tmp_path,))
    process.start()
    process.join()
    (history,) = histories(tmp_path)
    assert (history.state, states(history)) == ("killed", {"a": "stopped"})


def test_damaged_lines_are_counted_and_a_file_without_a_beginning_is_left_out(tmp_path: Path) -> None:
    run(tmp_path)
    (path,) = (tmp_path / run_history.FOLDER).iterdir()
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"ran"', b'"RAN"', 1))
    (history,) = histories(tmp_path)
    assert history.damaged == 1
    path.write_bytes(b"\x00\xff nothing\n{}")
    assert histories(tmp_path) == []


def test_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_history, "MOST", 2)
    for n in range(4):
        run(tmp_path, n=n)
    assert [history.steps[0].rows for history in histories(tmp_path)] == [3, 2]


def test_a_store_that_refuses_the_history_runs_all_the_same(tmp_path: Path) -> None:
    (tmp_path / run_history.FOLDER).write_text("in the way")
    run(tmp_path)
    assert histories(tmp_path) == []


def test_lines_of_a_forged_history_can_t_lead_elsewhere_or_break_a_reader(tmp_path: Path) -> None:
    history = History(tmp_path, Origin("p"))
    history.planned([PlannedStep("a", "Make")], {})
    history.finished("a", "sunk", key="../../etc", seconds="long", rows="many")  # type: ignore[arg-type]
    history.finished("nobody", "ran", key=KEY)
    history.close("sunk")  # type: ignore[arg-type]
    (seen,) = histories(tmp_path)
    assert (seen.state, states(seen)) == ("running", {"a": "waiting"})
    assert (seen.steps[0].key, seen.steps[0].seconds, seen.steps[0].rows) == ("", 0.0, None)
