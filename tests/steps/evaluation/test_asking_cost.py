"""A plan names what measuring a paid teacher will cost: prompts, warm-up and latency too, and what it can't know."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fakes import EchoTeacher
from potstill import Pipeline
from potstill.cli import main
from potstill.engine.progress import Silent
from potstill.steps import Evaluate, EvaluateChoices, LoadRows
from potstill.teachers.openai.budget import Price

PRICE = Price(prompt=1_000.0, completion=10_000.0)
WORDS = 397


@dataclass(frozen=True)
class Priced(EchoTeacher):
    price: Price = PRICE


def rows(count, length=WORDS):
    return [{"id": str(one), "instruction": f"{one:03}{'x' * length}", "output": "a"} for one in range(count)]


def evaluated(count, length=WORDS, model=None, **fields):
    given = {"max_tokens": 50, "latency_requests": 4, "warmup": 2, **fields}
    return Evaluate(model or Priced(), LoadRows(rows(count, length)), name="score", **given)


def ready(store, count, length=WORDS):
    Pipeline("p", outputs={"x": LoadRows(rows(count, length))}).execute(store=store, watcher=Silent())


def planned(store, step):
    return next(one for one in Pipeline("p", outputs={"x": step}).plan(store=store) if one.name == "score").estimate


def test_prompts_are_counted_by_their_lengths_with_those_of_warm_up_and_latency(tmp_path):
    ready(tmp_path, 40)
    estimate = planned(tmp_path, evaluated(40))
    # 40 rows and a warm-up batch of 32 are answered at full length, 6 requests by one token each; 400 characters are
    # some 100 tokens
    assert estimate.calls == 40 + 32 + 6 and not estimate.unknown
    read, written = 78 * 100, 72 * 50 + 6
    assert estimate.tokens == read + written
    assert estimate.dollars == pytest.approx(read * 0.001 + written * 0.01)


@pytest.mark.parametrize("length", [1, 997, 19_997])
def test_longer_prompts_cost_more(tmp_path, length):
    ready(tmp_path, 5, length)
    estimate = planned(tmp_path, evaluated(5, length))
    read, written = (5 + 5 + 6) * ((length + 3) // 4), 10 * 50 + 6
    assert estimate.dollars == pytest.approx(read * 0.001 + written * 0.01)


def test_what_was_asked_is_no_more_than_what_was_planned(tmp_path):
    ready(tmp_path, 6)
    log = tmp_path / "calls"
    step = evaluated(6, model=Priced(log=str(log)))
    calls = planned(tmp_path, step).calls
    Pipeline("p", outputs={"x": step}).execute(store=tmp_path, watcher=Silent())
    assert len(log.read_text().splitlines()) == calls


def test_what_was_measured_before_is_asked_no_more(tmp_path):
    Pipeline("p", outputs={"x": evaluated(6)}).execute(store=tmp_path, watcher=Silent())
    again = planned(tmp_path, evaluated(6, measures=["token_f1"]))
    assert (again.calls, again.tokens, again.dollars, again.cached) == (0, 0, 0, 6 + 6 + 6)
    other = planned(tmp_path, evaluated(6, max_tokens=51))
    assert other.calls == 18 and not other.cached


def test_what_is_unknown_before_the_inputs_are_made_is_said_of_paid_teachers(tmp_path):
    first = planned(tmp_path, evaluated(6))
    assert "prompts can't be read" in first.unknown and first.dollars > 0
    free = planned(tmp_path, evaluated(6, model=EchoTeacher()))
    assert not free.unknown and not free.dollars
    assert "number of rows is unknown" in evaluated(6).estimate({"rows": None}).unknown


def test_the_plan_prints_what_it_does_not_know(tmp_path, capsys):
    file = tmp_path / "pipeline.py"
    file.write_text(
        "from potstill import Endpoint, Pipeline\n"
        "from potstill.steps import Evaluate, LoadRows\n"
        "from potstill.teachers.openai.budget import Price\n"
        "paid = Endpoint('http://127.0.0.1:9/v1', 'm', price=Price(prompt=1.0, completion=1.0))\n"
        "rows = LoadRows([{'instruction': 'a', 'output': 'b'}])\n"
        "pipeline = Pipeline('p', outputs={'x': Evaluate(paid, rows, name='score')})\n"
    )
    main(["plan", str(file), "--store", str(tmp_path / "store")])
    printed = capsys.readouterr()
    assert "what score asks, whose prompts can't be read" in printed.out + printed.err


def test_choices_are_counted_as_texts_that_are_read(tmp_path):
    given = [{"instruction": "x" * 400, "choices": ["a", "b", "c"], "output": "a"} for _ in range(4)]
    step = EvaluateChoices(Priced(), LoadRows(given), name="score")
    assert "not counted" in planned(tmp_path, step).unknown
    Pipeline("p", outputs={"x": LoadRows(given)}).execute(store=tmp_path, watcher=Silent())
    estimate = planned(tmp_path, step)
    # equal rows are asked once
    assert estimate.calls == 3 and not estimate.unknown
    assert estimate.tokens == pytest.approx(3 * 100, rel=0.1)
    assert estimate.dollars == pytest.approx(estimate.tokens * 0.001)
