"""Where a step runs that asks a teacher."""

from __future__ import annotations

from pathlib import Path

from fakes import EchoTeacher
from potstill import Ensemble, Step, Transformers
from potstill.engine.step import Placement
from potstill.models.preload import ENGINE, MODEL
from potstill.steps import Evaluate, HiddenLabels, LoadSeeds, PseudoLabel
from potstill.teachers.placement import placed

OWN = Placement(heavy=True, preload=("own",))


class Copy(Step):
    """A light step that makes a model."""

    makes = "model"

    def run(self) -> Path:
        """Return a folder."""
        return Path()


def test_a_teacher_that_loads_nothing_is_asked_by_the_process_of_the_run() -> None:
    assert placed(EchoTeacher(), OWN) == Placement(heavy=False)


def test_a_teacher_that_loads_a_model_names_what_its_process_imports() -> None:
    assert placed(Transformers("folder"), OWN) == Placement(heavy=True, preload=MODEL)


def test_a_model_by_name_is_loaded_as_the_step_says() -> None:
    assert placed("some/model", OWN) == OWN


def test_the_model_of_a_light_step_is_loaded_by_the_step_that_asks_it() -> None:
    assert placed(Copy(), OWN) == OWN
    for teacher in (Copy(), [EchoTeacher(), Copy()], Ensemble((Copy(), EchoTeacher()))):
        where = PseudoLabel(LoadSeeds("x"), teacher=teacher).placement()
        assert where == Placement(heavy=True, preload=ENGINE, gpus=1)
    assert not list(HiddenLabels(LoadSeeds("x"), teacher=Copy()).check())


def test_an_evaluation_has_a_process_of_its_own_with_no_more_than_its_model_needs() -> None:
    expected = {EchoTeacher(): (), Transformers("folder"): MODEL, "some/model": ENGINE, Copy(): ENGINE}
    for model, modules in expected.items():
        assert Evaluate(model, LoadSeeds("x")).placement() == Placement(heavy=True, preload=modules)
