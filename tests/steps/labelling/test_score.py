"""Reading given text: what is kept are the model's own distributions, top-k or exact, and they train a student."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

import learning
import tiny
from fakes import EchoTeacher, context_in
from potstill.models.chat import encode
from potstill.prompts import render
from potstill.steps import LoadSeeds, PseudoLabel
from potstill.steps.labelling.hidden_labels import HiddenLabels
from potstill.steps.labelling.score import ScoreText, SoftLabels
from potstill.teachers.cache.soft_labels import TOP_COLUMNS, Sidecar, TokenLabels, read_hidden
from potstill.teachers.openai.endpoint import Endpoint
from potstill.teachers.transformers import Transformers
from potstill.trainers import SoftLabel
from potstill.trainers.language_models.vocabulary_check import vocabulary_of
from reader import Reader, ReaderSession


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.causal_lm(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="module")
def live(folder: Path) -> Any:
    """Return a function that gives the live model's tokens and log-probabilities [T, V] of an answer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def distributions(row: dict[str, Any]) -> tuple[list[int], Any]:
        ids, prompt = encode(tokenizer, render("answer.jinja", row), row["output"])
        with torch.no_grad():
            return ids[prompt:], model(torch.tensor([ids])).logits[0, prompt - 1 : -1].log_softmax(-1)

    return distributions


def run(step: Any, rows: list[dict[str, Any]], teacher: Any, folder: Path) -> tuple[list[dict[str, Any]], Any]:
    context = context_in(folder)
    return list(step.run(rows=Dataset.from_list(rows), teacher=teacher, context=context)), context


def test_scored_soft_labels_equal_the_live_teachers(tmp_path: Path, folder: Path, live: Any) -> None:
    step = SoftLabels(LoadSeeds("unused"), teacher=Reader(folder), top_k=16)
    rows, context = run(step, learning.rows(4), Reader(folder), tmp_path)
    for row in rows:
        labels = TokenLabels.read(row, 16)
        ids, logs = live(row)
        assert labels.token_ids.tolist() == ids
        best = logs.topk(16)
        np.testing.assert_allclose(labels.top_logprobs, best.values, rtol=2e-3)
        np.testing.assert_allclose(labels.top_logprobs, logs.gather(1, torch.tensor(labels.top_ids).long()), rtol=2e-3)
        np.testing.assert_allclose(labels.token_logprobs, logs[range(len(ids)), ids], rtol=2e-3)
        np.testing.assert_allclose(np.frombuffer(row["teacher_tail"], "<f2"), 1 - best.values.exp().sum(1), atol=2e-3)
    sidecar = Sidecar.parse(rows[0]["teacher_sidecar"], "row")
    assert (sidecar.k, sidecar.mode) == (16, "scored")
    assert sidecar.tokenizer == learning.sidecar(folder, 16).tokenizer
    assert sidecar.teacher == learning.sidecar(folder, 16).teacher
    assert "raise top_k" in context.notes["warnings"][0]  # a model with random weights is unsure


def test_the_generating_pass_gives_what_scoring_its_own_text_gives(tmp_path: Path, folder: Path) -> None:
    wide = Reader(folder)
    result, _ = run(PseudoLabel(LoadSeeds("x"), teacher=wide, top_k=8, max_tokens=6), learning.rows(2), wide, tmp_path)
    for row in result:
        generated = TokenLabels.read(row, 8)
        assert np.array_equal(generated.top_ids[:, 0], generated.token_ids)
        np.testing.assert_allclose(generated.top_logprobs[:, 0], generated.token_logprobs, rtol=1e-3)
    assert Sidecar.parse(result[0]["teacher_sidecar"], "row").mode == "generated"


def test_a_second_run_reads_nothing_again(tmp_path: Path, folder: Path) -> None:
    step = SoftLabels(LoadSeeds("unused"), teacher=Reader(folder), top_k=4)
    first, _ = run(step, learning.rows(3), Reader(folder), tmp_path)
    asked = len(ReaderSession.calls)
    second, _ = run(step, learning.rows(4), Reader(folder), tmp_path)
    assert len(ReaderSession.calls) == asked + 1
    assert second[:3] == first


def test_rows_without_an_answer_are_left_out_with_the_reason(tmp_path: Path, folder: Path) -> None:
    rows = [*learning.rows(1), learning.rows(2)[1] | {"output": " "}]
    result, context = run(SoftLabels(LoadSeeds("x"), teacher=Reader(folder), top_k=4), rows, Reader(folder), tmp_path)
    assert [row["id"] for row in result] == ["0"]
    assert context.ledger.counts()["filtered"] == {"no output": 1}


def test_score_text_gives_the_log_probability_of_the_answer_and_its_end(
    tmp_path: Path, folder: Path, live: Any
) -> None:
    rows, _ = run(ScoreText(LoadSeeds("x"), teacher=Reader(folder)), learning.rows(2), Reader(folder), tmp_path)
    for row in rows:
        ids, logs = live(row)
        assert row["tokens"] == len(ids)
        assert row["logprob"] == pytest.approx(float(logs[range(len(ids)), ids].sum()), rel=1e-5)
        assert row["mean_logprob"] == pytest.approx(row["logprob"] / row["tokens"])


def test_hidden_states_rebuild_the_live_teachers_distributions(tmp_path: Path, folder: Path, live: Any) -> None:
    from potstill.models.hidden_states import Head

    step = HiddenLabels(LoadSeeds("unused"), teacher=Reader(folder))
    old = learning.with_soft_labels(learning.rows(3), folder, 2)
    rows, _ = run(step, old, Reader(folder), tmp_path)
    head = Head.load(folder, Sidecar.parse(rows[0]["teacher_sidecar"], "row").dtype)
    for row in rows:
        assert "teacher_top_ids" not in row
        ids, logs = live(row)
        tokens, bits = read_hidden(row)
        assert tokens.tolist() == ids
        rebuilt = head.logits(torch.tensor(bits)).log_softmax(-1)
        torch.testing.assert_close(rebuilt, logs, atol=5e-3, rtol=0)


def test_scored_soft_labels_train_a_student_as_the_live_teacher_does(tmp_path: Path, folder: Path) -> None:
    student = tiny.causal_lm(tmp_path / "student", seed=5)
    size = len(vocabulary_of(folder) or ())
    rows, _ = run(
        SoftLabels(LoadSeeds("x"), teacher=Reader(folder), top_k=size), learning.rows(4), Reader(folder), tmp_path
    )
    losses = []
    for result, teacher in ((rows, None), (learning.rows(4), str(folder))):
        context = learning.context(tmp_path / str(len(losses)))
        step = SoftLabel(None, student=str(student), teacher=teacher, alpha=1.0, epochs=2, batch_size=4, warmup=0)
        step.run(learning.dataset(result), str(student), teacher, context)
        losses.append([point["loss"] for point in context.notes["curve"]])
    assert losses[0] == pytest.approx(losses[1], rel=2e-2, abs=1e-3)


def test_teachers_that_cannot_read_text_are_refused() -> None:
    class Deaf(EchoTeacher):
        gives_scores = False

    for step in (SoftLabels(LoadSeeds("x"), teacher=Deaf()), ScoreText(LoadSeeds("x"), teacher=Deaf())):
        assert "take VLLM or Transformers" in str([*step.check()][-1])
    hidden = HiddenLabels(LoadSeeds("x"), teacher=Endpoint("http://127.0.0.1:9/v1", "m"))
    assert [problem.field for problem in hidden.check()] == ["teacher"]


def test_columns_needs_and_disk() -> None:
    step = SoftLabels(LoadSeeds("x"), teacher=EchoTeacher(), top_k=32)
    assert step.needs() == {"rows": ("output", "instruction")}
    assert step.columns({"rows": frozenset({"output", "teacher_hidden"})}) == {"output", *TOP_COLUMNS}
    # 256 tokens of 32 entries at 4.25 bytes, the token's own entry and the tail
    assert step.estimate({"rows": 10}).disk == int(10 * 256 * (33 * 4.25 + 2))


def test_the_last_turn_of_a_conversation_is_read_and_learned_as_an_output_is(tmp_path: Path, folder: Path) -> None:
    asked = [{"role": "user", "content": "turn on"}, {"role": "assistant", "content": "which light?"}]
    asked.append({"role": "user", "content": "kitchen"})
    beside = [{"messages": asked, "output": "on"}]
    inside = [{"messages": [*asked, {"role": "assistant", "content": "on"}]}]
    result = []
    for number, rows in enumerate((beside, inside)):
        step = SoftLabels(LoadSeeds("unused"), teacher=Reader(folder), prompt="chat.jinja", top_k=8)
        assert step.needs() == {"rows": ("messages",)}
        actual, _ = run(step, rows, Reader(folder), tmp_path / str(number))
        result.append(actual)
    assert [result[0][0][name] for name in TOP_COLUMNS] == [result[1][0][name] for name in TOP_COLUMNS]
    for number, rows in enumerate(result):
        context = learning.context(tmp_path / f"student-{number}")
        step = SoftLabel(None, student=str(folder), prompt="chat.jinja", epochs=1)
        step.run(learning.dataset(rows), str(folder), None, context)
        assert context.notes["soft_labels"] == "stored"
    hidden = HiddenLabels(LoadSeeds("unused"), teacher=str(folder), prompt="chat.jinja")
    (actual,), _ = run(hidden, inside, Transformers(str(folder)), tmp_path / "hidden")
    assert len(read_hidden(actual)[0]) == len(TokenLabels.read(result[0][0], 8).token_ids)
