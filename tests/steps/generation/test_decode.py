"""Decode: what it writes is paid for once, ranked by score, and lost rows are named."""

from dataclasses import replace

import pytest

import learning
import tiny
import translating
from potstill.steps.generation.decode import Decode
from potstill.teachers.cache.search_cache import without_thoughts
from potstill.teachers.search import Hypothesis
from potstill.teachers.transformers import Transformers


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An encoder-decoder that has half learned the pairs, so that its outputs differ."""
    return translating.learned(tmp_path_factory.mktemp("model"), steps=30)


def decode(folder, model, rows=None, **fields):
    """Decode in `folder`; return the rows and the context."""
    context = learning.context(folder)
    given = learning.dataset(translating.rows() if rows is None else rows)
    step = Decode(None, model=model if isinstance(model, Transformers) else str(model), **{"max_tokens": 12, **fields})
    return list(step.run(given, step.model, context)), context


def usage(context):
    return {name: context.notes["usage"][name] for name in ("calls", "cached")}


def test_the_second_run_asks_nothing_and_gives_the_same_rows(tmp_path, model):
    first, context = decode(tmp_path, model, method="beam", beams=3, keep=2)
    assert usage(context) == {"calls": 8, "cached": 0}
    again, context = decode(tmp_path, model, method="beam", beams=3, keep=2, batch_size=5)
    assert again == first and usage(context) == {"calls": 0, "cached": 8}
    # one row is new
    rows = [*translating.rows(), {"id": "8", "instruction": "two women", "output": "zwei Frauen"}]
    more, context = decode(tmp_path, model, rows, method="beam", beams=3, keep=2, keep_cut=True)
    assert more[:8] == first and usage(context) == {"calls": 1, "cached": 8}
    assert usage(decode(tmp_path, model, method="beam", beams=4)[1])["calls"] == 8


def test_an_interrupted_run_goes_on_where_it_was(tmp_path, model):
    rows = [{"instruction": f"{row['instruction']} {n}"} for n in range(3) for row in translating.rows()]
    step = Decode(None, model=str(model), batch_size=1, max_tokens=4, keep_cut=True)
    answers = step.run(learning.dataset(rows), str(model), learning.context(tmp_path))
    next(answers)
    answers.close()
    result, context = decode(tmp_path, model, rows, batch_size=1, max_tokens=4, keep_cut=True)
    assert len(result) == 24 and usage(context) == {"calls": 8, "cached": 16}


def test_the_rows_own_output_becomes_the_reference_and_stale_soft_labels_go(tmp_path, model):
    rows = [row | {"teacher_sidecar": "{}"} for row in translating.rows(2)]
    result, _ = decode(tmp_path, model, rows, keep_cut=True)
    assert [row["reference"] for row in result] == [row["output"] for row in rows]
    assert set(result[0]) == {"id", "instruction", "output", "finish_reason", "score", "reference"}
    step = Decode(None, model="x", keep=3)
    columns = step.columns({"rows": frozenset(rows[0])})
    assert columns == {*result[0], "hypotheses"}
    bare, _ = decode(tmp_path, model, [{"instruction": "snow"}], keep_cut=True)
    assert set(bare[0]) == {"instruction", "output", "finish_reason", "score"}


def test_the_best_of_the_samples_is_the_best_scored_and_more_samples_ask_the_new_ones_only(tmp_path, model):
    few, context = decode(tmp_path, model, method="best_of", samples=2, keep=9, keep_cut=True, temperature=1.5)
    assert usage(context) == {"calls": 16, "cached": 0}
    many, context = decode(tmp_path, model, method="best_of", samples=5, keep=9, keep_cut=True, temperature=1.5)
    assert usage(context) == {"calls": 24, "cached": 16}
    for less, row in zip(few, many, strict=True):
        assert len(less["hypotheses"]) == 2 and len(row["hypotheses"]) == 5
        whole = [one for one in row["hypotheses"] if one["finish_reason"] == "stop"] or row["hypotheses"]
        assert row["score"] == max(one["score"] for one in whole)
        assert all(one in row["hypotheses"] for one in less["hypotheses"])
    assert any(less["output"] != row["output"] for less, row in zip(few, many, strict=True))
    other, _ = decode(tmp_path, model, method="best_of", samples=2, keep=9, keep_cut=True, temperature=1.5, seed=1)
    assert other != few


def test_cut_outputs_are_lost_with_the_reason(tmp_path, model):
    result, context = decode(tmp_path, model, max_tokens=1)
    assert result == [] and context.ledger.counts()["permanent"] == 8
    assert "cut at max_tokens" in (tmp_path / "lost.jsonl").read_text()
    result, context = decode(tmp_path, model, max_tokens=1, keep_cut=True)
    assert {row["finish_reason"] for row in result} == {"length"} and usage(context)["calls"] == 0


def test_a_prompt_that_is_too_long_is_lost_alone(tmp_path):
    bart = translating.model(tmp_path / "bart", "bart")
    rows = translating.rows(3)
    rows[1]["instruction"] = "x" * 200
    rows.append(rows[1] | {"id": "3"})
    result, context = decode(tmp_path, bart, rows, keep_cut=True)
    assert [row["id"] for row in result] == ["0", "2"] and context.ledger.counts()["permanent"] == 2
    assert "64 places" in (tmp_path / "lost.jsonl").read_text()


def test_a_teacher_is_asked_and_writes_what_its_model_does(tmp_path):
    causal = tiny.causal_lm(tmp_path / "causal", layers=1)
    teacher = Transformers(str(causal), dtype="float32")
    for fields in ({}, {"method": "best_of", "samples": 2}):
        own, _ = decode(tmp_path, causal, max_tokens=5, keep_cut=True, **fields)
        asked, context = decode(tmp_path, teacher, max_tokens=5, keep_cut=True, **fields)
        assert [row["output"] for row in asked] == [row["output"] for row in own]
        assert context.notes["usage"]["calls"] == 8 * (2 if fields else 1)
    assert asked[0]["score"] == pytest.approx(own[0]["score"], abs=1e-3)
    assert decode(tmp_path, teacher, max_tokens=5, keep_cut=True)[0][0]["score"] is None


def test_what_a_teacher_cant_do_is_said_before_anything_runs():
    from potstill import Endpoint

    teacher = Transformers("x")
    assert "no beam search" in "".join(p.message for p in Decode(None, model=teacher, method="beam").check())
    endpoint = Endpoint("http://localhost:1/v1", "m")
    messages = [problem.message for problem in Decode(None, model=endpoint, method="best_of").check()]
    assert endpoint.gives_top_k or any("no log-probabilities to rank by" in message for message in messages)
    assert not Decode(None, model=endpoint).placement().heavy and Decode(None, model="folder").placement().heavy


def test_thoughts_are_no_part_of_an_output() -> None:
    written = Hypothesis("<think>the kitchen</think>light", "stop", -3.0, 9)
    assert without_thoughts(written) == replace(written, text="light")
    assert without_thoughts(replace(written, text="light")) == replace(written, text="light")
    unfinished = without_thoughts(replace(written, text="<think>the kitchen"))
    assert (unfinished.text, unfinished.finish_reason) == ("", "length")
