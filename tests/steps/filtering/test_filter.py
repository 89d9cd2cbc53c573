"""Filters drop what they should, keep order and types, say why, and never drop everything in silence."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from datasets import Dataset

from fakes import context_in
from filtering import SOURCE, details, numbered, run
from potstill import BadInput, Pipeline, RequestError
from potstill.engine.step import Step
from potstill.steps import Decontaminate, Deduplicate, FilterRows, ValidJSON
from potstill.steps.filtering.deduplicate import DeduplicateEmbedding, DeduplicateNear
from potstill.steps.filtering.filter import SCAN, Objection, json_problem, keep_rows, names, scan
from potstill.steps.filtering.text_quality import LanguageFilter, LengthFilter, RepetitionFilter
from potstill.steps.loading.in_memory import LoadRows


def test_a_function_of_ones_own(tmp_path: Path) -> None:
    step = FilterRows(SOURCE, keep=lambda row: "x" in row["instruction"], reason="no x")
    assert run(step, tmp_path, ["ax", "b", "x"]) == (["r0", "r2"], {"no x": 1})


def test_valid_json(tmp_path: Path) -> None:
    texts = ['{"a": 1}', '{"a": 1', "[1]", '{"b": 1}', '{"a": 1, "b": NaN}', '```json\n{"a": 1}\n```', None]
    left, reasons = run(ValidJSON(SOURCE, keys=("a",)), tmp_path, texts, "output")
    assert left == ["r0"]
    assert reasons == {"invalid JSON": 4, "JSON, but no object": 1, "JSON object lacks a key": 1}
    assert json_problem('{"a": 1, "b": 2}', ("a",), exact=True) == "JSON object has another key"
    assert json_problem("[" * 100_000) == "invalid JSON"
    assert details(tmp_path)["r2"] == "'[1]'"


def test_the_rows_that_stay_keep_their_types(tmp_path: Path) -> None:
    soft = pa.array([[[0.5, 0.25]], [[1.0, 2.0]]], pa.list_(pa.list_(pa.float16())))
    rows = Dataset(pa.table({"output": ["{}", "{"], "n": pa.array([1, 2], pa.int8()), "soft": soft}))
    result = ValidJSON(SOURCE).run(rows=rows, context=context_in(tmp_path))
    assert result.data.table.schema.types[1:] == [pa.int8(), soft.type]
    assert result["n"][:] == [1]


def test_rows_without_an_id_are_called_by_their_number(tmp_path: Path) -> None:
    rows = Dataset.from_dict({"output": ["{}", "{"]})
    ValidJSON(SOURCE).run(rows=rows, context=context_in(tmp_path))
    assert list(details(tmp_path)) == ["1"]


def test_more_rows_than_are_read_at_once_and_rows_out_of_order() -> None:
    rows = numbered([str(number) for number in range(SCAN + 5)]).select(range(SCAN + 4, -1, -1))
    assert [row["instruction"] for row in scan(rows, ["instruction"])][:2] == [str(SCAN + 4), str(SCAN + 3)]
    assert list(names(rows))[-1] == "r0"


def test_a_filter_that_removes_everything_says_which_reason_took_how_many(tmp_path: Path) -> None:
    objections = [Objection("too short", "2 words"), Objection("too short"), Objection("not in en", "de")]
    with pytest.raises(BadInput) as caught:
        keep_rows(numbered(["a", "b", "c"]), context_in(tmp_path), objections)
    said = str(caught.value)
    assert said.startswith("all 3 rows were removed: 2 too short, 1 not in en; the first were r0 (2 words), r1 (too")
    assert details(tmp_path) == {"r0": "2 words", "r1": "", "r2": "de"}


EVERYTHING = LoadRows([{"id": "a", "instruction": "la " * 30, "output": "la " * 30}])


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (FilterRows(EVERYTHING, keep=lambda row: False), "1 dropped by keep"),
        (ValidJSON(EVERYTHING), "1 invalid JSON"),
        (Decontaminate(EVERYTHING, against=EVERYTHING), "1 in the test set"),
        (LengthFilter(EVERYTHING, at_most=3), "1 longer than 3 words"),
        (LanguageFilter(EVERYTHING, languages=("de",), min_confidence=1), "1 in no certain language"),
        (RepetitionFilter(EVERYTHING), "1 characters in the top 2-gram"),
    ],
)
def test_every_filter_says_so_as_a_wrong_request(step: Step, reason: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"step: all 1 rows were removed: {reason}"):
        Pipeline("all", outputs={"filter": step}).run(store=tmp_path)


def test_no_rows_are_no_rows_removed(tmp_path: Path) -> None:
    assert run(ValidJSON(SOURCE), tmp_path, [], "output") == ([], {})


@pytest.mark.parametrize(
    "step",
    [
        ValidJSON(SOURCE),
        Deduplicate(SOURCE),
        DeduplicateNear(SOURCE),
        DeduplicateEmbedding(SOURCE, embeddings="e"),
        FilterRows(SOURCE, keep=bool),
        Decontaminate(SOURCE, against=SOURCE),
        LengthFilter(SOURCE),
        LanguageFilter(SOURCE, languages=("en",)),
        RepetitionFilter(SOURCE),
    ],
    ids=lambda step: type(step).__name__,
)
def test_columns_pass_through(step: Step) -> None:
    assert step.columns({"rows": frozenset({"a"}), "against": None}) == {"a"}
    assert step.estimate({"rows": 5}).rows == 5
    assert list(step.check()) == []
