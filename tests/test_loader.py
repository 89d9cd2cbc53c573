"""The pipeline of a file, and `--set` with the nearest name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from potstill.errors import RequestError
from potstill.loader import changed, load
from potstill.pipeline import Pipeline

TEXT = """
from dataclasses import dataclass
from typing import Any

from potstill import Pipeline, Rows, Step


@dataclass(frozen=True)
class Teacher:
    model: Any = "small"
    scale: float = 1.0
    heavy = False

    def identity(self):
        return {"model": self.model}


class Make(Step):
    n: int = 3
    text: str = "x"
    words: tuple = ("a",)
    teacher: Any = None

    def __post_init__(self):
        object.__setattr__(self, "prepared", self.n * 2)

    def run(self):
        return [{"n": 1}]


class Use(Step):
    rows: Rows
    teacher: Any = None
    outputs = ("left", "right")
    right_share: float = 0.5
    spelled = {"right": "right_share"}

    def run(self, rows):
        return {"left": rows, "right": rows}


teacher = Teacher()
made = Make(teacher=teacher)
used = Use(made, teacher=teacher)
last = Use(used.left)
pipeline = Pipeline("loaded", outputs={"last": last.right, "made": made})
"""


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("potstill_pipeline"):
            del sys.modules[name]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "loaded.py"
    path.write_text(TEXT)
    return path


def steps(pipeline: Pipeline) -> dict[str, Any]:
    graph = pipeline.graph()
    return {graph.name(step): step for step in graph.steps}


def test_the_one_pipeline_of_a_file_is_found_and_its_variables_name_the_steps(file: Path) -> None:
    assert list(steps(load(str(file)))) == ["made", "used", "last"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "has no pipeline: it needs a line like"),
        (
            TEXT + "\nother = Pipeline('other', outputs={'made': made})",
            "has several pipelines: say which.*pipeline, other",
        ),
        (TEXT + "\n1 / 0", r"raises ZeroDivisionError: division by zero \(line 48\)"),
        ("def (:", r"raises SyntaxError: invalid syntax \(loaded.py, line 1\)$"),
        ("import nowhere_to_be_found", r"ModuleNotFoundError.*\(line 1\)"),
        ("from potstill import RequestError\nraise RequestError('mine')", "^mine$"),
    ],
    ids=["none", "two", "raises", "syntax", "import", "request"],
)
def test_a_file_that_holds_no_one_pipeline_is_refused(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(RequestError, match=message):
        load(str(file))


def test_a_pipeline_may_be_named_and_have_two_names(file: Path) -> None:
    file.write_text(TEXT + "\nother = Pipeline('other', outputs={'made': made})")
    assert load(f"{file}:other").name == "other"
    with pytest.raises(RequestError, match="no pipeline 'third'; it has pipeline, other"):
        load(f"{file}:third")
    file.write_text(TEXT + "\nagain = pipeline")
    assert load(str(file)).name == "loaded"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no pipeline file"):
        load(str(tmp_path / "nowhere.py"))


def test_a_helper_beside_the_file_can_be_imported(file: Path) -> None:
    (file.parent / "helper_of_loaded.py").write_text("N = 5")
    file.write_text(TEXT.replace("Make(teacher", "Make(__import__('helper_of_loaded').N, teacher"))
    assert steps(load(str(file)))["made"].n == 5


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("made.n=5", 5),
        ("made.n=five", "five"),
        ("made.text=5", "5"),
        ("made.text=true", "true"),
        ("made.text=a=b", "a=b"),
        ('made.text="q"', "q"),
        ('made.words=["b", "c"]', ("b", "c")),
        ("made.teacher=null", None),
    ],
)
def test_a_value_is_json_or_a_text_of_the_kind_that_fits(file: Path, setting: str, value: object) -> None:
    name = setting.split("=")[0].split(".")[1]
    found = getattr(steps(changed(load(str(file)), [setting]))["made"], name)
    assert (found, type(found)) == (value, type(value))


def test_a_teacher_is_changed_wherever_it_is_used(file: Path) -> None:
    pipeline = load(str(file))
    after = steps(changed(pipeline, ["teacher.model=big", "teacher.scale=2", "made.n=7"]))
    assert after["made"].teacher.model == after["used"].teacher.model == "big"
    assert type(after["made"].teacher.scale) is float
    assert (after["used"].rows, after["last"].rows.step, after["made"].n) == (after["made"], after["used"], 7)
    assert steps(pipeline)["made"].n == 3  # the file's own is as it was


def test_a_parameter_whose_name_is_an_outputs_goes_by_it(file: Path) -> None:
    assert steps(changed(load(str(file)), ["used.right=0.25"]))["used"].right_share == 0.25


def test_a_step_is_prepared_anew(file: Path) -> None:
    assert steps(changed(load(str(file)), ["made.n=7"]))["made"].prepared == 14


def test_a_parameter_of_the_teacher_of_one_step_alone(file: Path) -> None:
    after = steps(changed(load(str(file)), ["made.teacher.model=big"]))
    assert (after["made"].teacher.model, after["used"].teacher.model) == ("big", "small")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("made.m=5", r"--set made.m: there is no such parameter; the nearest is made.n"),
        ("teachr.model=5", "the nearest is teacher.model"),
        ("made=5", "there is no such parameter; the nearest is made"),
        ("teacher.model.size=5", "there is no such parameter"),
        ("made.n", "--set takes path=value, got 'made.n'"),
    ],
)
def test_an_unknown_path_is_refused_with_the_nearest_one(file: Path, setting: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        changed(load(str(file)), [setting])


def test_all_unknown_paths_come_together(file: Path) -> None:
    with pytest.raises(RequestError) as refused:
        changed(load(str(file)), ["made.m=1", "made.n=2", "usd.rows=3"])
    assert len(refused.value.problems) == 2


def test_settings_change_nothing_in_the_names_or_keys_of_other_steps(file: Path) -> None:
    pipeline = load(str(file))
    assert list(steps(changed(pipeline, ["used.teacher=null"]))) == list(steps(pipeline))
