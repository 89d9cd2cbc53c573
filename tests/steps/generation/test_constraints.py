"""A teacher is held to the forms that it says it gives; others are only told."""

from __future__ import annotations

import pytest

from fakes import EchoTeacher
from potstill.steps.generation.constraints import held, held_to
from potstill.teachers.openai.endpoint import Endpoint
from potstill.teachers.openai.pool import Pool
from potstill.teachers.protocol import Structured

OTHER, VLLM_SERVER = Endpoint("http://127.0.0.1:9/v1", "m"), Endpoint("http://127.0.0.1:9/v1", "m", vllm=True)


@pytest.mark.parametrize(
    ("teacher", "forms"),
    [
        (EchoTeacher(), {"json_schema", "regex", "choice"}),
        (VLLM_SERVER, {"json_schema", "regex", "choice"}),
        (OTHER, {"json_schema"}),
        (Endpoint("http://127.0.0.1:9/v1", "m", api="completions"), set()),
        (Pool([VLLM_SERVER, OTHER]), {"json_schema"}),
    ],
)
def test_each_teacher_is_held_to_what_it_gives(teacher: object, forms: set[str]) -> None:
    wanted = {
        "json_schema": Structured(json_schema="{}"),
        "regex": Structured(regex="a"),
        "choice": Structured(choice=("a",)),
    }
    assert {name for name, form in wanted.items() if held(form, teacher)} == forms


def test_it_can_be_turned_off() -> None:
    assert held_to(("a",), EchoTeacher()) == Structured(choice=("a",))
    assert held_to(("a",), EchoTeacher(), wanted=False) is None
