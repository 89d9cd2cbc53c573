"""Agreement of a student with its teacher: answers, tokens, and distributions on the same text."""

from __future__ import annotations

import json

import numpy as np
import pandas
import pytest
import torch
from datasets import Dataset

import tiny
from fakes import context_in
from potstill import Transformers
from potstill.errors import BadInput, TooManyLost
from potstill.metrics.kept_rows import FILE
from potstill.models import chat
from potstill.steps import EvaluateAgreement
from potstill.teachers.protocol import Response
from scripted import Scripted

ROWS = [{"id": str(n), "instruction": f"turn on the light in room {n}"} for n in range(3)]


def test_a_model_agrees_with_itself_and_divergence_is_the_whole_one_with_all_entries(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    first, second = tiny.causal_lm(tmp_path / "a"), tiny.causal_lm(tmp_path / "b", seed=1)
    vocabulary = AutoModelForCausalLM.from_pretrained(first).config.vocab_size
    teacher, student = Transformers(str(first)), Transformers(str(second))
    step = EvaluateAgreement(student, None, teacher=teacher, max_tokens=8, top_k=vocabulary)
    context = context_in(tmp_path / "run")
    rows = Dataset.from_list(ROWS)
    own = step.run(teacher, rows, teacher, context)["sets"]["test"]
    assert (own["agreement"], own["same_tokens"], own["top1"]) == (1.0, 1.0, 1.0)
    assert own["kl"] == pytest.approx(0, abs=1e-6)
    metrics = step.run(student, rows, teacher, context)
    figures = metrics["sets"]["test"]
    kept = pandas.read_parquet(context.out / FILE)
    # the same text through both models by hand
    tokenizer = AutoTokenizer.from_pretrained(first)
    models = [AutoModelForCausalLM.from_pretrained(folder).eval() for folder in (first, second)]
    total, count, same = 0.0, 0, 0
    for row, answer in zip(ROWS, kept.gold, strict=True):
        ids, prompt = chat.encode(tokenizer, [{"role": "user", "content": row["instruction"]}], answer)
        with torch.no_grad():
            p, q = (model(torch.tensor([ids])).logits[0, prompt - 1 : -1].float().log_softmax(-1) for model in models)
        total += float((p.exp() * (p - q)).sum())
        same += int((p.argmax(-1) == q.argmax(-1)).sum())
        count += len(ids) - prompt
    assert figures["tokens"] == count
    assert figures["kl"] == pytest.approx(total / count, abs=2e-3)  # kept as float16
    assert figures["top1"] == pytest.approx(same / count, abs=1e-9)
    assert figures["kl_low"] <= figures["kl"] <= figures["kl_high"]
    json.dumps(metrics, allow_nan=False)


def test_a_teacher_without_tokens_is_compared_by_its_answers_alone(tmp_path):
    same, other = Scripted(say=lambda request: "on"), Scripted(model="other", say=lambda request: _other(request))
    context = context_in(tmp_path)
    figures = EvaluateAgreement(other, None, teacher=same).run(other, Dataset.from_list(ROWS), same, context)
    figures = figures["sets"]["test"]
    assert figures["agreement"] == pytest.approx(2 / 3)
    assert figures["same_tokens"] is None and figures["kl"] is None
    assert pandas.read_parquet(context.out / FILE).correct.tolist() == [True, True, False]


def _other(request):
    return "off" if "room 2" in request.messages[-1]["content"] else "on"


def test_a_model_that_fails_and_an_empty_set_are_clear_statements(tmp_path):
    good, bad = Scripted(say=lambda request: "on"), Scripted(model="bad", say=lambda request: Response("no", "error"))
    with pytest.raises(TooManyLost, match="failed for 3 of 3 rows, the first time with: no"):
        EvaluateAgreement(bad, None, teacher=good).run(bad, Dataset.from_list(ROWS), good, context_in(tmp_path))
    with pytest.raises(BadInput, match="'test' has no rows"):
        EvaluateAgreement(good, None, teacher=good).run(good, Dataset.from_list([]), good, context_in(tmp_path))


def test_a_student_of_nan_does_not_agree_with_anybody(tmp_path):
    def scored(request, value):
        ids, logprobs = np.array([[1, 2]], np.int32), np.array([[value, -1.0]], np.float16)
        return Response("on", "stop", token_ids=ids[0], top_ids=ids, top_logprobs=logprobs)

    teacher = Scripted(say=lambda request: scored(request, -0.5))
    student = Scripted(model="broken", say=lambda request: scored(request, float("nan")))
    step = EvaluateAgreement(student, None, teacher=teacher)
    with pytest.raises(TooManyLost, match="NaN"):
        step.run(student, Dataset.from_list(ROWS), teacher, context_in(tmp_path))
