"""A judge as a measure: grades, and preferences in both orders."""

from __future__ import annotations

import json

import pandas
import pytest
from datasets import Dataset

from fakes import context_in
from potstill.errors import BadInput
from potstill.metrics.kept_rows import FILE
from potstill.steps import EvaluateGrades, EvaluatePairs, LoadRows
from running import problems_of
from scripted import Scripted

ROWS = [
    {"id": "a", "instruction": "Name a colour.", "output": "Blue.", "gold": "Blue.", "people": 5.0, "said": "first"},
    {
        "id": "b",
        "instruction": "Name a town.",
        "output": "Nothing at all.",
        "gold": "Ulm.",
        "people": None,
        "said": None,
    },
    {"id": "c", "instruction": "Name a river.", "output": "Rhine.", "gold": "Rhine.", "people": 4.0, "said": "tie"},
    {"id": "d", "instruction": "Name a bird.", "output": "A heron", "gold": "Owl.", "people": None, "said": None},
]
OTHERS = [{**row, "output": f"{row['gold']} It is so."} for row in ROWS]


def graded(folder, answer, rows=ROWS, **options):
    teacher, context = Scripted(say=answer), context_in(folder)
    step = EvaluateGrades(LoadRows(ROWS), teacher=teacher, criterion="It is right.", **options)
    return step.run(Dataset.from_list(rows), teacher, context), context


def by_answer(request):
    """Give right answers of `ROWS` a 5 and all others a 2."""
    text = request.messages[-1]["content"]
    return "5" if "Blue." in text or "Rhine." in text else "2"


def test_grades_have_a_mean_and_the_judge_is_held_against_gold_and_people(tmp_path):
    metrics, context = graded(tmp_path, by_answer, gold="gold", human="people")
    figures = metrics["sets"]["test"]
    assert figures["grade"] == 3.5
    assert figures["grade_low"] < 3.5 < figures["grade_high"]
    assert figures["gold_auc"] == 1.0
    assert figures["human_labels"] == 2
    assert "human_estimate" in figures
    rows = pandas.read_parquet(context.out / FILE)
    assert rows.score_grade.tolist() == [5, 2, 5, 2]
    assert rows.answer.tolist() == [row["output"] for row in ROWS]
    json.dumps(metrics, allow_nan=False)


def test_a_judge_that_says_nothing_is_a_clear_statement(tmp_path):
    with pytest.raises(BadInput, match="no grade at all"):
        graded(tmp_path, lambda request: "I would rather not.")
    with pytest.raises(BadInput, match="no rows to judge"):
        EvaluateGrades(LoadRows(ROWS), teacher=Scripted(say=by_answer), criterion="x").run(
            Dataset.from_list([]), Scripted(say=by_answer), context_in(tmp_path)
        )


def test_grades_of_people_that_are_no_numbers_are_refused(tmp_path):
    with pytest.raises(BadInput, match="row 'a' says 'good'"):
        graded(tmp_path, by_answer, rows=[{**ROWS[0], "people": "good"}], human="people")


def compared(folder, answer, first=ROWS, second=OTHERS, **options):
    teacher, context = Scripted(say=answer), context_in(folder)
    step = EvaluatePairs(LoadRows(ROWS), LoadRows(OTHERS), teacher=teacher, **options)
    return step.run(Dataset.from_list(first), Dataset.from_list(second), teacher, context), context


def longer(request):
    """Prefer the longer answer, as judges do."""
    text = request.messages[-1]["content"]
    first, second = (text.partition(f"[Start of answer {name}]")[2].partition("[End")[0] for name in "AB")
    return "A" if len(first) > len(second) else "B"


def test_pairs_are_asked_in_both_orders_and_length_is_shown(tmp_path):
    metrics, context = compared(tmp_path, longer, gold="gold", human="said")
    figures = metrics["sets"]["test"]
    assert figures["n"] == 4
    assert figures["contradicted"] == 0.0
    assert figures["longer_wins"] == 1.0
    assert figures["win_rate"] == 0.25
    assert figures["gold_pairs"] == 2  # the others are wrong on both sides
    assert figures["gold_agreement"] == 0.0
    assert figures["human_labels"] == 2
    rows = pandas.read_parquet(context.out / FILE)
    assert rows.better.tolist() == ["second", "first", "second", "second"]
    assert rows.other.tolist() == [row["output"] for row in OTHERS]


def test_a_judge_that_favours_a_place_has_only_ties(tmp_path):
    figures = compared(tmp_path, lambda request: "A")[0]["sets"]["test"]
    assert (figures["ties"], figures["contradicted"], figures["win_rate"]) == (1.0, 1.0, 0.5)
    assert figures["win_rate_low"] is None


def test_what_people_said_must_be_a_preference(tmp_path):
    with pytest.raises(BadInput, match="row 'a' says 'the first'"):
        compared(tmp_path, longer, first=[{**ROWS[0], "said": "the first"}], human="said")


def test_rows_without_a_partner_are_counted(tmp_path):
    figures = compared(tmp_path, longer, second=OTHERS[:3])[0]["sets"]["test"]
    assert (figures["n"], figures["unmatched"]) == (3, 1)


def test_what_is_wrong_is_said_before_anything_runs():
    step = EvaluateGrades(LoadRows(ROWS), teacher=Scripted(say=by_answer), low=5, high=1)
    problems = problems_of(step)
    assert any("criterion: is empty" in problem for problem in problems)
    assert any("must exceed low=5" in problem for problem in problems)


def test_what_pandas_writes_for_nothing_is_no_label_and_no_common_source(tmp_path):
    nothing = float("nan")
    rows = [{**row, "people": nothing if row["people"] is None else row["people"]} for row in ROWS]
    figures = graded(tmp_path / "a", by_answer, rows, human="people")[0]["sets"]["test"]
    assert figures["human_labels"] == 2
    json.dumps(figures, allow_nan=False)
    sources = [{**row, "source": nothing} for row in ROWS]
    alone = graded(tmp_path / "b", by_answer, sources, cluster="source")[0]["sets"]["test"]
    assert alone["grade_low"] == pytest.approx(figures["grade_low"])
    with pytest.raises(BadInput, match="give numbers"):
        graded(tmp_path / "c", by_answer, [{**row, "people": float("inf")} for row in ROWS], human="people")


def test_several_right_answers_are_gold_and_what_is_no_text_is_refused(tmp_path):
    several = [{**row, "gold": [row["gold"], "Otherwise"]} for row in ROWS]
    metrics, context = graded(tmp_path / "a", by_answer, several, gold="gold")
    assert metrics["sets"]["test"]["gold_auc"] == 1.0
    assert pandas.read_parquet(context.out / FILE).gold[0] == '["Blue.", "Otherwise"]'
    with pytest.raises(BadInput, match="give a text, or a list"):
        graded(tmp_path / "b", by_answer, [{**row, "gold": 5} for row in ROWS], gold="gold")


def test_a_row_without_an_answer_is_lost_and_not_graded(tmp_path):
    metrics, _ = graded(tmp_path, by_answer, [*ROWS, {**ROWS[0], "id": "e", "output": None}])
    assert (metrics["sets"]["test"]["n"], metrics["sets"]["test"]["lost"]) == (4, 1)
