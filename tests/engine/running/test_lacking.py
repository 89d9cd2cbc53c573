"""A step that may lack inputs runs with what is there, says what is not, and is run again once it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import ClassVar

import pytest

import running
from potstill import Metrics, Pipeline, Rows, Step
from potstill.engine.progress import Silent
from potstill.engine.running.executor import Local
from potstill.steps import LoadRows

ROWS = LoadRows([{"a": 1}], name="rows")


class Measure(Step):
    """Measures, or fails while a file stands in its way."""

    rows: Rows
    number: int = 0
    obstacle: str = ""
    heavy: ClassVar[bool] = False
    makes: ClassVar[str] = "metrics"

    def run(self, rows):
        from pathlib import Path

        if self.obstacle and Path(self.obstacle).exists():
            raise ValueError("the file is corrupt")
        return {"number": self.number}


class HeavyMeasure(Measure):
    """Measures in a process of its own."""

    heavy: ClassVar[bool] = True


class After(Step):
    """Measures what another one has measured."""

    before: Metrics
    makes: ClassVar[str] = "metrics"

    def run(self, before):
        return before


class Collect(Step):
    """Takes all that was measured."""

    given: Sequence[Metrics] | Mapping[str, Metrics]
    makes: ClassVar[str] = "metrics"
    may_lack: ClassVar[frozenset[str]] = frozenset({"given"})
    wants_lineage: ClassVar[bool] = True

    def run(self, given, context):
        own = given.values() if isinstance(given, Mapping) else given
        return {"given": list(own), "behind": sorted(one.name for one in context.lineage)}


class Strict(Collect):
    """Needs all of them."""

    may_lack: ClassVar[frozenset[str]] = frozenset()


def run(step, store, place=None):
    """Return the records of all steps, by name, and what the last one made."""
    with closing(place or running.Here()) as executor:
        pipeline = Pipeline("test", outputs={"made": step})
        result = pipeline.execute(store=store, watcher=Silent(), executor=executor)
    made = result.outputs["made"].artifact
    return {record.name: record for record in result.records}, None if made is None else made.metrics


def collected(given, kind=Collect):
    return kind(given if isinstance(given, list) else dict(given), name="collect")


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize("measure", [Measure, HeavyMeasure])
@pytest.mark.parametrize("forks", [False, True])
def test_it_runs_with_what_the_others_made_and_again_when_the_rest_is_there(tmp_path, as_dict, measure, forks):
    obstacle = tmp_path / "obstacle"
    obstacle.touch()
    steps = [measure(ROWS, n, obstacle=str(obstacle) if n == 1 else "", name=f"m{n}") for n in range(3)]
    step = collected(dict(zip("xyz", steps, strict=True)) if as_dict else steps)
    for status in ("ran", "hit"):
        records, made = run(step, tmp_path / "store", Local(forks=forks))
        assert (records["m1"].status, records["collect"].status) == ("failed", status)
        assert [one.get("number") for one in made["given"]] == [0, None, 2]
        assert made["given"][1]["step"] == "m1" and "the file is corrupt" in made["given"][1]["not made"]
        assert made["behind"] == ["m0", "m2", "rows"]
    obstacle.unlink()
    records, made = run(step, tmp_path / "store", Local(forks=forks))
    assert records["collect"].status == "ran"
    assert [one["number"] for one in made["given"]] == [0, 1, 2]
    assert made["behind"] == ["m0", "m1", "m2", "rows"]


def test_a_failure_further_back_is_one_too(tmp_path):
    (tmp_path / "obstacle").touch()
    bad = After(Measure(ROWS, obstacle=str(tmp_path / "obstacle"), name="first"), name="second")
    records, made = run(collected([bad, Measure(ROWS, 1)]), tmp_path / "store")
    assert made["given"][0] == {"step": "second", "not made": "not run: first failed"}
    assert records["second"].status == "skipped"


@pytest.mark.parametrize("kind", [Collect, Strict])
def test_without_any_it_is_not_run_and_one_that_needs_all_never(tmp_path, kind):
    (tmp_path / "obstacle").touch()
    bad = Measure(ROWS, obstacle=str(tmp_path / "obstacle"), name="bad")
    records, made = run(collected([bad] if kind is Collect else [bad, Measure(ROWS, 1)], kind), tmp_path / "store")
    assert made is None
    assert records["collect"].error == "not run: bad failed"
