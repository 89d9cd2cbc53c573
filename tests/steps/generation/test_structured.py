"""Answers in a form are checked against it, made into columns, and asked again when they lack it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import fakes
from fakes import EchoTeacher
from potstill import Pipeline
from potstill.engine.rows import files as rows_on_disk
from potstill.steps import LoadSeeds
from potstill.steps.generation.structured import StructuredGeneration, unnamed
from potstill.teachers.protocol import Request, Response, Structured
from scripted import Scripted, run

SEEDS = LoadSeeds("unused")
ROWS = [{"id": "a", "instruction": "Where is it?"}]
SCHEMA = json.dumps({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})


def generated(folder: Path, say: Any, **parameters: Any) -> tuple[list[dict[str, Any]], Any]:
    return run(StructuredGeneration(SEEDS, teacher=Scripted(say=say), **parameters), folder, rows=ROWS)


@pytest.mark.parametrize(
    ("form", "answer", "parts"),
    [
        ({"json_schema": SCHEMA}, '{"city": "Ulm"}', {"city": "Ulm"}),
        ({"regex": "(?P<x>[0-9]+),(?P<y>[0-9]+)"}, "3,4", {"x": "3", "y": "4"}),
        ({"regex": "[0-9]+"}, "34", {"value": "34"}),
        ({"choice": ("north", "south")}, "South.", {"value": "south"}),
    ],
)
def test_the_parts_of_an_answer_become_columns(
    tmp_path: Path, form: dict[str, Any], answer: str, parts: dict[str, str]
) -> None:
    rows, _ = generated(tmp_path, lambda request: answer, **form)
    assert rows == [{**ROWS[0], "output": answer, "finish_reason": "stop", **parts}]
    step = StructuredGeneration(SEEDS, teacher=EchoTeacher(), **form)
    assert step.columns({"rows": frozenset(ROWS[0])}) == set(rows[0])
    assert not list(step.check())


def test_the_form_is_told_and_the_teacher_held_to_it(tmp_path: Path) -> None:
    seen: list[Request] = []

    def say(request: Request) -> str:
        seen.append(request)
        return '{"city": "Ulm"}'

    generated(tmp_path / "a", say, json_schema=SCHEMA)
    generated(tmp_path / "b", say, json_schema=SCHEMA, structured=False)
    assert [request.sampling.structured for request in seen] == [Structured(json_schema=SCHEMA), None]
    assert all(SCHEMA in request.messages[-1]["content"] for request in seen)


def test_the_engine_gets_a_regular_expression_without_names(tmp_path: Path) -> None:
    seen: list[Request] = []

    def say(request: Request) -> str:
        seen.append(request)
        return "3 h"

    rows, _ = generated(tmp_path, say, regex="(?P<hours>[0-9]+) h")
    assert seen[0].sampling.structured == Structured(regex="([0-9]+) h")
    assert rows[0]["hours"] == "3"
    assert unnamed(r"\(?P<x>") == r"\(?P<x>", "an optional bracket is no group"


def test_an_answer_without_the_form_is_asked_again(tmp_path: Path) -> None:
    def say(request: Request) -> str | Response:
        if request.sampling.temperature == 0:
            return Response('{"city": "U', "length")
        return '{"city": "Ulm"}'

    rows, context = generated(tmp_path, say, json_schema=SCHEMA)
    assert rows[0]["city"] == "Ulm"
    assert context.notes["usage"]["calls"] == 2
    rows, context = generated(tmp_path / "b", lambda request: "Ulm", json_schema=SCHEMA)
    assert not rows
    assert "'Ulm'; 'Ulm'; 'Ulm'" in (tmp_path / "b" / "lost.jsonl").read_text()


def test_another_schema_for_the_same_texts_asks_nothing(tmp_path: Path) -> None:
    """The parser is apart from the teacher as long as the teacher is not held to the schema, nor asked for it."""
    log = str(tmp_path / "calls")
    teacher = Scripted(say=lambda request: '{"city": "Ulm", "size": 3}', log=log)
    for schema in (SCHEMA, json.dumps({"type": "object", "properties": {"size": {"type": "integer"}}})):
        step = StructuredGeneration(SEEDS, teacher=teacher, json_schema=schema, structured=False, prompt="answer.jinja")
        run(step, tmp_path, rows=ROWS)
    assert len(fakes.calls(log)) == 1


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({}, "give one of"),
        ({"regex": "a", "choice": ("a",)}, "give one of"),
        ({"json_schema": "{"}, "is no JSON"),
        ({"json_schema": "[" * 20_000}, "is no JSON: it is nested too deep"),
        ({"json_schema": '{"type": "strong"}'}, "is no JSON schema"),
        ({"regex": "(a"}, "no regular expression"),
    ],
)
def test_a_wrong_form_is_refused(form: dict[str, Any], problem: str) -> None:
    assert problem in "".join(str(p) for p in StructuredGeneration(SEEDS, teacher=EchoTeacher(), **form).check())


def test_it_runs_in_a_pipeline(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text('{"instruction": "Where?"}\n')
    step = StructuredGeneration(LoadSeeds(seeds), teacher=EchoTeacher(words=1), regex="(?P<word>[a-z]+)")
    actual = Pipeline("x", outputs={"rows": step}).run(store=tmp_path / "store")["rows"]
    result = rows_on_disk.read(actual.path / "data", tmp_path / "scratch")
    assert result.column_names == ["instruction", "id", "output", "finish_reason", "word"]
