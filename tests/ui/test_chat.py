"""Models of a run answer side by side, each in a process of its own: streamed, cancelled, unloaded."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from starlette.testclient import TestClient

from potstill import Pipeline, Rows, Step, Transformers
from potstill.data import home
from potstill.engine.pipeline import open_store
from potstill.engine.progress import Silent
from potstill.looking.all_runs import all_runs, steps_with_artifacts
from potstill.prompts import Template
from potstill.steps import LoadRows
from potstill.teachers.protocol import Request, Response, Sampling
from potstill.ui.chat_models import models_of, prompts_of
from potstill.ui.chat_worker import teacher_of
from potstill.ui.chat_workers import Workers
from visiting import BASE, run_of, visitor

HERE = {"origin": BASE}
QUESTION = {"messages": [{"role": "user", "content": "turn on the light"}], "max_tokens": 24, "temperature": 0}


class Student(Step):
    """Stands for a trained student: a small language model."""

    rows: Rows
    makes: ClassVar[str] = "model"

    def run(self, rows: Any, context: Any) -> Any:
        shutil.copytree(home.FOLDER / "base", context.out, dirs_exist_ok=True)
        return context.out


class Ask(Step):
    """Stands for a step that asked a teacher."""

    teacher: Transformers
    prompt: Template = "home.jinja"

    def run(self) -> Any:
        return [{"asked": True}]


class Encoder(Step):
    """Makes a model that can't be asked."""

    makes: ClassVar[str] = "model"

    def run(self, context: Any) -> Any:
        (context.out / "config.json").write_text('{"architectures": ["BertModel"]}')
        return context.out


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chat")
    teacher = Transformers(str(home.FOLDER / "teacher"), max_model_length=512)
    student = Student(LoadRows([{"a": 1}], name="rows"), name="student")
    outputs: dict[str, Step] = {"student": student, "asked": Ask(teacher, name="asked"), "no": Encoder(name="no")}
    Pipeline("talk", outputs=outputs).run(store=folder, watcher=Silent())
    return folder


@pytest.fixture(scope="module")
def client(store: Path) -> Iterator[TestClient]:
    with visitor(store) as one:
        yield one


def offered(store: Path) -> tuple[Any, Any]:
    steps = steps_with_artifacts(open_store(store), all_runs(open_store(store))[0])
    return models_of(steps), prompts_of(steps)


def test_teachers_come_first_then_the_language_models_that_the_run_made(store: Path) -> None:
    models, prompts = offered(store)
    assert [(one.label, one.kind, one.engine) for one in models] == [
        ("teacher", "teacher", "Transformers"),
        ("student", "student", "Transformers"),
    ]
    assert models[0].settings == {"dtype": "auto", "max_model_length": 512}
    assert [one.label for one in prompts] == ["home.jinja, as in asked"]
    assert "smart home" in prompts[0].text


def test_looking_at_the_chat_loads_nothing(client: TestClient, store: Path) -> None:
    page = client.get(f"/run/{run_of(store)}/chat").text
    assert 'data-label="teacher"' in page and 'data-label="student"' in page
    assert not client.app.state.workers.loaded()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ({**QUESTION, "max_tokens": 0, "temperature": "warm"}, "max_tokens is a number from 1 to 4,096"),
        ({**QUESTION, "max_tokens": True}, "max_tokens"),
        ({**QUESTION, "messages": "hello"}, "messages are a list"),
        ({**QUESTION, "messages": [{"role": "root", "content": "x"}]}, "messages are a list"),
        ({**QUESTION, "messages": []}, "messages are a list"),
    ],
)
def test_a_question_that_can_t_be_asked_is_refused(
    client: TestClient, store: Path, question: dict[str, Any], problem: str
) -> None:
    model = offered(store)[0][1].id
    answer = client.post(f"/run/{run_of(store)}/chat/ask", json={**question, "model": model}, headers=HERE)
    assert answer.status_code == 400
    assert problem in answer.text


def test_other_forms_of_a_question_are_refused(client: TestClient, store: Path) -> None:
    path = f"/run/{run_of(store)}/chat/ask"
    unknown = client.post(path, json={**QUESTION, "model": "/etc"}, headers=HERE)
    assert unknown.status_code == 404 and "no model" in unknown.text
    plain = client.post(path, content="{}", headers={**HERE, "content-type": "text/plain"})
    assert plain.status_code == 400
    broken = client.post(path, content="{", headers={**HERE, "content-type": "application/json"})
    assert broken.status_code == 400
    long = json.dumps({"model": "x" * 2_000_000})
    assert client.post(path, content=long, headers={**HERE, "content-type": "application/json"}).status_code == 400
    assert client.get(path).status_code == 405


@pytest.mark.slow
def test_transformers_streams_what_it_also_answers_at_once() -> None:
    session = teacher_of({"engine": "Transformers", "model": str(home.FOLDER / "teacher"), "settings": {}})
    request = Request([{"role": "user", "content": "turn on the light"}], Sampling(max_tokens=16))
    texts: list[str] = []
    with session.open(threads=1) as opened:
        streamed = opened.stream(request, texts.append)  # type: ignore[attr-defined]
        (_, whole), *_ = opened.generate([request])
    assert isinstance(streamed, Response) and streamed.text == whole.text
    assert texts[-1] == streamed.text and len(texts) == streamed.completion_tokens
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))


@pytest.mark.slow
def test_an_answer_streams_by_the_page_and_the_process_is_kept_until_it_is_unloaded(
    client: TestClient, store: Path
) -> None:
    models, prompts = offered(store)
    path = f"/run/{run_of(store)}/chat"
    question = {**QUESTION, "model": models[0].id, "prompt": prompts[0].id}
    answer = client.post(f"{path}/ask", json=question, headers=HERE)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[:2] == [{"state": "loading"}, {"state": "asked"}]
    assert len(events) > 5
    assert json.loads(events[-1]["text"])["device"] == "light"
    assert events[-1]["done"] == "stop"
    again = client.post(f"{path}/ask", json=question, headers=HERE).text
    assert "loading" not in again and ", loaded" in client.get(path).text
    assert client.post(f"{path}/stop", headers=HERE).headers["location"] == path
    assert not client.app.state.workers.loaded()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_who_leaves_cancels_the_answer_and_the_model_answers_the_next_one(store: Path) -> None:
    student = offered(store)[0][1]
    question = {**QUESTION, "seed": 0, "max_tokens": 400, "temperature": 3.0}

    async def leave_and_return() -> tuple[int, int, dict[str, Any]]:
        workers = Workers()
        try:
            answers = workers.ask(student, question)
            async for answer in answers:
                if "text" in answer:
                    break
            await answers.aclose()  # type: ignore[attr-defined]
            first = workers._workers[student.id].pid
            rest = [answer async for answer in workers.ask(student, {**question, "max_tokens": 3})]
            return first, workers._workers[student.id].pid, rest[-1]
        finally:
            await workers.close()

    first, second, last = asyncio.run(leave_and_return())
    assert first == second
    assert last["done"] in ("stop", "length") and last["tokens"] <= 3


@pytest.mark.slow
def test_a_model_that_can_t_be_loaded_says_why(store: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    broken = replace(offered(store)[0][1], model=str(tmp_path))

    async def ask() -> list[dict[str, Any]]:
        workers = Workers()
        answers = [answer async for answer in workers.ask(broken, {**QUESTION, "seed": 0})]
        assert not workers.loaded()
        return answers

    *_, last = asyncio.run(ask())
    assert str(tmp_path) in last["error"]
