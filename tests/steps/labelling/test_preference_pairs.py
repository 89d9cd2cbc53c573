"""Verdicts and scores become pairs of a chosen and a rejected answer."""

import pytest
from datasets import Dataset

import learning
from potstill.errors import BadInput
from potstill.steps.labelling.preference_pairs import PairsFromScores, PairsFromVerdicts


def made(step, rows, context):
    """Return what a step makes of rows."""
    return list(step.run(Dataset.from_list(rows), context))


@pytest.fixture
def context(tmp_path):
    return learning.context(tmp_path)


def test_a_verdict_says_which_text_was_chosen_and_ties_are_lost(context):
    rows = [
        {"id": str(number), "a": "one", "b": "two", "verdict": verdict, "agreed": True}
        for number, verdict in enumerate(["first", "second", "tie"])
    ]
    pairs = made(PairsFromVerdicts(None, first="a", second="b"), rows, context)
    assert pairs == [
        {"id": "0", "chosen": "one", "rejected": "two"},
        {"id": "1", "chosen": "two", "rejected": "one"},
    ]
    assert context.ledger.counts()["filtered"] == {"tie": 1}


def test_an_unknown_verdict_names_the_row(context):
    rows = [{"a": "one", "b": "two", "verdict": "first"}, {"a": "one", "b": "two", "verdict": "A"}]
    with pytest.raises(BadInput, match=r"row 1 says 'A' in verdict: first, second or tie"):
        made(PairsFromVerdicts(None, first="a", second="b"), rows, context)


def test_the_columns_are_known_beforehand():
    verdicts = PairsFromVerdicts(None, first="a", second="b")
    assert verdicts.columns({"rows": frozenset({"id", "a", "b", "verdict", "agreed"})}) == {"id", "chosen", "rejected"}
    assert verdicts.needs() == {"rows": ("a", "b", "verdict")}
    [problem] = PairsFromVerdicts(None, first="a", second="a").check()
    assert "same column" in problem.message
    scores = PairsFromScores(None, group=("q", "context"))
    assert scores.columns({"rows": frozenset({"q", "output", "score"})}) == {"q", "chosen", "rejected", "margin"}
    assert scores.needs() == {"rows": ("q", "context", "output", "score")}
    [problem] = PairsFromScores(None, group=()).check()
    assert problem.field == "group"


def test_the_best_and_the_worst_of_a_group_are_paired_whatever_their_order(context):
    rows = [
        {"id": "0", "instruction": "q", "output": "fair", "score": 5},
        {"id": "1", "instruction": "r", "output": "only", "score": 9},
        {"id": "2", "instruction": "q", "output": "bad", "score": 1},
        {"id": "3", "instruction": "q", "output": "good", "score": 8},
        {"id": "4", "instruction": "s", "output": "x", "score": 4},
        {"id": "5", "instruction": "s", "output": "y", "score": 3},
    ]
    pairs = made(PairsFromScores(None, margin=1), rows, context)
    assert pairs == [{"id": "3", "instruction": "q", "chosen": "good", "rejected": "bad", "margin": 7.0}]
    assert context.ledger.counts()["filtered"] == {"no second answer": 1, "scores not more than 1 apart": 1}


@pytest.mark.parametrize("score", [None, "9", True, float("nan")])
def test_a_score_that_is_no_number_names_the_row(context, score):
    rows = [{"instruction": "q", "output": "a", "score": score}]
    with pytest.raises(BadInput, match=r"row 0 has .* in score"):
        made(PairsFromScores(None), rows, context)
