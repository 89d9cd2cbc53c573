"""What a user typed becomes a folder with task, examples and pipeline, or is refused whole, before anything happens."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest

import tiny
from odd_server import odd_server, said
from potstill.engine.loader import load
from potstill.errors import RequestError
from potstill.wishes.start import Words, project_of

WISH = "Classify support mails as billing, bug or other"
SERVER = "http://127.0.0.1:9/v1,scripted"


def lines(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def refusals(**words):
    """Return what is wrong with a request."""
    with pytest.raises(RequestError) as refused:
        project_of(Words(**words))
    return [problem.message for problem in refused.value.problems]


def test_all_that_is_wrong_is_said_together_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    problems = refusals(wish="Classify mails", budget="1kB", examples="none.jsonl")
    assert [problem.split(":")[0] for problem in problems] == [
        "none.jsonl can't be read",
        "no teacher",
        "the budget 0.001MB is below any model known for en",
        "'Classify mails' lists no labels",
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"wish": " "}, "the wish is empty"),
        ({"wish": "Translate mails to German"}, "asks for translation, and `make` builds classifiers so far"),
        ({"wish": WISH, "teacher": "http://127.0.0.1:9/v1"}, "names no model: give URL,MODEL"),
        ({"wish": WISH, "teacher": "/no/such/folder"}, "there is no model in the folder"),
        ({"wish": WISH, "price": "cheap"}, "--price takes dollars"),
        ({"wish": WISH, "budget": "100MB,0.01ms"}, r"is below any model known for en: the smallest takes about"),
        ({"wish": WISH, "count": 3}, "rows is 3: at least 6 are needed"),
        ({"wish": "Classify mails as bug, other or Bug"}, "leave out what is there twice"),
    ],
)
def test_a_wish_that_can_not_be_met_is_refused_with_what_to_change(words, why):
    problems = refusals(**{"teacher": SERVER, **words})
    assert any(why in problem for problem in problems), problems


def test_examples_are_held_to_the_labels_of_the_wish(tmp_path):
    bad = lines(tmp_path / "bad.jsonl", [{"text": "a", "label": "praise"}, {"text": "b", "label": "bug"}])
    assert refusals(wish=WISH, teacher=SERVER, examples=bad) == [
        "the examples have the labels 'praise', and the task has billing, bug, other: name all in the wish"
    ]
    two = lines(
        tmp_path / "two.jsonl", [{"text": "a", "label": "bug"}, {"input": "a", "output": "other"}, {"text": "c"}]
    )
    assert [problem.split(" ")[1] for problem in refusals(wish=WISH, teacher=SERVER, examples=two)] == [
        "calls",
        "needs",
    ]


def test_without_labels_in_the_wish_those_of_the_examples_count(tmp_path):
    rows = [{"text": "It crashes", "label": "bug"}, {"text": "Too dear", "label": "billing"}]
    project = project_of(Words("Classify mails", SERVER, examples=lines(tmp_path / "e.jsonl", rows)))
    assert project.task.labels == ("billing", "bug")


def test_labels_without_an_example_are_named_before_anything_runs(tmp_path):
    rows = [{"text": "It crashes", "label": "bug"}, {"text": "Too dear", "label": "billing"}]
    words = {"examples": lines(tmp_path / "e.jsonl", rows)}
    project, _ = written(tmp_path / "made", **words)
    assert "2 examples: the teacher must label 80% of them rightly first; none is of other" in project.described()


def written(folder, **words):
    project = project_of(Words(**{"wish": WISH, "teacher": SERVER, "folder": str(folder), **words}))
    return project, project.write()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Return the folder of a tiny encoder."""
    return str(tiny.encoder(tmp_path_factory.mktemp("base") / "encoder"))


@pytest.mark.parametrize("examples", [True, False])
@pytest.mark.parametrize("texts", [True, False])
@pytest.mark.parametrize(
    "wish",
    [
        WISH,
        'Classify mails as """, {{ x }} or {% raw %}',
        "Classify mails as @BASE@, \\N or \u202ebug",
        "Sort 'a\nb' as x, y or z",
    ],
)
def test_what_is_written_is_a_pipeline_that_checks_whatever_the_wish_holds(tmp_path, base, examples, texts, wish):
    words = {"wish": wish, "base": base}
    labels = project_of(Words(wish, SERVER)).task.labels
    if examples:
        rows = [{"text": f'say "{label}" {{{{', "label": label} for label in labels]
        words["examples"] = lines(tmp_path / "e.jsonl", rows)
    if texts:
        words["texts"] = lines(tmp_path / "t.jsonl", [{"input": "a"}, {"input": "b"}])
    project, _ = written(tmp_path / "made", **words)
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E9,F,I", "--ignore", "I001", project.file],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert max(map(len, project.file.read_text().splitlines())) <= 160
    pipeline = load(str(project.file))
    steps = {type(step).__name__ for step in pipeline.check().steps}
    assert ("Gate" in steps) == (examples or not texts)
    assert ("GrowFromExamples" in steps) == (not texts)
    assert pipeline.variables["LABELS"] == labels
    assert ast.get_docstring(ast.parse(project.file.read_text()))


def test_what_the_user_changed_stays_and_the_same_wish_changes_nothing(tmp_path):
    project, stays = written(tmp_path / "made")
    assert stays == []
    assert project.write() == []
    task = tmp_path / "made" / "task.json"
    task.write_text(task.read_text().replace('"other"', '"praise"'))
    project, stays = written(tmp_path / "made", budget="6MB")
    assert stays == [str(task), str(project.file)]
    assert '"praise"' in task.read_text() and "bert_uncased" not in project.file.read_text()
    assert "praise" in project.described()


def test_another_wish_does_not_take_the_folder(tmp_path):
    written(tmp_path / "made")
    with pytest.raises(RequestError, match="holds another wish: 'Classify support mails as"):
        written(tmp_path / "made", wish="Classify mails as a or b")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"labels": ["bug"]}, "give at least two"),
        ({"labels": "bug"}, "labels must be a list of texts"),
        ({"lables": []}, "there is no 'lables'"),
        ({"kind": "extraction"}, "builds classification so far"),
        ({"gate": 2}, "give a share above 0"),
        ({"rows": "many"}, "rows must be a whole number"),
        ({"instruction": ""}, "instruction is empty"),
    ],
)
def test_a_task_that_was_changed_wrongly_is_refused_by_name(tmp_path, change, why):
    written(tmp_path / "made")
    task = tmp_path / "made" / "task.json"
    task.write_text(json.dumps({**json.loads(task.read_text()), **change}))
    with pytest.raises(RequestError, match=why):
        written(tmp_path / "made")


def test_a_teacher_that_reads_the_wish_is_asked_once(tmp_path):
    pairs = [{"input": "It crashes", "output": "bug"}, {"input": "Too dear", "output": "billing"}]
    answer = {"instruction": "Tell what a mail is about.", "examples": pairs}
    with odd_server(lambda asked: said(json.dumps(answer))) as server:
        words = Words(
            "Tell what a mail is about, like: It crashes, that is a bug. Too dear, that is billing",
            f"{server.url},scripted",
            parse="teacher",
            store=str(tmp_path / "store"),
        )
        read, again = project_of(words), project_of(words)
    assert len(server.asked) == 1
    assert read.task.instruction == "Tell what a mail is about." and read.task.labels == ("billing", "bug")
    assert read.pairs == again.pairs == (("It crashes", "bug"), ("Too dear", "billing"))


def test_a_teacher_is_not_asked_to_read_where_something_else_is_wrong():
    with odd_server(lambda asked: said("{}")) as server:
        refusals(wish="Sort mails", teacher=f"{server.url},scripted", parse="teacher", budget="1kB")
    assert not server.asked


def test_a_teacher_of_a_price_has_it_in_the_file(tmp_path):
    project, _ = written(tmp_path / "made", price="0.15,0.6")
    assert "price=Price(prompt=0.15, completion=0.6)" in project.file.read_text()
    assert load(str(project.file)).variables["teacher"].price.completion == 0.6
