"""What a user types becomes Python of the kind that the default is, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from potstill.scaffold.answer import answered
from potstill.scaffold.template import Template

SOURCE = """from pathlib import Path
from other import home

HERE = Path(__file__).parent
# Rows
DATA = HERE / "rows.jsonl"
# Labels
LABELS = ("a", "b")
# Count
COUNT = 3
# Share
SHARE = 0.5
# Teacher
TEACHER = str(home.FOLDER)
"""


def constants(**answers):
    """Return the constants of the text that the answers make, as Python's own reader has them."""
    source = answered(SOURCE, Template("x", SOURCE).questions(), answers, Path("folder"))
    body = ast.parse(source).body
    values = {node.targets[0].id: node.value for node in body if isinstance(node, ast.Assign)}
    return source, values


def test_each_answer_is_written_as_its_question_wants_it():
    source, values = constants(
        DATA="folder/mails.jsonl", LABELS="billing, bug", COUNT="1_000", SHARE="0.25", TEACHER="Q/8B"
    )
    assert ast.unparse(values["DATA"]) == "HERE / 'mails.jsonl'"
    assert ast.literal_eval(values["LABELS"]) == ("billing", "bug")
    assert ast.literal_eval(values["COUNT"]) == 1000
    assert ast.literal_eval(values["SHARE"]) == 0.25
    assert ast.literal_eval(values["TEACHER"]) == "Q/8B"
    assert "from other import home" not in source


def test_files_are_named_from_where_the_pipeline_lies():
    assert ast.unparse(constants(DATA="rows/x.jsonl")[1]["DATA"]) == "HERE / '../rows/x.jsonl'"
    assert ast.unparse(constants(DATA="/rows/x.jsonl")[1]["DATA"]) == "HERE / '/rows/x.jsonl'"


@pytest.mark.parametrize(
    "typed",
    ['a"b', "a'b", "a\\", "{x}", "#", '"""', "a\nb", "\u202e", "\u2028", "\x00", "\ud800", '" + evil() + "', "ä"],
)
def test_whatever_is_typed_stays_a_text(typed):
    _, values = constants(TEACHER=typed)
    assert ast.literal_eval(values["TEACHER"]) == typed
    assert set(values) == {"HERE", "DATA", "LABELS", "COUNT", "SHARE", "TEACHER"}


def test_labels_that_hold_commas_are_given_as_json():
    assert ast.literal_eval(constants(LABELS='["a, b", "c"]')[1]["LABELS"]) == ("a, b", "c")
    assert ast.literal_eval(constants(LABELS="one")[1]["LABELS"]) == ("one",)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"COUNT": "many"}, "COUNT must be a whole number; got 'many'"),
        ({"SHARE": "half"}, "SHARE must be a number; got 'half'"),
        ({"LABELS": " , "}, "LABELS is empty"),
        ({"LABELS": "[1, 2]"}, "LABELS must be a list of texts"),
        ({"LABELS": '["a"'}, "LABELS is no JSON list"),
    ],
)
def test_an_answer_of_another_kind_is_refused(answers, why):
    with pytest.raises(ValueError, match=why.replace("[", r"\[")):
        constants(**answers)
