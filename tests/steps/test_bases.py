"""Steps stand near `Step`: who reads one has two other classes to read at most, and no field twice for the same."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import potstill.steps
from potstill.engine.step import Step

FAMILIES = ("generation", "instructions", "labelling")


def steps() -> Iterator[type[Step]]:
    """Yield the steps of the families, and their bases."""
    for family in FAMILIES:
        package = importlib.import_module(f"{potstill.steps.__name__}.{family}")
        for actual in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(actual.name)).values():
                if isinstance(value, type) and issubclass(value, Step) and value.__module__ == actual.name:
                    yield value


def between(step: type) -> int:
    """Return how many classes stand between `Step` and `step`, on the longest way."""
    return max((1 + between(base) for base in step.__bases__ if issubclass(base, Step) and base is not Step), default=0)


@pytest.mark.parametrize("step", steps(), ids=lambda step: step.__name__)
def test_two_classes_at_most_stand_between_a_step_and_its_root(step: type[Step]) -> None:
    assert between(step) <= 2


@pytest.mark.parametrize("step", steps(), ids=lambda step: step.__name__)
def test_a_field_that_a_base_has_is_declared_again_only_where_it_differs(step: type[Step]) -> None:
    for base in step.__bases__:
        known = {field.name: (field.type, field.default) for field in dataclasses.fields(base)}
        for field in dataclasses.fields(step):
            if field.name in step.__annotations__ and field.name in known:
                assert (field.type, field.default) != known[field.name], field.name
