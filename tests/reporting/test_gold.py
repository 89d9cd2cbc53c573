"""Whose word the right answers are: a teacher's own are named as such, through all that is done to rows in between."""

from __future__ import annotations

import pytest

from potstill.engine.context import Ancestor
from potstill.reporting.gold import Author, authors


def ancestor(name, kind, inputs=None, **params):
    given = inputs or {}
    return Ancestor(
        name,
        kind,
        "k" * 32,
        tuple(step for each in given.values() for step in each),
        {"params": params, "inputs": given},
    )


TEACHER = {"model": "some/teacher"}
BEFORE = [ancestor("seeds", "LoadSeeds"), ancestor("tasks", "SelfInstruct", {"seeds": ["seeds"]}, teacher=TEACHER)]
LABELLED = [*BEFORE, ancestor("labels", "PseudoLabel", {"rows": ["tasks"]}, teacher=TEACHER)]


@pytest.mark.parametrize(
    ("after", "evaluate", "author"),
    [
        ([], ancestor("e", "Evaluate", {"rows": ["labels"]}), "labels"),
        ([ancestor("data", "Split", {"rows": ["labels"]})], ancestor("e", "Evaluate", {"rows": ["data"]}), "labels"),
        (
            [ancestor("judged", "FilterWithPrompt", {"rows": ["labels"]}, teacher=TEACHER)],
            ancestor("e", "Evaluate", {"rows": ["judged"]}),
            "labels",
        ),
        (
            [ancestor("named", "Rename", {"rows": ["labels"]}, names={"output": "label"})],
            ancestor("e", "EvaluateClassifier", {"rows": ["named"]}, label="label"),
            "labels",
        ),
        ([], ancestor("e", "EvaluateClassifier", {"rows": ["labels"]}, label="label"), None),
        ([], ancestor("e", "Evaluate", {"rows": ["seeds"]}), None),
        ([], ancestor("e", "Evaluate", {"rows": ["tasks"]}), None),
        (
            [ancestor("kinds", "ClassifyWithTeacher", {"rows": ["seeds"]}, teacher=TEACHER)],
            ancestor("e", "EvaluateClassifier", {"rows": ["kinds"]}, label="label"),
            "kinds",
        ),
        (
            [ancestor("kinds", "ClassifyWithTeacher", {"rows": ["seeds"]}, teacher=TEACHER)],
            ancestor("e", "EvaluateLabels", {"rows": ["kinds"]}, gold="gold", label="label"),
            None,
        ),
        (
            [
                ancestor("kinds", "ClassifyWithTeacher", {"rows": ["seeds"]}, teacher=TEACHER),
                ancestor("named", "Rename", {"rows": ["kinds"]}, names={"label": "gold"}),
            ],
            ancestor("e", "EvaluateLabels", {"rows": ["named"]}, gold="gold", label="other"),
            "kinds",
        ),
        (
            [ancestor("kinds", "StructuredGeneration", {"rows": ["seeds"], "teacher": ["model"]}, output="kind")],
            ancestor("e", "EvaluateClassifier", {"rows": ["kinds"]}, label="kind"),
            "kinds",
        ),
    ],
)
def test_the_nearest_step_whose_teacher_wrote_the_right_answers(after, evaluate, author):
    expected = [] if author is None else [Author("test", author)]
    assert authors("e", ["test"], [*LABELLED, *after, evaluate]) == expected


def test_each_of_several_sets_has_its_own_author():
    evaluate = ancestor("e", "Evaluate", {"rows": ["labels", "seeds"]})
    assert authors("e", ["own", "by hand"], [*LABELLED, evaluate]) == [Author("own", "labels")]


def test_what_is_not_known_is_not_claimed():
    assert authors("e", ["test"], []) == []
    assert authors("e", ["test"], [ancestor("e", "Evaluate", {"rows": ["gone"]})]) == []
