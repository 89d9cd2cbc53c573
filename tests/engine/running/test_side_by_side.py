"""Runs of several steps at once: side by side or alone, interrupted, in an executor of one's own."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from counting import Add, Fails, Make, statuses
from potstill import Rows, Step
from potstill.engine.records import Interrupted
from potstill.engine.running.executor import Local


class Sleeps(Step):
    rows: Rows
    seconds: float = 0.0
    times: Any = ()
    unkeyed = frozenset({"times"})

    def run(self, rows: Any) -> Any:
        self.times.append((self.seconds, "begins"))
        time.sleep(self.seconds)
        self.times.append((self.seconds, "ends"))
        return {"seconds": self.seconds}


def test_independent_branches_run_side_by_side(run: Any) -> None:
    times: list[Any] = []
    result = Make()
    run({"a": Sleeps(result, 1.0, times), "b": Sleeps(result, 1.1, times)}, jobs=2)
    assert [what for _, what in times] == ["begins", "begins", "ends", "ends"]


def test_with_one_job_they_don_t(run: Any) -> None:
    times: list[Any] = []
    result = Make()
    run({"a": Sleeps(result, 0.1, times), "b": Sleeps(result, 0.2, times)}, jobs=1)
    assert [what for _, what in times] == ["begins", "ends", "begins", "ends"]


def test_a_step_that_runs_alone_has_nothing_beside_it(run: Any) -> None:
    class Alone(Sleeps):
        alone = True

    times: list[Any] = []
    result = Make()
    run({"a": Sleeps(result, 0.1, times), "b": Alone(result, 0.2, times), "c": Sleeps(result, 0.3, times)}, jobs=3)
    order = [seconds for seconds, _ in times]
    at = order.index(0.2)
    assert order[at + 1] == 0.2


def test_many_ready_steps_are_not_looked_at_again_and_again(run: Any) -> None:
    class Trivial(Step):
        n: int = 0
        looked: Any = None
        unkeyed = frozenset({"looked"})

        def identity(self) -> dict[str, int]:
            return {}

        def run(self) -> Any:
            return {"n": self.n}

        def __getattribute__(self, name: str) -> Any:
            if name == "n":
                object.__getattribute__(self, "looked").append(1)
            return object.__getattribute__(self, name)

    looked: list[int] = []
    run({str(number): Trivial(number, looked) for number in range(40)})
    assert len(looked) < 40 * 40


def test_an_interrupted_run_says_how_far_it_came_and_the_next_goes_on(run: Any) -> None:
    result = Make()
    with pytest.raises(Interrupted) as stopped:
        run({"end": Fails(result, how=KeyboardInterrupt)})
    assert statuses(stopped.value.run) == ["ran", "skipped"]
    assert stopped.value.run.as_json("interrupted")["status"] == "interrupted"
    assert statuses(run({"end": Add(result)})) == ["hit", "ran"]


def test_an_interrupt_reaches_light_steps_in_threads(run: Any) -> None:
    class Spins(Step):
        rows: Rows
        started: Any = None
        unkeyed = frozenset({"started"})

        def run(self, rows: Any) -> Any:
            self.started.set()
            while True:
                time.sleep(0.01)

    class Stops(Step):
        rows: Rows
        started: Any = None
        unkeyed = frozenset({"started"})

        def run(self, rows: Any) -> Any:
            self.started.wait(100)
            raise KeyboardInterrupt

    started = threading.Event()
    result = Make()
    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run({"a": Spins(result, started), "b": Stops(result, started)}, jobs=2)
    assert time.monotonic() - before < 60
    left = [thread for thread in threading.enumerate() if thread.name.startswith("potstill_")]
    for thread in left:
        thread.join(30)
    assert not any(thread.is_alive() for thread in left)


def test_a_step_that_can_not_be_sent_to_a_child_fails_and_its_twin_too(run: Any) -> None:
    class Stuck(Step):
        heavy = True
        lock: Any = None
        unkeyed = frozenset({"lock"})

        def run(self) -> Any:
            return {}

    lock = threading.Lock()
    done = run({"a": Stuck(lock), "b": Stuck(lock)})
    assert statuses(done) == ["failed", "failed"]
    assert "can't be sent to a child process" in done.records[0].error


def test_an_executor_of_ones_own_is_used_and_left_open(run: Any) -> None:
    class Counting(Local):
        submitted = 0
        closed = 0

        def submit(self, *arguments: Any) -> Any:
            self.submitted += 1
            return super().submit(*arguments)

        def close(self) -> None:
            self.closed += 1

    executor = Counting()
    run({"end": Add(Make())}, executor=executor)
    assert (executor.submitted, executor.closed) == (2, 0)
