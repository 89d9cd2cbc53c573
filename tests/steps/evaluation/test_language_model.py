"""Evaluate: the protocol, the scores and the figures; once for real through vLLM."""

from __future__ import annotations

import logging

import pytest
from datasets import Dataset

import compressing
import exported
import tiny
from fakes import EchoTeacher, calls
from potstill.compression.cpu_kernels import unserved
from potstill.engine.context import Context
from potstill.engine.ledger import Ledger
from potstill.engine.store.journal import Journal
from potstill.errors import BadInput
from potstill.metrics.answers import wilson
from potstill.steps.evaluation.answer_scores import Question, examples, score
from potstill.steps.evaluation.evaluated_model import teacher_for, weights_folder
from potstill.steps.evaluation.language_model import WARM_UP_BATCH, Evaluate
from potstill.steps.evaluation.read_model import ReadByTransformers
from potstill.steps.quantization.int4 import QuantizeInt4
from potstill.teachers.protocol import Request, Response, Sampling


def context(folder, threads=1):
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / "journal.sqlite")
    return Context(
        "evaluate",
        "key",
        folder,
        folder,
        journal.scoped("key"),
        journal,
        Ledger(),
        logging.getLogger(),
        threads=threads,
    )


def question(number=0, expected='{"a":1}', name="test"):
    request = Request([{"role": "user", "content": f"ask {number}"}], Sampling(max_tokens=8))
    return Question(name, str(number), f"ask {number}", expected, request)


def answers(teacher, texts, max_tokens):
    requests = [Request([{"role": "user", "content": text}], Sampling(max_tokens=max_tokens)) for text in texts]
    with teacher.open(threads=1) as session:
        return [response.text for _, response in session.generate(requests)]


def rows(texts, outputs):
    return Dataset.from_dict({"id": [f"r{n}" for n in range(len(texts))], "instruction": texts, "output": outputs})


def test_scores_by_set_with_intervals():
    questions = [question(0), question(1), question(2, name="hand"), question(3, "plain", "hand")]
    responses = [
        Response('{ "a": 1.0 }', "stop"),
        Response('{"a":', "length"),
        Response('{"a":1}', "error"),  # what a failed request says is no answer
        Response(" plain ", "stop"),
    ]
    result = score(questions, responses)
    assert list(result) == ["test", "hand"]
    half = wilson(1, 2)
    expected = {"n": 2, "exact_match": 0.5, "exact_match_low": half.low, "exact_match_high": half.high, "errors": 0}
    assert {name: result["test"][name] for name in expected} == expected
    assert (result["test"]["valid_json"], result["test"]["cut"]) == (0.5, 1)
    assert (result["hand"]["exact_match"], result["hand"]["valid_json"], result["hand"]["errors"]) == (0.5, 0.0, 1)


def test_examples_are_the_first_mistakes_of_each_set():
    questions = [question(n, name="hand" if n > 5 else "test") for n in range(9)]
    responses = [Response('{"a":1}' if n == 0 else f"wrong {n}", "stop") for n in range(9)]
    result = examples(questions, responses, 2)
    assert [(example["set"], example["answer"]) for example in result] == [
        ("test", "wrong 1"),
        ("test", "wrong 2"),
        ("hand", "wrong 6"),
        ("hand", "wrong 7"),
    ]
    assert examples(questions, responses, 0) == []


@pytest.mark.slow
def test_a_model_of_four_bits_is_measured_on_every_processor(tmp_path):
    """Where vLLM has no kernel for it, transformers reads the answers, and no speed is said."""
    given = rows([f"turn on light {number}" for number in range(8)], ['{"a":1}'] * 8)
    model = QuantizeInt4(str(exported.causal(tmp_path / "model")), calibration=given, method="rtn", group_size=32)
    folder = model.run(model=model.model, calibration=given, context=compressing.context(tmp_path, "int4"))
    teacher = teacher_for(folder)
    assert isinstance(teacher, ReadByTransformers) == bool(unserved(folder))
    if not isinstance(teacher, ReadByTransformers):
        teacher = ReadByTransformers(str(folder))
    evaluation = context(tmp_path / "evaluation")
    result = Evaluate(teacher, given, max_tokens=4).run(teacher, given, evaluation)
    assert result["tokens_per_s"] is result["first_token_ms_p50"] is result["peak_memory_bytes"] is None
    assert result["bits_per_weight"] < 16
    assert result["sets"]["test"]["n"] == 8
    assert "its speed was not measured" in evaluation.notes["warnings"][0]


def test_a_teacher_is_asked_by_the_protocol_and_scored(tmp_path):
    teacher = EchoTeacher(log=str(tmp_path / "calls"))
    texts = [f"command {number}" for number in range(6)]
    right = answers(EchoTeacher(), texts, max_tokens=9)
    given = {"a": rows(texts[:4], [right[0], "no", right[2], "no"]), "b": rows(texts[4:], right[4:])}
    step = Evaluate(teacher, given, max_tokens=9, latency_requests=3, warmup=2)
    step_context = context(tmp_path)
    result = step.run(teacher, given, step_context)
    assert {name: scores["exact_match"] for name, scores in result["sets"].items()} == {"a": 0.5, "b": 1.0}
    assert [example["expected"] for example in result["examples"]] == ["no", "no"]
    assert result["engine"]["label"] == "echo"
    assert result["tokens_per_s"] > 0 < result["first_token_ms_p50"] <= result["first_token_ms_p95"]
    assert result["weights_bytes"] is result["peak_memory_bytes"] is None
    assert step_context.ledger.kept == 6
    asked = [line.split(" ", 1)[1] for line in calls(tmp_path / "calls")]
    warmup, single, measured = asked[:6], asked[6:11], asked[11:]
    assert warmup == measured == [repr(text) for text in texts]
    assert single == [repr(texts[number]) for number in (5, 4, 3, 2, 1)]  # the far end first


def test_the_warm_up_is_one_batch_and_spares_the_latency_rows(tmp_path):
    teacher = EchoTeacher(log=str(tmp_path / "calls"))
    texts = [f"command {number}" for number in range(WARM_UP_BATCH + 10)]
    given = rows(texts, texts)
    Evaluate(teacher, given, latency_requests=5, warmup=3).run(teacher, given, context(tmp_path))
    asked = calls(tmp_path / "calls")
    assert len(asked) == WARM_UP_BATCH + 8 + len(texts)
    assert not {line.split(" ", 1)[1] for line in asked[:WARM_UP_BATCH]} & {
        line.split(" ", 1)[1] for line in asked[WARM_UP_BATCH : WARM_UP_BATCH + 8]
    }


def test_a_failed_request_is_wrong_and_lost(tmp_path):
    teacher = EchoTeacher(failing=("command 1",))
    given = rows(["command 0", "command 1"], ["", "injected failure"])
    step_context = context(tmp_path)
    result = Evaluate(teacher, given).run(teacher, given, step_context)
    assert (result["sets"]["test"]["exact_match"], result["sets"]["test"]["errors"]) == (0.0, 1)
    assert step_context.ledger.counts()["retryable"] == 1
    assert step_context.ledger.kept == 1


def test_all_bad_rows_are_reported_together(tmp_path):
    given = {
        "empty": rows([], []),
        "bad": Dataset.from_dict({"instruction": ["x", None], "output": [None, "y"]}),
    }
    with pytest.raises(BadInput) as caught:
        Evaluate(EchoTeacher(), given).run(EchoTeacher(), given, context(tmp_path))
    assert [problem.message for problem in caught.value.problems] == [
        "the test set 'empty' has no rows: give at least one",
        "row '0' of the test set 'bad': output must be text",
        "row '1' of the test set 'bad': instruction must be text",
    ]


def test_no_test_sets_is_a_problem():
    assert [problem.field for problem in Evaluate("model", {}).check()] == ["rows"]


def test_where_the_weights_are(tmp_path):
    class Local:
        model = str(tmp_path)

    class Remote(Local):
        base_url = "http://localhost:1"

    assert weights_folder(str(tmp_path)) == weights_folder(tmp_path) == weights_folder(Local()) == tmp_path
    assert weights_folder(Remote()) is None
    assert weights_folder("someone/unknown-model") is None


@pytest.mark.vllm
def test_a_real_model_through_vllm(tmp_path):
    folder = tiny.causal_lm(tmp_path / "model")
    texts = [f"turn on light {number}" for number in range(4)]
    given = rows(texts, ["{}"] * 4)
    step = Evaluate(str(folder), given, max_tokens=6, latency_requests=4)
    result = step.run(folder, given, context(tmp_path / "work"))
    assert result["sets"]["test"]["n"] == 4
    assert 0 < result["engine"]["completion_tokens"] <= 4 * 6
    assert result["tokens_per_s"] > 0 < result["first_token_ms_p50"] <= result["first_token_ms_p95"]
    assert result["weights_bytes"] == (folder / "model.safetensors").stat().st_size
    assert result["peak_memory_bytes"] > 100e6
    assert result["engine"]["label"] == "model"
    assert len(result["examples"]) == 4


def test_a_template_of_other_columns_asks_for_those_and_the_right_answer_alone(tmp_path):
    prompt = "{% block user %}{{ question }}{% endblock %}"
    given = Dataset.from_dict({"question": ["ask", "say"], "answer": ["ask", "no"]})
    step = Evaluate(EchoTeacher(), given, prompt=prompt, gold="answer", latency_requests=1)
    assert tuple(step.needs()["rows"]) == ("question", "answer")
    asked = step.questions({"test": given})
    assert [(one.instruction, one.expected) for one in asked] == [("ask", "ask"), ("say", "no")]
    with pytest.raises(BadInput, match="question"):
        step.questions({"test": Dataset.from_dict({"question": [None], "answer": ["x"]})})
