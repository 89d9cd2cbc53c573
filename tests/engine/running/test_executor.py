"""Heavy steps run in children of their own: with their threads, their files, their output, and their death noticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, Rows, Step
from potstill.engine.progress import Silent
from potstill.engine.records import Run
from potstill.engine.running.executor import Local
from potstill.engine.step import Placement
from projects import Project


class Make(Step):
    def run(self) -> Any:
        return [{"n": 1}, {"n": 2}]


class Heavy(Step):
    heavy = True
    rows: Rows
    number: int = 0
    how: str = "well"

    def run(self, rows: Any, context: Any) -> Any:
        context.progress(1, 2, tokens=10, note="half")
        print("printed by the step")
        os.system("echo printed by a program")
        context.logger.info("logged by the step")
        if self.how == "raises":
            raise ValueError("broken")
        if self.how == "leaves":
            os._exit(7)
        if self.how == "long":
            raise ValueError("x" * 300_000)
        return {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "rows": len(rows),
            "threads": os.environ["OMP_NUM_THREADS"],
            "working": context.threads,
        }


class Missing(Heavy):
    preload = ("no_such_module_at_all", "json")


class Placed(Step):
    loads: bool

    def placement(self) -> Placement:
        return Placement(heavy=self.loads, preload=("json",))

    def run(self) -> Any:
        return {"parent": os.getppid()}


@pytest.fixture(scope="module")
def executor() -> Any:
    """One fork server for all tests here: it takes seconds to start."""
    result = Local(jobs=2)
    yield result
    result.close()


@pytest.fixture
def run(tmp_path: Path, executor: Local) -> Callable[..., Run]:
    def go(**outputs: Step) -> Run:
        watcher = outputs.pop("watcher", Silent())
        return Pipeline("p", outputs=outputs).execute(
            store=tmp_path / "store", executor=executor, jobs=2, threads=3, watcher=watcher
        )

    return go


def metrics(run: Run, name: str) -> dict[str, Any]:
    import json

    return dict(json.loads((run[name].path / "metrics.json").read_text()))


def test_a_heavy_step_runs_in_a_child_of_its_own_with_its_threads(run: Any) -> None:
    result = Make()
    process = run(a=Heavy(result), b=Heavy(result, number=1))
    a, b = metrics(process, "a"), metrics(process, "b")
    assert len({a["pid"], b["pid"], os.getpid()}) == 3
    assert a["parent"] == b["parent"] != os.getpid()
    assert (a["rows"], a["threads"], a["working"]) == (2, "3", 3)


def test_a_step_runs_where_its_parameters_place_it(run: Any) -> None:
    done = run(a=Heavy(Make()), b=Placed(loads=True), c=Placed(loads=False))
    assert metrics(done, "a")["parent"] == metrics(done, "b")["parent"] != metrics(done, "c")["parent"]


def test_what_a_child_logs_and_prints_is_kept_in_the_artifact(run: Any, tmp_path: Path) -> None:
    log = (run(a=Heavy(Make()))["a"].path / "log.txt").read_text()
    for line in ("logged by the step", "printed by the step", "printed by a program"):
        assert line in log
    assert not list((tmp_path / "store" / "work").iterdir())


def test_a_child_that_raises_or_leaves_is_a_failure_with_its_log(run: Any, tmp_path: Path) -> None:
    from potstill.engine.inventory import log

    done = run(a=Heavy(Make(), how="raises"), b=Heavy(Make(), how="leaves"), c=Heavy(Make(), how="long"))
    raised, left, long = (done.outputs[name] for name in "abc")
    assert raised.error == "ValueError: broken"
    assert left.error.startswith("its process died: exit code 7. It last printed:")
    assert len(long.error) > 300_000
    for record in (raised, left):
        text = log(str(tmp_path / "store"), record.key)
        assert "printed by the step" in text
        assert "logged by the step" in text
    assert "Traceback" in log(str(tmp_path / "store"), raised.key)


def test_progress_comes_from_the_child_and_a_display_that_fails_hinders_nothing(run: Any) -> None:
    class Watching(Silent):
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def started(self, step: str) -> Any:
            def report(done: int, total: int | None = None, *, tokens: int = 0, note: str = "") -> None:
                self.seen.append((done, total, tokens, note))
                raise BrokenPipeError("the terminal is gone")

            return report

    watching = Watching()
    assert [record.status for record in run(a=Heavy(Make(), number=5), watcher=watching).records] == ["ran", "ran"]
    assert (1, 2, 10, "half") in watching.seen


def test_a_module_that_can_not_be_preloaded_hinders_nothing(run: Any) -> None:
    assert run(a=Missing(Make()))["a"]


SIDE_BY_SIDE = '''
import time
from pathlib import Path

from potstill import Pipeline, Step


class Meets(Step):
    """Ends when its partner has begun: alone it never does."""

    me: str
    other: str
    heavy = HEAVY

    def run(self):
        Path(self.me).touch()
        end = time.monotonic() + 120
        while not Path(self.other).exists():
            assert time.monotonic() < end, "the other step did not run beside this one"
            time.sleep(0.02)
        return {"met": self.other}


a, b = Meets("a", "b"), Meets("b", "a")
pipeline = Pipeline("meeting", outputs={"a": a, "b": b})
'''


@pytest.mark.parametrize("heavy", [False, True], ids=["light", "heavy"])
def test_independent_steps_of_a_users_file_run_side_by_side(tmp_path: Path, heavy: bool) -> None:
    project = Project(tmp_path)
    project.write(SIDE_BY_SIDE.replace("HEAVY", str(heavy)))
    assert set(project.run("--jobs", "2").statuses().values()) == {"ran"}


def test_classes_functions_and_helpers_of_a_users_file_reach_the_child(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("def double(x):\n    return 2 * x\n", "helper_for_children.py")
    project.write(
        "from dataclasses import dataclass\nimport helper_for_children\nfrom potstill import Pipeline, Step\n"
        "@dataclass(frozen=True)\nclass Rule:\n    n: int = 4\n"
        "LIMIT = 3\n"
        "class Base(Step):\n    rule: Rule = Rule()\n    call: object = None\n"
        "    def shared(self):\n        return LIMIT\n"
        "class Child(Base):\n    heavy = True\n    def run(self):\n"
        "        return {'n': helper_for_children.double(self.rule.n) + self.shared() + self.call(1)}\n"
        "end = Child(call=lambda x: x + LIMIT)\n"
        "pipeline = Pipeline('p', outputs={'end': end})\n"
    )
    import json

    path = project.run().step("end")["path"]
    assert json.loads(Path(path, "metrics.json").read_text()) == {"n": 8 + 3 + 4}
