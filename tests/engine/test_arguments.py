"""What people write that a step does not take: named with the nearest name, or taken for what is meant."""

from __future__ import annotations

import os
from typing import Any

import pytest

from potstill.engine.arguments import hint, lists_as_tuples
from potstill.engine.step import Rows, Step
from potstill.errors import BadArguments, NothingHasRun


class Train(Step):
    makes = "rows"
    rows: Rows
    student: str
    learning_rate: float = 0.1
    epochs: int = 3
    classes: tuple[str, ...] = ()

    def run(self, rows: Any) -> Any:
        return rows


class Source(Step):
    makes = "rows"
    outputs = ("train", "test")

    def run(self) -> Any:
        return {"train": [], "test": []}


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("lr", "learning_rate"),
        ("learningrate", "learning_rate"),
        ("epoch", "epochs"),
        ("Student", "student"),
        ("learn", "learning_rate"),
    ],
)
def test_a_misspelt_parameter_names_the_nearest(wrong, nearest):
    with pytest.raises(BadArguments, match=f"Train has no parameter '{wrong}'; the nearest is {nearest}$"):
        Train(Source(), student="x", **{wrong: 1})


def test_a_name_that_is_like_none_lists_them_all():
    assert hint("zzz", ["rows", "student"]) == "; it has rows, student"


def test_all_wrong_names_of_a_call_are_named_together_with_its_line():
    with pytest.raises(BadArguments) as refused:
        Train(Source(), student="x", lr=1, epoch=2)
    first, second = (str(problem) for problem in refused.value.problems)
    assert first.startswith("test_arguments.py line ") and "'lr'" in first and "'epoch'" in second


def test_a_constructor_written_by_hand_is_the_one_that_counts():
    from potstill.steps import Split

    assert Split(Source().train, test=0.2).test_share == 0.2
    with pytest.raises(BadArguments, match=r"Split has no parameter 'tst'; the nearest is test$"):
        Split(Source().train, tst=0.2)


def test_what_is_left_out_is_named():
    with pytest.raises(BadArguments, match=r"Train needs student=\.\.\., which is not given"):
        Train(Source())


@pytest.mark.parametrize(
    "use", [len, list, os.fspath, open, lambda step: step["text"], lambda step: dict(step), lambda step: [*step]]
)
def test_a_step_that_is_used_as_its_result_says_that_nothing_has_run(use):
    with pytest.raises(NothingHasRun, match=r"Source is a step, and nothing has run yet: .*run\["):
        use(Source())


@pytest.mark.parametrize("name", ["path", "to_pandas", "dataset", "metrics"])
def test_so_do_the_attributes_of_results(name):
    for step in (Source(), Source().train):
        with pytest.raises(AttributeError, match=rf"nothing has run yet: .*\.{name}"):
            getattr(step, name)
        assert not hasattr(step, "__array__")
    assert bool(Source())
    assert "has not run" in f"{Source()}"


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (tuple[str, ...], ("a",)),
        (tuple[str, ...] | None, ("a",)),
        (tuple[str, ...] | dict[str, str], ("a",)),
        (list[str], ["a"]),
        (tuple[str, ...] | list[str], ["a"]),
        (Any, ["a"]),
        (None, ["a"]),
    ],
)
def test_a_list_is_a_tuple_where_the_annotation_knows_tuples_only(annotation, expected):
    assert lists_as_tuples(["a"], annotation) == expected
