"""An output's name stands for what the last run made of it; several that fit are listed, and none names the nearest."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from potstill import Pipeline, Step
from potstill.engine.inventory import log
from potstill.engine.pipeline import open_store
from potstill.engine.progress import Silent
from potstill.errors import RequestError, StepFailed
from potstill.looking.outputs import key_of, named
from potstill.steps import LoadRows


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for pipeline, number in (("talk", 1), ("talk", 2), ("other", 3)):
        outputs: dict[str, Step] = {"rows": LoadRows([{"a": number}], name="loaded")}
        if pipeline == "talk":
            outputs["tasks"] = LoadRows([{"b": number}], name="written")
        Pipeline(pipeline, outputs=outputs).run(store=tmp_path, watcher=Silent())
    return tmp_path


def rows_of(store: Path, wanted: str) -> list[dict[str, int]]:
    """Return the rows that are meant, as far as the test wrote them."""
    rows = named(open_store(store), wanted)[0].dataset().to_list()
    return [{name: value for name, value in row.items() if name in "ab"} for row in rows]


def test_an_output_of_the_last_run_is_meant(store: Path) -> None:
    assert rows_of(store, "talk:rows") == [{"a": 2}]
    assert rows_of(store, "tasks") == rows_of(store, "talk:tasks") == [{"b": 2}]
    artifact, name = named(open_store(store), "other:rows")
    assert name == "rows"
    assert named(open_store(store), artifact.key[:9]) == (artifact, "loaded")


def test_a_name_that_several_pipelines_have_lists_them(store: Path) -> None:
    with pytest.raises(RequestError, match=r"may be other:rows \(\w+\), talk:rows \(\w+\): give PIPELINE:OUTPUT"):
        named(open_store(store), "rows")


@pytest.mark.parametrize(
    ("wanted", "near"), [("task", "tasks"), ("talk:row", "talk:rows"), ("tallk:tasks", "talk:tasks")]
)
def test_what_is_not_there_names_the_nearest(store: Path, wanted: str, near: str) -> None:
    with pytest.raises(RequestError, match=f"did you mean {near}"):
        named(open_store(store), wanted)


def test_nothing_is_like_it_in_an_empty_store(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no artifact"):
        named(open_store(tmp_path), "student")


def test_a_key_is_meant_by_the_name_of_an_output_a_step_or_by_its_start(store: Path) -> None:
    opened = open_store(store)
    key = named(opened, "talk:tasks")[0].key
    assert {key_of(opened, wanted) for wanted in ("tasks", "talk:tasks", "written", "talk:written", key, key[:9])} == {
        key
    }
    with pytest.raises(RequestError, match=r"may be .*other:.*talk:.*PIPELINE:NAME|may be .*talk:.*other:"):
        key_of(opened, "rows")
    with pytest.raises(RequestError, match="no artifact"):
        key_of(opened, "nothing")


class Fails(Step):
    makes: ClassVar[str] = "rows"

    def run(self) -> list[dict[str, int]]:
        raise ValueError("no luck")


def test_a_step_that_failed_is_meant_too(store: Path) -> None:
    with pytest.raises(StepFailed):
        Pipeline("broken", outputs={"rows": Fails(name="unlucky")}).run(store=store, watcher=Silent())
    key = key_of(open_store(store), "unlucky")
    assert "no luck" in log(str(store), key)
