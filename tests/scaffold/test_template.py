"""Templates as text: what they are for, what they ask, and their two sets of models."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from potstill.errors import RequestError
from potstill.scaffold.template import Template, for_hub_models, for_shipped_models, kinds, template

SOURCE = '''"""A thing: it does something."""

from potstill import Transformers  # real: from potstill import VLLM
from potstill.data import home  # real:

# The rows
DATA = HERE / "rows.jsonl"
# The labels
LABELS = (
    "a",
    "b",
)
# How many
COUNT = 20  # real: 10_000
# The teacher
TEACHER = str(home.FOLDER / "teacher")  # real: "big"

KEPT = 3
teacher = Transformers(TEACHER)  # real: VLLM(TEACHER)
settings = {
    "epochs": 6,  # real: 3
}
student = train(
    rate=3e-3,  # real: 2e-5
)
'''


def test_the_questions_are_the_constants_in_capitals_below_a_comment():
    questions = Template("thing", SOURCE).questions()
    asked = [(question.name, question.text, question.shown()) for question in questions]
    assert asked == [
        ("DATA", "The rows", "rows.jsonl"),
        ("LABELS", "The labels", "a, b"),
        ("COUNT", "How many", "20"),
        ("TEACHER", "The teacher", "str(home.FOLDER / 'teacher')"),
    ]
    assert [question.is_file for question in questions] == [True, False, False, False]


def test_what_is_meant_for_models_of_the_hub_takes_the_place_of_its_line():
    lines = for_hub_models(SOURCE).splitlines()
    for line in (
        "from potstill import VLLM",
        "COUNT = 10_000",
        'TEACHER = "big"',
        "teacher = VLLM(TEACHER)",
        '    "epochs": 3,',
        "    rate=2e-5,",
    ):
        assert line in lines
    assert not any("home" in line or "real" in line for line in lines)


def test_the_shipped_models_stay_without_the_others():
    text = for_shipped_models(SOURCE)
    assert "real:" not in text
    assert [line.split("  #")[0] for line in SOURCE.splitlines()] == text.splitlines()


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("turned", [for_hub_models, for_shipped_models], ids=["hub", "shipped"])
def test_every_template_is_python_whose_names_are_known(kind, turned, tmp_path):
    file = tmp_path / f"{kind}.py"
    file.write_text(turned(template(kind).source))
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E9,F821,F811", file],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", kinds())
def test_every_template_says_what_it_is_for_and_has_the_samples_that_it_reads(kind):
    chosen = template(kind)
    read = {question.shown() for question in chosen.questions() if question.is_file}
    assert ": " in chosen.summary and chosen.summary.endswith(".")
    assert read == {file.name for file in chosen.samples(chosen.source)}
    assert ast.get_docstring(ast.parse(chosen.source))


def test_an_unknown_kind_is_refused_with_the_nearest():
    with pytest.raises(RequestError, match="no ready pipeline 'clasifier': did you mean classifier"):
        template("clasifier")
    with pytest.raises(RequestError, match="there are classifier, "):
        template("zzz")
