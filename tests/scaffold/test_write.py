"""`potstill new` writes a pipeline with its samples, or nothing and says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from potstill.cli import main
from potstill.errors import RequestError
from potstill.scaffold.template import kinds, template
from potstill.scaffold.write import ask, questions_of, read_settings, write


def test_pipeline_samples_and_readme_lie_side_by_side(tmp_path):
    files = write(template("classifier"), tmp_path / "mails" / "mails.py", {})
    assert [file.name for file in files] == ["mails.py", "texts.jsonl", "texts_test.jsonl", "README.md"]
    rows = [json.loads(line) for line in (tmp_path / "mails" / "texts_test.jsonl").read_text().splitlines()]
    assert set(rows[0]) == {"text", "label"}
    readme = (tmp_path / "mails" / "README.md").read_text()
    assert "potstill run mails.py" in readme and "`LABELS`" in readme
    assert len(readme.splitlines()) <= 10


def test_samples_in_whose_place_the_user_has_rows_are_not_written(tmp_path):
    files = write(template("classifier"), tmp_path / "mails.py", {"DATA": str(tmp_path / "own.jsonl")})
    assert [file.name for file in files] == ["mails.py", "texts_test.jsonl", "README.md"]


def test_nothing_of_the_user_is_overwritten(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "texts.jsonl").write_text("mine")
    (tmp_path / "mails.py").write_text("mine")
    with pytest.raises(RequestError) as refused:
        write(template("classifier"), tmp_path / "mails.py", {})
    assert [problem.message.split()[0] for problem in refused.value.problems] == [
        str(tmp_path / "mails.py"),
        str(tmp_path / "texts.jsonl"),
    ]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["README.md", "mails.py", "texts.jsonl"]


def test_written_twice_it_is_the_same_and_no_problem(tmp_path):
    first = write(template("compress"), tmp_path / "small.py", {})
    content = {file: file.read_bytes() for file in first}
    second = write(template("compress"), tmp_path / "small.py", {})
    assert content.items() <= {file: file.read_bytes() for file in second}.items()


def test_answers_to_no_question_are_refused_together(tmp_path):
    with pytest.raises(RequestError) as refused:
        write(template("classifier"), tmp_path / "x.py", {"LABLES": "a,b", "ZZZ": "1"})
    assert [problem.message for problem in refused.value.problems] == [
        "classifier has no question lables: did you mean labels?",
        "classifier has no question zzz: it asks for data, test, question, labels, teacher, student",
    ]
    assert not list(tmp_path.iterdir())


def test_a_setting_needs_a_name_and_a_value():
    assert read_settings(["labels=a,b", "Data=x=y"]) == {"LABELS": "a,b", "DATA": "x=y"}
    with pytest.raises(RequestError, match="--set takes NAME=VALUE, got 'data'"):
        read_settings(["data"])


def test_an_empty_line_leaves_the_default():
    typed = iter(["", "", "What is it about?", "billing,bug", "", ""])
    questions = questions_of(template("classifier"), real=True)
    assert ask(questions, lambda text: next(typed)) == {"QUESTION": "What is it about?", "LABELS": "billing,bug"}


def test_the_command_lists_writes_and_refuses(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "--list", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out.splitlines()[-1])["kinds"]) == kinds()
    assert main(["new", "extractor"]) == 0
    assert Path("extractor/extractor.py").exists()
    assert main(["new"]) == 2
    assert "say which ready pipeline: classifier, " in capsys.readouterr().err
