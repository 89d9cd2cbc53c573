"""The split depends on each row alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from fakes import context_in
from potstill.errors import BadInput
from potstill.steps import LoadSeeds, Split


def split(tmp_path: Path, rows: dict[str, list[Any]], **parameters: Any) -> dict[str, Dataset]:
    return Split(LoadSeeds("unused"), **parameters).run(rows=Dataset.from_dict(rows), context=context_in(tmp_path))


def ids(count: int) -> dict[str, list[Any]]:
    return {"id": [f"r{number}" for number in range(count)], "x": list(range(count))}


def test_every_row_lands_in_one_part_of_about_the_right_size(tmp_path: Path) -> None:
    parts = split(tmp_path, ids(2000), test=0.2)
    assert sorted([*parts["train"]["x"], *parts["test"]["x"]]) == list(range(2000))
    assert 330 < len(parts["test"]) < 470


def test_adding_or_shuffling_rows_moves_none(tmp_path: Path) -> None:
    few, many = split(tmp_path, ids(200)), split(tmp_path, ids(400))
    assert set(few["test"]["id"]) == {name for name in many["test"]["id"] if int(name[1:]) < 200}
    turned = {name: values[::-1] for name, values in ids(200).items()}
    assert set(split(tmp_path, turned)["test"]["id"]) == set(few["test"]["id"])


def test_the_seed_changes_the_split(tmp_path: Path) -> None:
    assert split(tmp_path, ids(200))["test"]["id"] != split(tmp_path, ids(200), seed=1)["test"]["id"]


def test_rows_without_id_are_hashed_whole_and_equal_values_stay_together(tmp_path: Path) -> None:
    rows = {"text": [f"t{number % 50}" for number in range(300)], "n": list(range(300))}
    whole = split(tmp_path, rows, test=0.3)
    assert {*whole["train"]["text"]} & {*whole["test"]["text"]}
    grouped = split(tmp_path, rows, test=0.3, by="text")
    assert not {*grouped["train"]["text"]} & {*grouped["test"]["text"]}


def test_an_empty_part_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"of 2 rows leaves (train|test) empty"):
        split(tmp_path, ids(2), test=0.001)
    with pytest.raises(BadInput, match="train and test"):
        split(tmp_path, {"id": [], "x": []})


def test_three_parts_with_the_same_test_set(tmp_path: Path) -> None:
    two, three = split(tmp_path, ids(600), test=0.2), split(tmp_path, ids(600), test=0.2, validation=0.3)
    assert two["test"]["id"] == three["test"]["id"]
    assert len(two["validation"]) == 0
    assert 140 < len(three["validation"]) < 220
    assert sorted(x for part in three.values() for x in part["x"]) == list(range(600))


def test_a_validation_set_must_be_asked_for() -> None:
    data = Split(LoadSeeds("unused"), validation=0.1)
    assert (data.validation.name, data.test.name) == ("validation", "test")
    with pytest.raises(AttributeError, match="makes no validation set without a share for it"):
        Split(LoadSeeds("unused")).validation.name  # noqa: B018


def test_strata_have_equal_shares_to_the_row(tmp_path: Path) -> None:
    rows = {"id": [f"r{number}" for number in range(300)], "label": [("a", "b", "b")[n % 3] for n in range(300)]}
    parts = split(tmp_path, rows, test=0.1, validation=0.2, stratified="label")
    assert {name: Counter(part["label"]) for name, part in parts.items()} == {
        "test": {"a": 10, "b": 20},
        "validation": {"a": 20, "b": 40},
        "train": {"a": 70, "b": 140},
    }
    assert split(tmp_path, rows, test=0.1, stratified="label")["test"]["id"] == parts["test"]["id"]


def test_many_small_strata_have_the_right_sum(tmp_path: Path) -> None:
    rows = {"id": list(range(150)), "label": [number % 50 for number in range(150)]}
    parts = split(tmp_path, rows, test=0.1, stratified="label")
    assert len(parts["test"]) == 15
    assert max(Counter(parts["test"]["label"]).values()) == 1


def test_shares_and_columns_that_do_not_go_together() -> None:
    wrong = Split(LoadSeeds("unused"), test=0.5, validation=0.5, by="a", stratified="b")
    assert [problem.field for problem in wrong.check()] == ["validation", "stratified"]
    assert wrong.needs() == {"rows": ["a", "b"]}
