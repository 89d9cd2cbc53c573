"""`help()` of a step says what each parameter is."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from potstill.engine.field_texts import all_field_texts, field_texts
from potstill.engine.step import Rows, Step
from potstill.trainers import Classifier, HardLabel


class Shout(Step):
    """Writes every text in capitals."""

    rows: Rows
    """Rows with
    texts."""
    suffix: str = "!"
    """What is added."""
    silent: bool = False

    def run(self, rows: Any) -> Any:
        return rows


def test_the_docstring_gains_the_texts_of_the_fields_in_the_constructors_order():
    assert inspect.getdoc(Shout) == (
        "Writes every text in capitals.\n\nArgs:\n    rows: Rows with texts.\n    suffix: What is added.\n"
        "    name: Name in logs, plans and reports; by default that of the variable that holds the step.\n"
        "    cpus: Cores that the step takes, and threads it computes with; None is its share of the run's.\n"
        "    gpus: GPUs that the step's process sees; None is what its parameters ask for, on a machine that has any.\n"
        "    memory: Bytes of main memory that the step takes; None is not counted."
    )


def test_a_class_without_source_has_its_docstring_alone():
    scope: dict[str, Any] = {"Step": Step}
    exec("class Bare(Step):\n    'Does nothing.'\n    size: int = 1\n    'How many.'\n", scope)
    assert field_texts(scope["Bare"]) == {} and scope["Bare"].__doc__.startswith("Does nothing.")


def test_every_parameter_of_a_trainer_has_a_text():
    for trainer in (Classifier, HardLabel):
        named = set(inspect.signature(trainer).parameters)
        assert named - all_field_texts(trainer).keys() == set()


def test_a_class_that_is_no_step_keeps_its_docstring():
    @dataclass
    class Plain:
        """Plain."""

        size: int
        """How many."""

    assert Plain.__doc__ == "Plain." and all_field_texts(Plain) == {"size": "How many."}
