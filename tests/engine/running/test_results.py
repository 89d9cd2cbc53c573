"""Metrics are plain JSON, whatever made their numbers; no rows at all have the columns that the step promised."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset, DatasetDict

from potstill import Rows, Step
from potstill.engine.running import results
from potstill.errors import BadInput, RequestError
from potstill.steps.loading.in_memory import LoadRows
from running import artifact_of, rows_of


class Color(enum.IntEnum):
    """A number with a name."""

    RED = 1


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.array(1.5), 1.5),
        (np.str_("x"), "x"),
        ((1, None), [1, None]),
        (Color.RED, 1),
        ({np.int64(1): {"a": np.float16(0.5)}, 2: "x", 0.5: 1}, {"1": {"a": 0.5}, "2": "x", "0.5": 1}),
        (float("nan"), None),
        ([np.float32("inf")], [None]),
    ],
)
def test_metrics_are_plain_json(given: Any, plain: Any) -> None:
    result = results.metrics({"m": given})
    assert result == {"m": plain}
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_torch_numbers_are_numbers() -> None:
    import torch

    assert results.metrics({"m": torch.tensor(2.5), "n": [torch.tensor([1, 2])]}) == {"m": 2.5, "n": [[1, 2]]}


def test_what_has_no_place_in_metrics_is_named_all_at_once() -> None:
    given = {
        "a": {1, 2},
        "b": {"c": [object]},
        "train": Dataset.from_dict({"a": [1]}),
        "frame": pd.DataFrame({"a": [1]}),
        "half": "\ud83d",
        (1, 2): 1,
        "twice": {1: 1, "1": 2},
    }
    with pytest.raises(BadInput) as error:
        results.metrics(given)
    text = str(error.value)
    for part in (
        "metric a is a set",
        "metric b.c[0] is a type",
        "metric half holds half",
        "(1, 2) is named by",
        "metric train is a Dataset",
        "several as `outputs`",
        "metric frame is a DataFrame",
        "metric twice.1 is there twice",
    ):
        assert part in text, part


class Splits(Step):
    """Returns several sets of rows without having said so."""

    def run(self) -> Any:
        return DatasetDict({"train": Dataset.from_dict({"a": [1]})})


def test_several_sets_of_rows_are_outputs_not_metrics(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="several as `outputs`"):
        artifact_of(Splits(), tmp_path)


class Longer(Step):
    """Keeps long texts and counts their words."""

    rows: Rows
    least: int = 100

    def columns(self, inputs: Any) -> frozenset[str] | None:
        known = inputs["rows"]
        return None if known is None else known | {"words", "note"}

    def run(self, rows: Dataset) -> Iterator[dict[str, Any]]:
        for row in rows:
            if len(row["text"]) > self.least:
                yield {**row, "words": len(row["text"].split()), "note": None}


def test_no_rows_at_all_have_the_columns_that_the_step_promised(tmp_path: Path) -> None:
    result = artifact_of(Longer(LoadRows([{"text": "short", "id": "a"}])), tmp_path).dataset()
    assert (len(result), result.column_names) == (0, ["text", "id", "note", "words"])
    assert rows_of(Longer(LoadRows([{"text": "short", "id": "a"}]), least=1), tmp_path)[0]["words"] == 1
