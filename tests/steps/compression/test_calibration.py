"""Calibration rows never come from a test split, whatever lies between."""

from __future__ import annotations

import pytest

import potstill.steps
from potstill import Pipeline
from potstill.errors import RequestError
from potstill.steps import ClassProbabilities, Concat, LoadRows, QuantizeInt4, Shuffle, Split, Take, WandaPrune
from potstill.steps.compression.base import CalibratedStep
from potstill.trainers import HardLabel

DATA = Split(LoadRows([{"instruction": "a", "output": "b"}] * 10), test=0.5)
CALIBRATED = [
    kind
    for kind in (getattr(potstill.steps, name) for name in sorted(potstill.steps.__all__))
    if isinstance(kind, type) and issubclass(kind, CalibratedStep)
]


def problems_of(step):
    """Return what the step says of test splits."""
    return [problem.message for problem in step.check() if "test split" in problem.message]


@pytest.mark.parametrize("kind", CALIBRATED, ids=lambda kind: kind.__name__)
def test_every_step_that_is_calibrated_refuses_a_test_split(kind):
    needed = {"HeadPrune": {"heads": 1}, "ExpertPrune": {"experts": 2}}.get(kind.__name__, {})
    for rows, wrong in ((DATA.test, True), (DATA.train, False)):
        actual = [
            problem for problem in kind("model", calibration=rows, **needed).check() if "test split" in str(problem)
        ]
        assert bool(actual) is wrong
        assert not actual or "come from the test split of Split" in actual[0].message


def test_steps_between_hide_nothing():
    mixed = Take(Shuffle(Concat([DATA.train, DATA.test])), 4)
    with pytest.raises(RequestError, match="calibration: come from the test split of Split"):
        Pipeline("x", outputs={"model": QuantizeInt4("model", calibration=mixed)}).check()


def test_a_model_that_was_chosen_on_test_rows_may_have_labelled_the_rows():
    chosen = HardLabel(DATA.train, student="model", validation=DATA.test)
    assert not problems_of(WandaPrune("model", calibration=ClassProbabilities(DATA.train, chosen)))
