"""No step replaces a column of its rows in silence: it says so by name, or keeps it by a rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fakes import EchoTeacher
from potstill import Step
from potstill.errors import RequestError
from potstill.steps import (
    Backtranslate,
    ClassifyWithTeacher,
    Consensus,
    CosineSimilarity,
    Decode,
    DetectClassification,
    Embed,
    EncodeInstructions,
    FewShotPrompt,
    JudgePairsWithPrompt,
    LabelingFunctions,
    LoadRows,
    Map,
    ProcessWithPrompt,
    Prompt,
    PseudoLabel,
    RAGPrompt,
    RankWithPrompt,
    RunTaskModel,
    ScoreText,
    StructuredGeneration,
    WriteInstances,
)
from running import problems_of, rows_of
from scripted import Scripted, asks, run

ECHO = EchoTeacher()
BASE = {"id": "1", "instruction": "a", "text": "b", "first": "x", "second": "y", "is_classification": True}
STEPS: dict[str, tuple[Callable[[Any], Step], tuple[str, ...]]] = {
    "Prompt": (lambda rows: Prompt(rows, teacher=ECHO, n=2, temperature=1.0), ("output", "sample")),
    "Prompt into": (lambda rows: Prompt(rows, teacher=ECHO, output="reply"), ("reply",)),
    "Process": (lambda rows: ProcessWithPrompt(rows, teacher=ECHO, instruction="Go.", column="text"), ("output",)),
    "Structured": (
        lambda rows: StructuredGeneration(rows, teacher=ECHO, regex="(?P<hours>[0-9]+) h"),
        ("output", "hours"),
    ),
    "PseudoLabel": (
        lambda rows: PseudoLabel(rows, teacher=ECHO, samples=2, temperature=0.7),
        ("answer", "confidence", "votes"),  # an output that is there becomes the reference
    ),
    "Classify": (
        lambda rows: ClassifyWithTeacher(rows, teacher=ECHO, classes=("a", "b")),
        ("label", "confidence", "probabilities"),
    ),
    "Judge": (
        lambda rows: JudgePairsWithPrompt(rows, teacher=ECHO, first="first", second="second"),
        ("verdict", "agreed"),
    ),
    "Rank": (lambda rows: RankWithPrompt(rows, teacher=ECHO, criterion="Good.", column="grade"), ("grade",)),
    "Backtranslate": (
        lambda rows: Backtranslate(rows, teacher=ECHO, column="text"),
        ("instruction", "output", "score"),
    ),
    "Thoughts": (
        lambda rows: Prompt(rows, teacher=ECHO, reasoning="thoughts"),
        ("output", "thoughts"),
    ),
    "Instances": (lambda rows: WriteInstances(rows, teacher=ECHO), ("input", "output")),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_column_that_would_be_replaced_is_named_with_the_remedy_before_anything_runs(name: str) -> None:
    make, new = STEPS[name]
    free = {column: value for column, value in BASE.items() if column not in new}
    assert not [text for text in problems_of(make(LoadRows([free]))) if "already" in text]
    for column in new:
        actual = [text for text in problems_of(make(LoadRows([{**free, column: "mine"}]))) if "already" in text]
        assert len(actual) == 1
        assert f"has a column {column} already" in actual[0]
        assert f'Rename(rows, {{"{column}": "earlier_{column}"}})' in actual[0]


def others(rows: Any) -> dict[str, tuple[Step, tuple[str, ...]]]:
    """Return steps that take more than rows, with the columns that they add."""
    return {
        "Embed": (Embed(rows, "text", "model"), ("embedding",)),
        "CosineSimilarity": (CosineSimilarity(rows, "first", "second", output="alike"), ("alike",)),
        "RunTaskModel": (RunTaskModel(rows, model="model"), ("label", "score", "probabilities")),
        "Consensus": (Consensus(rows), ("votes", "samples")),
        "LabelingFunctions": (LabelingFunctions(rows, functions=[len]), ("label", "confidence", "votes")),
        "ScoreText": (ScoreText(rows, teacher=ECHO), ("logprob", "tokens", "mean_logprob")),
        "FewShotPrompt": (FewShotPrompt(rows, rows, teacher=ECHO), ("output",)),
        "RAGPrompt": (RAGPrompt(rows, rows, teacher=ECHO, encoder="model"), ("output", "passage_ids")),
        "EncodeInstructions": (EncodeInstructions(rows), ("task",)),
        "DetectClassification": (DetectClassification(rows, teacher=ECHO), ("is_classification",)),
    }


@pytest.mark.parametrize("name", others(LoadRows([{"instruction": "a"}])))
def test_steps_with_models_and_functions_say_so_too(name: str) -> None:
    step, new = others(LoadRows([{"instruction": "a"}]))[name]
    free = frozenset({"id", "instruction", "text", "first", "second"}) - set(new)
    result = step.columns({"rows": free})
    assert result is not None
    assert result >= free | set(new)
    for column in new:
        with pytest.raises(RequestError, match=f"has a column {column} already"):
            step.columns({"rows": free | {column}})


def test_a_parameter_that_gives_another_name_is_named_too() -> None:
    rows = LoadRows([{"instruction": "a", "output": "b"}])
    (text,) = problems_of(Prompt(rows, teacher=ECHO))
    assert "or choose another name with output=" in text


def test_columns_that_show_only_when_the_step_runs_are_refused_before_the_teacher_is_asked(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    rows = Map(LoadRows([{"instruction": "a"}]), lambda row: {"output": "mine"})
    with pytest.raises(RequestError, match="has a column output already, which Prompt would replace"):
        rows_of(Prompt(rows, teacher=EchoTeacher(log=str(log))), tmp_path / "store")
    assert not log.exists()


def test_what_a_parser_gives_replaces_nothing(tmp_path: Path) -> None:
    step = Prompt(LoadRows([{"instruction": "a"}]), teacher=ECHO, parse=lambda text: {"instruction": text})
    with pytest.raises(RequestError, match="returns instruction, which the rows have already"):
        run(step, tmp_path, rows=[{"instruction": "a"}])


def test_how_earlier_answers_ended_is_kept(tmp_path: Path) -> None:
    first = Prompt(LoadRows([{"instruction": "a", "finish_reason": "mine"}]), teacher=ECHO, output="one")
    second = Prompt(first, teacher=ECHO, output="two")
    third = PseudoLabel(second, teacher=ECHO)
    assert not problems_of(third)
    (row,) = rows_of(third, tmp_path)
    assert {name: row[name] for name in row if name.startswith("finish")} == {
        "finish_reason": "stop",
        "finish_reason_1": "mine",
        "finish_reason_2": "stop",
        "finish_reason_3": "stop",
    }


def test_a_column_that_the_steps_own_variable_hides_from_a_template_is_named() -> None:
    rows = LoadRows([{"instruction": "a", "form": "of the row"}])
    built_in = StructuredGeneration(rows, teacher=ECHO, choice=("a", "b"))
    assert not problems_of(built_in)  # its `form` is the step's, as documented
    own = StructuredGeneration(rows, teacher=ECHO, choice=("a", "b"), prompt="{{ instruction }} {{ form }}")
    (text,) = problems_of(own)
    assert "has a column form, which the template can't show" in text


def test_a_columns_value_stays_beside_the_form_that_a_built_in_template_shows(tmp_path: Path) -> None:
    step = StructuredGeneration(LoadRows([{"instruction": "a"}]), teacher=Scripted(say=asks), regex="(?s).*")
    (result,), _ = run(step, tmp_path, rows=[{"instruction": "a", "form": "of the row"}])
    assert result["form"] == "of the row"
    assert "regular expression" in result["output"]


def test_decoding_keeps_the_output_as_reference_and_nothing_else_is_lost(tmp_path: Path) -> None:
    rows = LoadRows([{"instruction": "a", "output": "b", "score": 1.0}])
    (text,) = problems_of(Decode(rows, model=ECHO, method="greedy"))
    assert "has a column score already" in text
