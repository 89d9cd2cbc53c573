"""Outputs are declared one by one, or named together as before: the same attributes, results and keys."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import pytest

from potstill.engine.code import class_code
from potstill.engine.pipeline import Pipeline
from potstill.engine.progress import Silent
from potstill.engine.step import Output, Rows, RowsOutput, Step
from potstill.errors import RequestError
from potstill.steps import LoadRows, Split


class Halves(Step):
    rows: Rows
    at: float = 0.5
    first = RowsOutput()
    second = RowsOutput(only_with="at", otherwise="Halves(at=0) has no second half")
    makes = "rows"

    def run(self, rows: Any) -> Any:
        middle = int(len(rows) * self.at)
        return {"first": rows.select(range(middle)), "second": rows.select(range(middle, len(rows)))}


class Thirds(Halves):
    third = RowsOutput()

    def run(self, rows: Any) -> Any:
        return {**super().run(rows), "third": rows}


class Named(Step):
    outputs = ("train", "test")

    def run(self) -> Any:
        return {name: [{"part": name}] for name in self.outputs}


ROWS = LoadRows([{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}])


def test_declared_outputs_are_attributes_in_their_order() -> None:
    halves, thirds = Halves(ROWS), Thirds(ROWS)
    assert (Halves.outputs, Thirds.outputs) == (("first", "second"), ("first", "second", "third"))
    assert isinstance(halves.second, Output)
    assert (halves.second.step, halves.second.name) == (halves, "second")
    assert (thirds.first.step, thirds.third.name) == (thirds, "third")
    assert Split.outputs == ("train", "validation", "test")


def test_names_alone_declare_outputs_as_they_did() -> None:
    named: Any = Named()
    assert (named.train.step, named.test.name) == (named, "test")


@pytest.mark.parametrize(
    ("step", "wrong", "message"),
    [
        (Split(ROWS), "tran", "Split has no attribute 'tran'; the nearest output is train"),
        (Halves(ROWS), "secnd", "Halves has no attribute 'secnd'; the nearest output is second"),
        (Named(), "tst", "Named has no attribute 'tst'; the nearest output is test"),
        (Named(), "dev", "Named has no attribute 'dev'; its outputs are train, test"),
        (Halves(ROWS), "third", "Halves has no attribute 'third'; its outputs are first, second"),
        (Halves(ROWS, at=0), "second", r"Halves\(at=0\) has no second half"),
        (Split(ROWS), "validation", r"Split makes no validation set without a share for it: Split\(..., validation="),
        (ROWS, "train", "LoadRows has no attribute 'train'$"),
        (Halves(ROWS), "metrics", "Halves is a step, and nothing has run yet"),
    ],
)
def test_a_wrong_name_is_refused_with_what_is_near(step: Step, wrong: str, message: str) -> None:
    assert not hasattr(step, wrong)
    with pytest.raises(AttributeError, match=message):
        getattr(step, wrong)


def test_a_class_below_may_have_other_outputs_and_use_the_names_for_fields() -> None:
    class Other(Named):
        outputs = ("all",)
        train: int

    other: Any = Other(3)
    assert (other.train, other.all.name) == (3, "all")
    with pytest.raises(AttributeError, match="Other has no attribute 'test'; its outputs are all"):
        _ = other.test


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"outputs": ("first",), "second": RowsOutput()}, "'second' must have a RowsOutput"),
        ({"first": (shared := RowsOutput()), "second": shared}, "'second' must have a RowsOutput"),
        ({"run": RowsOutput()}, "'run' is a parameter or a name of the step"),
        ({"check": RowsOutput()}, "check: is a method that every step has"),
        ({"first": RowsOutput(), "__annotations__": {"first": "object"}}, "'first' is a parameter or a name"),
    ],
)
def test_a_declaration_that_leads_nowhere_else_is_needed(members: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        type("Mine", (Step,), {"__module__": __name__, **members})


def test_declared_outputs_are_stored_by_their_names(tmp_path: Path) -> None:
    thirds = Thirds(ROWS, at=0.25)
    wanted = {"first": thirds.first, "second": thirds.second, "third": thirds.third}
    run = Pipeline("p", outputs=wanted).run(store=tmp_path, watcher=Silent())
    assert {name: run[name].dataset()["n"][:] for name in run} == {
        "first": [1],
        "second": [2, 3, 4],
        "third": [1, 2, 3, 4],
    }
    assert run["first"].manifest["outputs"] == ["first", "second", "third"]


def test_declarations_survive_being_sent_to_another_process() -> None:
    class Here(Halves):
        here = RowsOutput()

    step = cloudpickle.loads(cloudpickle.dumps(Here(ROWS)))
    assert (type(step).outputs, step.here.name) == (("first", "second", "here"), "here")


@pytest.fixture
def code_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], dict[str, str]]]:
    """Return the digests of the code of a user's step whose outputs are declared by the text given."""
    monkeypatch.syspath_prepend(tmp_path)
    text = """
from potstill import Rows, RowsOutput, Step
class Parts(Step):
    rows: Rows
    makes = "rows"
    {}
    def run(self, rows):
        return dict.fromkeys(self.outputs, rows)
"""

    def code(declarations: str) -> dict[str, str]:
        name = f"parts_{len(modules)}"
        (tmp_path / f"{name}.py").write_text(text.format(declarations))
        modules.append(importlib.import_module(name))
        return class_code(modules[-1].Parts)

    modules: list[ModuleType] = []
    yield code
    for module in modules:
        del sys.modules[module.__name__]


def test_both_ways_to_declare_outputs_have_the_same_key(code_of: Callable[[str], dict[str, str]]) -> None:
    named = code_of('outputs = ("first", "second")')
    assert "value of Parts.outputs" in named
    assert code_of("first = RowsOutput()\n    second = RowsOutput()") == named
    assert code_of("first = RowsOutput()\n    second = RowsOutput(only_with='rows', otherwise='none')") == named
    assert code_of("second = RowsOutput()\n    first = RowsOutput()") != named
    assert code_of('outputs = ("first", "third")') != named
