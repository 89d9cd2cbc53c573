"""What makes a result new, and what leaves it as it is: one test a row."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import projects
from projects import Project, calls, matrix, run_of


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return matrix(tmp_path)


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
            "from potstill.engine.loader import *; from potstill.engine.settings import *;"
            "from potstill.engine.keys.identity import *;"
            "import sys, types; given = sys.argv[1:]; p = changed(load('pipe.py'), given);"
            "s = next(s for s in p.graph().steps if s.name == 'labels');"
            "print(key_of(step_identity(s, lambda n: types.SimpleNamespace(path='x', digest=lambda o: 'd'), {})))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, 'seeds.fields=["instruction"]', *settings],
            cwd=project.folder,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(Path(projects.__file__).parent)},
        )
        return done.stdout.strip()

    same = key()
    assert key("teacher.base_url=http://127.0.0.1:10/v1") != same
    assert key("teacher.model=n") != same
    assert key("teacher.api_key_env=TWO", "teacher.timeout=5", "teacher.concurrency=2") == same


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("pipe.py", "maker(2)", "maker(3)", "value of maker.<locals>.<lambda>.times changed"),
        ("pipe.py", 'return "."', 'return "?"', "code changed: ending"),
        ("helper.py", "text.upper()", "text.title()", "code changed: inner"),
        ("pipe.py", 'MARK = "!"', 'MARK = "!!"', "value of MARK changed"),
        ("pipe.py", "+ self.suffix", "+ self.suffix + MARK", "code changed: Shout.run"),
    ],
    ids=["closure", "helper function", "helper function of another file", "module constant", "method"],
)
def test_changed_code_of_a_users_step_is_a_miss(project: Project, file: str, old: str, new: str, reason: str) -> None:
    project.run()
    project.edit(old, new, file)
    assert project.plan()["loud"] == [reason]
    assert run_of(project) == "hit hit ran ran"
    assert len(calls(project)) == 5


def test_a_changed_comment_docstring_or_layout_is_a_hit(project: Project) -> None:
    project.run()
    project.edit("# one row at a time", "# all rows at once\n")
    project.edit('"""Makes a text louder."""', '"""Shouts.\n\n    Very loud.\n    """\n')
    project.edit('"""Return how a text ends."""', "")
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
