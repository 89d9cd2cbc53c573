"""Recipes: they check their parameters at once, build steps, and stand for the last one wherever a step belongs."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from dataclasses import KW_ONLY, InitVar
from pathlib import Path
from typing import Annotated, Any

import pytest
from annotated_types import Ge

import running
from potstill import BadInput, Pipeline, Rows, Step
from potstill.engine.graph import build
from potstill.engine.recipe import Recipe, StandIn, built
from potstill.engine.settings import changed
from potstill.errors import BadArguments, Problem


class Numbers(Step):
    """Makes rows."""

    count: int = 2
    makes = "rows"

    def run(self) -> Iterator[dict[str, int]]:
        yield from ({"n": number} for number in range(self.count))


class Add(Step):
    """Adds to each row."""

    rows: Rows
    _: KW_ONLY
    more: int = 1
    makes = "rows"

    def run(self, rows: Any) -> Iterator[dict[str, int]]:
        yield from ({"n": row["n"] + self.more} for row in rows)


class Twice(StandIn):
    """Adds in two steps."""

    rows: InitVar[Rows]
    _: KW_ONLY
    more: InitVar[int] = 1
    times: Annotated[int, Ge(1)] = 2
    """How often."""

    def __post_init__(self, rows: Rows, more: int) -> None:
        self._build(self._steps_of(rows, more), self._odd())

    def _odd(self) -> Iterator[Problem]:
        if self.name == "bad":
            yield Problem("", "name", "is bad")

    def _steps_of(self, rows: Rows, more: int) -> Iterator[Step]:
        for number in range(self.times):
            rows = Add(rows, more=more + number)
            yield rows


class Plain(Recipe):
    """Hands out a step that its reader doesn't see through."""

    rows: Rows

    def __post_init__(self) -> None:
        self._build([Add(self.rows, more=5)])


def test_it_stands_for_its_last_step_in_a_pipeline_and_in_other_steps(tmp_path: Path) -> None:
    twice = Twice(Numbers(), more=10)
    assert running.rows_of(twice, tmp_path) == [{"n": 21}, {"n": 22}]
    assert running.rows_of(Add(twice), tmp_path) == running.rows_of(Add(twice.expanded()), tmp_path)
    assert running.rows_of(Twice(Twice(Numbers(), more=10)), tmp_path) == [{"n": 24}, {"n": 25}]
    assert running.problems_of(twice) == []


def test_a_stand_in_is_read_like_its_step() -> None:
    twice = Twice(Numbers(), more=10, name="sum")
    assert (twice.more, type(twice.rows), twice.rows.more, twice.times) == (11, Add, 10, 2)
    assert twice.expanded().name == "sum" and twice.rows.name is None
    assert copy.deepcopy(twice).more == pickle.loads(pickle.dumps(twice)).more == 11
    with pytest.raises(AttributeError, match="Add has no attribute 'less'"):
        _ = twice.less
    assert not hasattr(Plain(Numbers()), "more") and Plain(Numbers()).expanded().more == 5
    with pytest.raises(AttributeError, match="Twice has no attribute 'more'"):
        _ = object.__new__(Twice).more


def test_a_step_is_itself_and_a_recipe_is_what_it_stands_for() -> None:
    step, twice = Add(Numbers()), Twice(Numbers())
    assert built(step) is step and built(twice) is twice.expanded() is not twice


def test_all_that_is_wrong_with_it_is_said_at_once() -> None:
    with pytest.raises(BadInput) as actual:
        Twice(Numbers(), times=0, name="bad")
    assert str(actual.value).splitlines() == ["bad.times: must be >= 1, got 0", "bad.name: is bad"]
    with pytest.raises(BadInput, match=r"^Twice\.times: must be int, got '2' \(str\)$"):
        Twice(Numbers(), times="2")
    with pytest.raises(BadArguments, match="Twice needs rows="):
        Twice(times=3)
    # what it is given to hold is checked by the steps that hold it
    assert any("needs a step that makes rows" in text for text in running.problems_of(Twice("file.jsonl")))


def test_a_variable_names_the_step_that_a_recipe_stands_for() -> None:
    total = Twice(Numbers())
    graph = Pipeline("p", outputs={"out": total}).graph()
    assert graph.names[id(total.expanded())] == "total"
    assert [type(step) for step in build({"x": total}, {}).steps] == [Numbers, Add, Add]


def test_settings_reach_the_steps_behind_it(tmp_path: Path) -> None:
    first = Numbers()
    total = Twice(first, more=10)
    last = Add(total)
    pipeline = Pipeline("p", outputs={"last": last, "total": total})
    result = changed(pipeline, ["total.more=100", "total.rows.more=1000", "first.count=1"]).outputs
    assert running.rows_of(result["total"], tmp_path) == [{"n": 1100}]
    assert running.rows_of(result["last"], tmp_path) == [{"n": 1101}]


def test_its_help_has_every_parameter() -> None:
    assert "times: How often." in str(Twice.__doc__)
