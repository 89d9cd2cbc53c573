"""Multiple choice by log-probability: which choice is taken, by what, and that it is the model's own."""

from __future__ import annotations

import pandas
import pytest
import torch
from datasets import Dataset

import tiny
from fakes import EchoTeacher, context_in
from potstill import Endpoint, Transformers
from potstill.errors import BadInput, TooManyLost
from potstill.metrics.kept_rows import FILE
from potstill.models import chat
from potstill.steps import EvaluateChoices, LoadRows
from potstill.steps.evaluation.choices import chosen
from potstill.teachers.protocol import Response
from running import problems_of
from scripted import Scripted

ROWS = [
    {"id": "a", "instruction": "turn on the light", "choices": ["light", "the heating of the room"], "output": "light"},
    {"id": "b", "instruction": "play jazz", "choices": ["music", "a film", "nothing"], "output": "a film"},
]


def test_short_choices_have_the_advantage_as_they_are_and_not_by_token_or_byte():
    one = chosen([-4.0, -6.0, -9.0], [1, 3, 3], ["no", "not at all", "never at all"])
    assert one.picks == {"sum": 0, "token": 1, "byte": 1}
    assert one.probability == pytest.approx(1 / (1 + 2.718281828**-2 + 2.718281828**-5))


def test_the_log_probabilities_are_the_model_s_own(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tiny.causal_lm(tmp_path / "model")
    teacher, context = Transformers(str(folder)), context_in(tmp_path)
    metrics = EvaluateChoices(teacher, None).run(teacher, Dataset.from_list(ROWS[:1]), context)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    scores, tokens = [], []
    for choice in ROWS[0]["choices"]:
        ids, prompt = chat.encode(tokenizer, [{"role": "user", "content": "turn on the light"}], choice)
        with torch.no_grad():
            logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        each = [float(logprobs[place - 1, ids[place]]) for place in range(prompt, len(ids))]
        scores.append(sum(each))
        tokens.append(len(each))
    wanted = chosen(scores, tokens, ROWS[0]["choices"])
    (row,) = pandas.read_parquet(context.out / FILE).to_dict("records")
    assert row["answer"] == ROWS[0]["choices"][wanted.picks["sum"]]
    assert row["probability"] == pytest.approx(wanted.probability, rel=1e-3)
    figures = metrics["sets"]["test"]
    for norm, place in wanted.picks.items():
        assert figures[f"accuracy_by_{norm}"] == float(place == 0)


def by_length(request):
    """Find short choices likely, and each token of long ones."""
    import numpy as np

    count = len(request.continuation.split())
    return Response("", "stop", token_logprobs=np.array([-2.0] + [-1.0] * (count - 1), np.float32))


def test_all_three_accuracies_are_measured_and_rows_are_kept(tmp_path):
    teacher, context = Scripted(say=by_length), context_in(tmp_path)
    metrics = EvaluateChoices(teacher, LoadRows(ROWS), by="token").run(teacher, Dataset.from_list(ROWS), context)
    figures = metrics["sets"]["test"]
    assert (figures["accuracy_by_sum"], figures["accuracy_by_token"]) == (0.5, 0.5)
    assert figures["accuracy"] == figures["accuracy_by_token"]
    assert figures["chance"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    rows = pandas.read_parquet(context.out / FILE)
    assert rows.answer.tolist() == ["the heating of the room", "a film"]
    assert rows.correct.tolist() == [False, True]
    places = Dataset.from_list([{**row, "output": 1} for row in ROWS])
    by_place = EvaluateChoices(teacher, LoadRows(ROWS), by="token").run(teacher, places, context)
    assert by_place["sets"]["test"]["accuracy"] == 1.0


def test_a_failing_teacher_costs_its_rows_and_says_so(tmp_path):
    def say(request):
        return Response("broken", "error") if "jazz" in request.messages[-1]["content"] else by_length(request)

    teacher = Scripted(say=say)
    with pytest.raises(TooManyLost, match="failed for 1 of 2 rows, the first time with: broken"):
        EvaluateChoices(teacher, LoadRows(ROWS)).run(teacher, Dataset.from_list(ROWS), context_in(tmp_path / "a"))
    context = context_in(tmp_path / "b")
    metrics = EvaluateChoices(teacher, LoadRows(ROWS), max_failed=0.5).run(teacher, Dataset.from_list(ROWS), context)
    assert metrics["sets"]["test"]["errors"] == 1
    assert pandas.read_parquet(context.out / FILE).finish_reason.tolist() == ["stop", "error"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"choices": ["one"]}, "at least two that differ"),
        ({"choices": ["one", "one"]}, "at least two that differ"),
        ({"choices": "light"}, "must be a list of texts"),
        ({"output": "fan"}, "must be one of the choices or its place, got 'fan'"),
        ({"output": "7"}, "must be one of the choices"),
    ],
)
def test_a_row_that_is_no_choice_is_named(tmp_path, change, text):
    teacher, rows = EchoTeacher(), Dataset.from_list([{**ROWS[0], **change}])
    with pytest.raises(BadInput, match=text):
        EvaluateChoices(teacher, LoadRows(ROWS)).run(teacher, rows, context_in(tmp_path))


def test_an_empty_set_and_a_teacher_without_scores_are_clear_statements(tmp_path):
    with pytest.raises(BadInput, match="'test' has no rows"):
        EvaluateChoices(EchoTeacher(), None).run(EchoTeacher(), Dataset.from_list([]), context_in(tmp_path))
    step = EvaluateChoices(Endpoint("http://localhost:1/v1", "m"), LoadRows(ROWS))
    assert any("can't give the log-probabilities" in problem for problem in problems_of(step))


def test_choices_that_are_equally_likely_are_no_choice_and_nan_is_no_score(tmp_path):
    import numpy as np

    def all_alike(request):
        return Response("", "stop", token_logprobs=np.array([-1.0], np.float32))

    first_is_right = [{**row, "output": 0} for row in ROWS]
    teacher, context = Scripted(say=all_alike), context_in(tmp_path / "a")
    step = EvaluateChoices(teacher, LoadRows(ROWS))
    figures = step.run(teacher, Dataset.from_list(first_is_right), context)["sets"]["test"]
    assert (figures["accuracy"], figures["ties"]) == (0.0, 2)
    assert pandas.read_parquet(context.out / FILE).answer.isna().all()
    nan = Scripted(say=lambda _: Response("", "stop", token_logprobs=np.array([float("nan")], np.float32)))
    with pytest.raises(TooManyLost, match="NaN"):
        step.run(nan, Dataset.from_list(first_is_right), context_in(tmp_path / "b"))
