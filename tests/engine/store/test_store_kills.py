"""What survives kill -9 and several processes on one store: one test a row."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from potstill.teachers.cache.response_cache import GROUP
from projects import Project, calls, is_running, matrix, payloads, run_of, until


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return matrix(tmp_path)


def die_at_rename(after: bool) -> None:
    """Let the process kill itself when it publishes the labels."""
    rename = Path.rename

    def dying(self: Path, target: Path) -> Path:
        publishing = self.name == "payload" and "PseudoLabel" in (self / "manifest.json").read_text()
        if publishing and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        moved = rename(self, target)
        if publishing:
            os.kill(os.getpid(), signal.SIGKILL)
        return moved

    Path.rename = dying  # type: ignore[method-assign,assignment]


def test_kill_9_in_the_middle_of_a_chunk_costs_at_most_that_chunk(project: Project) -> None:
    project.rows([f"question {number}" for number in range(200)])
    started = project.start("run", "pipe.py", "--set", "teacher.delay=0.01")
    until(lambda: len(calls(project)) >= GROUP + 20, "a finished and a begun chunk")
    assert started.kill().code == -signal.SIGKILL
    asked = len(calls(project))
    assert asked < 200
    project.cli("verify")
    result = project.run()
    assert " ".join(result.statuses().values()) == "hit ran ran ran"
    assert result.step("labels")["rows"] == 200
    repeated = [line for line, times in Counter(calls(project)).items() if times > 1]
    assert len(repeated) <= GROUP
    assert len(set(calls(project))) == 200
    assert len(calls(project)) == 200 + len(repeated)
    killed = payloads(project.store)
    shutil.rmtree(project.store)
    project.run()
    assert payloads(project.store) == killed


@pytest.mark.parametrize("after", [False, True], ids=["between building and the rename", "right after the rename"])
def test_kill_9_around_the_commit(project: Project, after: bool) -> None:
    project.run(code=1, before=partial(die_at_rename, after))  # the step's process dies, and the run says so
    listed = {entry["name"]: entry["status"] for entry in project.cli("ls", "--json").json["artifacts"]}
    assert listed == ({"seeds": "whole", "labels": "whole"} if after else {"seeds": "whole"})
    project.cli("verify")
    assert run_of(project) == ("hit hit ran ran" if after else "hit ran ran ran")
    assert len(calls(project)) == 5
    project.cli("gc")
    assert list((project.store / "work").iterdir()) == []


def test_kill_9_then_an_edited_downstream_step(project: Project) -> None:
    project.rows([f"question {number}" for number in range(150)])
    started = project.start("run", "pipe.py", "--set", "teacher.delay=0.01")
    until(lambda: len(calls(project)) >= GROUP + 5, "a finished chunk")
    started.kill()
    project.edit("text.upper()", "text.title()", "helper.py")
    result = project.run()
    assert " ".join(result.statuses().values()) == "hit ran ran ran"
    assert sum(times > 1 for times in Counter(calls(project)).values()) <= GROUP
    texts = project.values(result, "loud", "text")
    assert len(texts) == 150
    assert all(text[0].isupper() and text[1:] != text[1:].upper() for text in texts)


TRAINING = """
import time
from pathlib import Path

from potstill import Pipeline, Step
from potstill.trainers import HardLabel


class Waits(HardLabel):  # stands still after step 7, the first time

    def run(self, rows, student, context):
        tell = context.progress

        def progress(done, total=None, **more):
            tell(done, total, **more)
            if done == 7 and not Path("stood").exists():
                Path("stood").touch()
                time.sleep(1000)

        context.progress = progress
        return super().run(rows, student, context)


class Lessons(Step):
    makes = "rows"

    def run(self):
        import learning

        return learning.rows(16)


data = Lessons()
student = Waits(data, student="model", epochs=3, batch_size=2, checkpoint_every=3, max_length=256)
pipeline = Pipeline("training", outputs={"student": student})
"""


@pytest.mark.slow
def test_kill_9_in_training_resumes_from_its_checkpoint(project: Project) -> None:
    import tiny

    tiny.causal_lm(project.folder / "model")
    project.write(TRAINING)
    started = project.start("run", "pipe.py")
    until(lambda: started.ended or (project.folder / "stood").exists(), "step 7")
    killed = started.kill()
    assert killed.code == -signal.SIGKILL, killed.err
    resumed = project.run("--only", "student")
    assert resumed.statuses() == {"data": "hit", "student": "ran"}
    log = project.cli("log", resumed.step("student")["key"]).out
    assert "resuming from step 6 of 24" in log
    assert "step 1 of 24" not in log
    interrupted = payloads(project.store)
    shutil.rmtree(project.store)
    project.run()
    assert payloads(project.store) == interrupted


HEAVY = """
import os
import signal
import sys
import time

from potstill import Pipeline, Rows, Step


class Make(Step):
    def run(self):
        return [{"n": 1}]


class Heavy(Step):
    heavy = True
    rows: Rows
    how: str = "well"

    def run(self, rows, context):
        print("loading the model")
        if self.how == "dies":
            if os.fork() == 0:
                time.sleep(1000)  # a left-behind process holds everything open
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "waits":
            with open("pids", "w") as file:
                file.write(f"{os.getpid()} {os.getppid()}\\n")
            time.sleep(1000)
        if self.how == "leaves":
            sys.exit(0)
        return {"rows": len(rows)}


made = Make()
heavy = Heavy(made)
pipeline = Pipeline("heavy", outputs={"heavy": heavy})
"""


def test_a_worker_that_is_killed_is_reported_at_once_with_its_log(project: Project) -> None:
    project.write(HEAVY)
    begun = time.monotonic()
    result = project.run("--set", "heavy.how=dies", code=1)
    assert time.monotonic() - begun < 100  # the left-behind process sleeps 1000 s
    assert result.json["status"] == "failed"
    step = result.step("heavy")
    assert step["status"] == "failed"
    assert "SIGKILL" in step["error"]
    assert "loading the model" in step["error"]
    assert "heavy: failed: its process died" in result.err
    assert "loading the model" in project.cli("log", step["key"]).out
    assert project.run().statuses() == {"made": "hit", "heavy": "ran"}


@pytest.mark.parametrize("victim", [0, 1], ids=["the worker", "the process that starts the workers"])
def test_a_process_killed_from_outside_fails_the_step_and_not_the_next_run(project: Project, victim: int) -> None:
    project.write(HEAVY)
    started = project.start("run", "pipe.py", "--json", "--set", "heavy.how=waits")
    written = project.folder / "pids"
    pids = [
        int(pid)
        for pid in until(lambda: written.exists() and written.read_text().endswith("\n"), "the worker")
        and written.read_text().split()
    ]
    os.kill(pids[victim], signal.SIGKILL)
    result = started.wait(60)
    assert result.code == 1
    assert result.step("heavy")["status"] == "failed"
    assert "died" in result.step("heavy")["error"]
    until(lambda: not is_running(pids[0]) and not is_running(pids[1]), "the end of both processes", 30)


def test_a_step_that_exits_is_a_failure(project: Project) -> None:
    project.write(HEAVY.replace("heavy = True", "heavy = False"))
    result = project.run("--set", "heavy.how=leaves", code=1)
    assert result.step("heavy")["status"] == "failed"
    assert "SystemExit" in result.step("heavy")["error"]


def test_two_processes_on_one_store_make_each_teacher_call_once(project: Project) -> None:
    project.rows([f"question {number}" for number in range(100)])
    both = [project.start("run", "pipe.py", "--json", "--set", "teacher.delay=0.01") for _ in range(3)]
    ended = [started.wait() for started in both]
    assert [result.code for result in ended] == [0, 0, 0], ended
    assert Counter(Counter(calls(project)).values()) == {1: 100}
    for name in ("seeds", "labels", "loud", "count"):
        assert sorted(result.step(name)["status"] for result in ended) == ["hit", "hit", "ran"]
    assert len({json.dumps(result.json["outputs"]) for result in ended}) == 1
    project.cli("verify")


def test_the_lock_of_a_dead_process_is_taken_over(project: Project) -> None:
    project.rows([f"question {number}" for number in range(100)])
    first = project.start("run", "pipe.py", "--set", "teacher.delay=0.05")
    until(lambda: calls(project), "the first call")
    second = project.start("run", "pipe.py", "--json", "--set", "teacher.delay=0")
    until(
        lambda: (
            "waiting for process" in second.output.with_suffix(".err").read_text() or second.ended
            if second.output.with_suffix(".err").exists()
            else False
        ),
        "the second to wait",
    )
    first.kill()
    result = second.wait()
    assert result.code == 0
    assert result.step("labels")["status"] == "ran"
