"""What makes a result new, what leaves it as it is, and what survives damage, kills and full disks: one test a row."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import fakes
from potstill.generate import GROUP
from projects import Project, is_running, payloads, until

PIPELINE = '''
import helper
from fakes import EchoTeacher
from potstill import Pipeline, Rows, Step
from potstill.steps import LoadSeeds, PseudoLabel

MARK = "!"


def ending():
    """Say how a text ends."""
    return "."


def maker(times):
    return lambda text: text * times


twice = maker(2)


class Shout(Step):
    """Makes a text louder."""

    rows: Rows
    suffix: str = ""

    def run(self, rows):
        # one row at a time
        texts = [helper.loud(twice(text)) + MARK + ending() + self.suffix for text in rows["output"]]
        return ({"id": name, "text": text} for name, text in zip(rows["id"], texts))


class Count(Step):
    rows: Rows
    limit: object = 1

    def run(self, rows):
        return {"rows": len(rows)}


teacher = EchoTeacher(log="calls.log")
seeds = LoadSeeds("seeds.jsonl")
labels = PseudoLabel(seeds, teacher=teacher, prompt="prompt.jinja")
loud = Shout(labels)
count = Count(loud)
pipeline = Pipeline("matrix", outputs={"count": count})
'''
HELPER = """
def loud(text):
    return inner(text)


def inner(text):
    return text.upper()
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.write(PIPELINE)
    made.write(HELPER, "helper.py")
    made.write("Answer: {{ instruction }}", "prompt.jinja")
    made.rows([f"question {number}" for number in range(5)])
    return made


def calls(project: Project) -> list[str]:
    return fakes.calls(project.folder / "calls.log")


def run_of(project: Project, *arguments: str) -> str:
    """Run the pipeline; return the first letters of what became of seeds, labels, loud and count."""
    statuses = project.run(*arguments).statuses()
    assert list(statuses) == ["seeds", "labels", "loud", "count"]
    return " ".join(statuses.values())


def test_an_unchanged_pipeline_is_all_hits(project: Project) -> None:
    assert run_of(project) == "ran ran ran ran"
    assert run_of(project) == "hit hit hit hit"
    assert len(calls(project)) == 5


def test_changed_input_data_is_a_miss_and_asks_only_for_what_is_new(project: Project) -> None:
    project.run()
    project.rows([f"question {number}" for number in range(7)])
    assert project.plan()["seeds"] == ["content of path changed"]
    assert run_of(project) == "ran ran ran ran"
    assert len(calls(project)) == 7


def test_the_same_data_under_another_name_is_a_hit(project: Project) -> None:
    project.run()
    (project.folder / "seeds.jsonl").rename(project.folder / "other.jsonl")
    project.edit('"seeds.jsonl"', '"other.jsonl"')
    assert run_of(project) == "hit hit hit hit"


def test_a_changed_system_prompt_is_a_miss(project: Project) -> None:
    project.run()
    assert (
        "parameter teacher.system changed from  to be brief"
        in project.plan("--set", "teacher.system=be brief")["labels"]
    )
    assert run_of(project, "--set", "teacher.system=be brief") == "hit ran ran ran"
    assert len(calls(project)) == 10


def test_a_changed_prompt_template_is_a_miss(project: Project) -> None:
    project.run()
    project.write("Reply: {{ instruction }}", "prompt.jinja")
    assert project.plan()["labels"] == ["prompt template of prompt changed"]
    assert run_of(project) == "hit ran ran ran"
    assert len(calls(project)) == 10


MODEL = """
from potstill import Model, Pipeline, Step


class Weigh(Step):
    model: Model

    def run(self, model):
        from pathlib import Path

        return {"bytes": sum(path.stat().st_size for path in Path(model).iterdir())}


class Hand(Step):
    makes = "model"
    weights: str = "w"

    def run(self, context):
        (context.out / "config.json").write_text("{}")
        (context.out / "model.safetensors").write_text(self.weights)
        return context.out


hand = Hand()
here, made = Weigh("model"), Weigh(hand)
pipeline = Pipeline("weigh", outputs={"here": here, "made": made})
"""


def test_changed_teacher_weights_at_the_same_path_are_a_miss(project: Project) -> None:
    model = project.folder / "model"
    model.mkdir()
    for name, text in (("config.json", "{}"), ("model.safetensors", "1234"), ("README.md", "a card")):
        (model / name).write_text(text)
    project.write(MODEL)
    project.run()
    before = (model / "model.safetensors").stat()
    (model / "model.safetensors").write_text("1235")
    os.utime(model / "model.safetensors", ns=(before.st_atime_ns, before.st_mtime_ns))  # same size, same time
    assert project.plan()["here"] == ["content of model changed"]
    assert project.run().statuses() == {"hand": "hit", "here": "ran", "made": "hit"}
    (model / "README.md").write_text("another card")
    assert project.run().statuses() == {"hand": "hit", "here": "hit", "made": "hit"}
    assert project.run("--set", "hand.weights=v").statuses() == {"hand": "ran", "here": "hit", "made": "ran"}


def test_a_model_given_as_a_path_object_is_keyed_by_content_too(project: Project) -> None:
    model = project.folder / "model"
    model.mkdir()
    for name in ("config.json", "model.safetensors"):
        (model / name).write_text("{}")
    project.write(MODEL.replace('Weigh("model")', 'Weigh(__import__("pathlib").Path("model"))'))
    project.run("--only", "here")
    (model / "model.safetensors").write_text("[]")
    assert project.run("--only", "here").statuses() == {"here": "ran"}


def test_a_changed_endpoint_is_a_miss_and_its_key_and_patience_are_not(project: Project) -> None:
    project.edit('EchoTeacher(log="calls.log")', 'Endpoint("http://127.0.0.1:9/v1", "m", api_key_env="ONE")')
    project.edit("import Pipeline,", "import Endpoint, Pipeline,")

    def key(*settings: str) -> str:
        project.rows(["q"])
        script = (
            "from potstill.loader import *; from potstill.identity import *; import sys, types;"
            "p = changed(load('pipe.py'), sys.argv[1:]); s = next(s for s in p.graph().steps if s.name == 'labels');"
            "print(key_of(step_identity(s, lambda n: types.SimpleNamespace(path='x', digest=lambda o: 'd'), {})))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, "seeds.fields=[\"instruction\"]", *settings],
            cwd=project.folder, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        )  # fmt: skip
        return done.stdout.strip()

    same = key()
    assert key("teacher.base_url=http://127.0.0.1:10/v1") != same
    assert key("teacher.model=n") != same
    assert key("teacher.api_key_env=TWO", "teacher.timeout=5", "teacher.concurrency=2") == same


@pytest.mark.parametrize(
    ("file", "old", "new", "part"),
    [
        ("pipe.py", "maker(2)", "maker(3)", "maker.<locals>.<lambda>.times"),
        ("pipe.py", 'return "."', 'return "?"', "ending"),
        ("helper.py", "text.upper()", "text.title()", "helper.inner"),
        ("pipe.py", 'MARK = "!"', 'MARK = "!!"', "MARK"),
        ("pipe.py", "+ self.suffix", "+ self.suffix + MARK", "Shout.run"),
    ],
    ids=["closure", "helper function", "helper function of another file", "module constant", "method"],
)
def test_changed_code_of_a_users_step_is_a_miss(project: Project, file: str, old: str, new: str, part: str) -> None:
    project.run()
    project.edit(old, new, file)
    reasons = project.plan()["loud"]
    assert len(reasons) == 1, reasons
    assert reasons[0].startswith("code changed: ")
    assert reasons[0].endswith(part)
    assert run_of(project) == "hit hit ran ran"
    assert len(calls(project)) == 5


def test_a_changed_comment_docstring_or_layout_is_a_hit(project: Project) -> None:
    project.run()
    project.edit("# one row at a time", "# all rows at once\n")
    project.edit('"""Makes a text louder."""', '"""Shouts.\n\n    Very loud.\n    """\n')
    project.edit('"""Say how a text ends."""', "")
    project.edit("def loud(text):", "# help\n\n\ndef loud(\n    text,\n):", "helper.py")
    assert run_of(project) == "hit hit hit hit"


def test_a_changed_upstream_parameter_is_a_miss_downstream_only_when_its_result_differs(project: Project) -> None:
    project.run()
    assert run_of(project, "--set", "labels.max_failed=0.5") == "hit ran hit hit"
    assert run_of(project, "--set", "loud.suffix=?") == "hit hit ran ran"
    assert project.plan("--set", "loud.suffix=;")["count"] == ["input loud will be made"]


@pytest.mark.parametrize("value", ['"1"', "True", "1.0", "[1]", "None"])
def test_values_that_look_alike_but_differ_in_type_are_different(project: Project, value: str) -> None:
    project.run()
    project.edit("count = Count(loud)", f"count = Count(loud, limit={value})")
    assert project.run().statuses()["count"] == "ran"


def test_from_a_to_b_and_back_to_a_is_all_hits(project: Project) -> None:
    first = project.run().json["outputs"]
    assert run_of(project, "--set", "teacher.system=b", "--set", "loud.suffix=b") == "hit ran ran ran"
    back = project.run()
    assert set(back.statuses().values()) == {"hit"}
    assert back.json["outputs"] == first
    assert len(calls(project)) == 10


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("manifest.json", cut),
        ("data/part-00000.parquet", cut),
        ("data/part-00000.parquet", flip),
        ("manifest.json", flip),
        ("manifest.json", Path.unlink),
        ("data/part-00000.parquet", Path.unlink),
        ("manifest.json", partial(Path.write_text, data="[]")),
        ("manifest.json", partial(Path.write_text, data='"text"')),
    ],
    ids=["truncated manifest", "truncated payload", "flipped byte", "flipped byte in the manifest", "no manifest",
         "no payload", "manifest of another kind", "manifest that is a text"],
)  # fmt: skip
def test_a_damaged_artifact_is_made_again_with_a_warning(project: Project, file: str, damage: object) -> None:
    first = project.run()
    whole = payloads(project.store)
    labels = first.step("labels")
    damage(Path(labels["path"]) / file)  # type: ignore[operator]
    assert project.cli("verify", "--json", code=1).json["damaged"].keys() == {labels["key"]}
    assert project.plan()["labels"][0].startswith("corrupt: ")
    again = project.run()
    assert " ".join(again.statuses().values()) == "hit ran hit hit"
    assert again.err.count("corrupt") == 1
    assert payloads(project.store) == whole
    assert len(calls(project)) == 5
    project.cli("verify")


# -- kills -------------------------------------------------------------------------------------------------------------


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
    project.run(code=-signal.SIGKILL, before=partial(die_at_rename, after))
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
    assert "going on from step 6 of 24" in log
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
    assert "error: heavy: its process died" in result.err
    assert "loading the model" in project.cli("log", step["key"]).out
    assert project.run().statuses() == {"made": "hit", "heavy": "ran"}


@pytest.mark.parametrize("victim", [0, 1], ids=["the worker", "the process that starts the workers"])
def test_a_process_killed_from_outside_fails_the_step_and_not_the_next_run(project: Project, victim: int) -> None:
    project.write(HEAVY)
    started = project.start("run", "pipe.py", "--json", "--set", "heavy.how=waits")
    written = project.folder / "pids"
    pids = [int(pid) for pid in until(lambda: written.exists() and written.read_text().endswith("\n"), "the worker")
            and written.read_text().split()]  # fmt: skip
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


# -- rows --------------------------------------------------------------------------------------------------------------

FRAGILE = """
from pathlib import Path

from potstill import Pipeline, Rows, Step
from potstill.steps import LoadSeeds


class Fragile(Step):
    rows: Rows
    max_failed: float = 0.0

    def run(self, rows, context):
        return context.each(rows, self.one)

    def one(self, row):
        with open("calls.log", "a") as file:
            file.write(row["id"] + "\\n")
        if "bad" in row["instruction"] and not Path("fixed").exists():
            raise ValueError("a bad row")
        return {"id": row["id"], "output": row["instruction"].upper()}


seeds = LoadSeeds("seeds.jsonl")
labels = Fragile(seeds)
pipeline = Pipeline("fragile", outputs={"labels": labels})
"""


@pytest.mark.parametrize("kind", ["context.each", "PseudoLabel"])
def test_one_bad_row_among_good_ones(project: Project, kind: str) -> None:
    project.rows(["good 0", "good 1", "bad 2", "good 3"])
    if kind == "PseudoLabel":
        project.edit('EchoTeacher(log="calls.log")', 'EchoTeacher(log="calls.log", failing=("bad",), fixed_by="fixed")')
        project.edit('outputs={"count": count}', 'outputs={"labels": labels}')
    else:
        project.write(FRAGILE)
    refused = project.run(code=1)  # by default no row, or one in a hundred, may be lost
    assert "lost 1 of 4 rows" in refused.step("labels")["error"]
    allowed = project.run("--set", "labels.max_failed=0.25")
    assert project.values(allowed, "labels", "id") == ["r0", "r1", "r3"]
    assert "1 rows failed and will be retried by the next run" in allowed.err
    lost = Path(allowed.step("labels")["path"], "lost.jsonl").read_text().splitlines()
    assert [(json.loads(line)["row"], json.loads(line)["state"]) for line in lost] == [("r2", "retryable")]
    assert project.plan("--set", "labels.max_failed=0.25")["labels"] == ["1 rows to retry"]
    asked = Counter(line.split(" ", 1)[-1] for line in calls(project))
    (project.folder / "fixed").touch()
    healed = project.run("--set", "labels.max_failed=0.25")
    assert healed.statuses()["labels"] == "ran"
    assert project.values(healed, "labels", "id") == ["r0", "r1", "r2", "r3"]
    new = Counter(line.split(" ", 1)[-1] for line in calls(project)) - asked
    assert sum(new.values()) == 1  # the bad row alone
    assert set(project.run("--set", "labels.max_failed=0.25").statuses().values()) == {"hit"}


def test_more_bad_rows_than_allowed_fail_the_step_and_keep_the_good_ones(project: Project) -> None:
    project.rows(["good 0", "bad 1", "bad 2", "good 3"])
    project.write(FRAGILE)
    project.run("--set", "labels.max_failed=0.25", code=1)
    (project.folder / "fixed").touch()
    project.run("--set", "labels.max_failed=0.25")
    assert Counter(calls(project)) == {"r0": 1, "r3": 1, "r1": 2, "r2": 2}


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
    until(lambda: "waiting for process" in second.output.with_suffix(".err").read_text() or second.ended
          if second.output.with_suffix(".err").exists() else False, "the second to wait")  # fmt: skip
    first.kill()
    result = second.wait()
    assert result.code == 0
    assert result.step("labels")["status"] == "ran"


# -- disks -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=False, capture_output=True
    ).returncode:
        pytest.skip("no right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)


BIG = """

class Big(Step):
    rows: Rows

    def run(self, rows):
        import random

        draw = random.Random(0)
        return ({"id": str(number), "text": draw.randbytes(1_000_000).hex()} for number in range(8))


big = Big(labels)
pipeline = Pipeline("matrix", outputs={"big": big})
"""


def test_a_full_disk_is_a_clear_error_and_the_store_stays_intact(project: Project, disk: Path) -> None:
    project.write(PIPELINE + BIG)
    store = ["--store", str(disk / "store")]
    result = project.run(*store, code=2)
    assert result.statuses() == {"seeds": "ran", "labels": "ran", "big": "failed"}
    assert "the disk is full" in result.step("big")["error"]
    assert "potstill gc" in result.err
    project.cli("verify", *store)
    remount(disk, "size=60m")
    assert project.run(*store).statuses() == {"seeds": "hit", "labels": "hit", "big": "ran"}
    assert len(calls(project)) == 5
    project.cli("verify", *store)


def test_a_disk_that_fills_up_while_the_teacher_answers_keeps_what_was_answered(project: Project, disk: Path) -> None:
    project.rows([f"question {number}" for number in range(1000)])
    project.edit('EchoTeacher(log="calls.log")', 'EchoTeacher(log="calls.log", words=500)')
    store = ["--store", str(disk / "store")]
    result = project.run(*store, code=2)
    assert result.statuses()["labels"] == "failed"
    assert "free space" in result.step("labels")["error"]
    project.cli("verify", *store)
    remount(disk, "size=60m")
    project.run(*store)
    assert sum(times > 1 for times in Counter(calls(project)).values()) <= 2 * GROUP
    assert len(set(calls(project))) == 1000


def test_an_all_cached_run_on_a_full_disk_works(project: Project, disk: Path) -> None:
    store = ["--store", str(disk / "store")]
    project.run(*store)
    with (disk / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(bytes(4096))
    assert run_of(project, *store) == "hit hit hit hit"


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


def test_a_file_that_may_not_grow_is_a_clear_error_and_the_store_stays_intact(project: Project) -> None:
    project.write(PIPELINE + BIG)
    result = project.run(code=2, before=limit_files)
    assert result.statuses() == {"seeds": "ran", "labels": "ran", "big": "failed"}
    assert "can't be written" in result.step("big")["error"]
    project.cli("verify")
    assert project.run().statuses() == {"seeds": "hit", "labels": "hit", "big": "ran"}


def test_a_read_only_store_is_a_clear_error_and_serves_what_it_has(project: Project, disk: Path) -> None:
    store = ["--store", str(disk / "store")]
    project.run(*store)
    remount(disk, "ro")
    assert run_of(project, *store) == "hit hit hit hit"
    project.cli("plan", "pipe.py", *store)
    project.cli("verify", *store)
    refused = project.run(*store, "--set", "teacher.system=x", code=2)
    assert refused.statuses()["labels"] == "failed"
    assert "read-only: choose another with --store" in refused.step("labels")["error"]
    assert len(calls(project)) == 5
    remount(disk, "rw")
    assert run_of(project, *store, "--set", "teacher.system=x") == "hit ran ran ran"


def test_a_store_that_is_no_folder_is_a_clear_error(project: Project) -> None:
    (project.folder / "file").write_text("x")
    result = project.run("--store", "file", code=2)
    assert "can't be written" in result.err
    assert "choose another" in result.err


def test_an_error_of_the_users_own_files_is_not_blamed_on_the_store(project: Project) -> None:
    project.edit("# one row at a time", 'open("nowhere.txt")')
    result = project.run(code=1)
    assert "FileNotFoundError" in result.step("loud")["error"]
    assert "the store" not in result.step("loud")["error"]
