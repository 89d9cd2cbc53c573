"""Classification by label probabilities: exact, calibrated, averaged; by choice where texts can't be scored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from datasets import Dataset

import learning
import tiny
from fakes import context_in
from potstill.errors import PotstillError
from potstill.steps import LoadSeeds
from potstill.steps.labelling.classify import ClassifyWithTeacher
from potstill.teachers.ensemble import Ensemble
from potstill.teachers.protocol import Request, Response
from reader import Reader


@dataclass(frozen=True)
class Scorer:
    """Gives texts the probabilities of a table: by what the chat ends with, then by text."""

    table: dict[str, dict[str, float]]
    label: str = "scorer"
    gives_scores: bool = True
    failing: str = "-"

    heavy: ClassVar[bool] = False
    asked: ClassVar[list[Request]] = []

    def identity(self) -> dict[str, Any]:
        return {"model": self.label}

    @contextmanager
    def open(self, *, threads: int) -> Iterator[Scorer]:
        yield self

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        for index, request in enumerate(requests):
            self.asked.append(request)
            shown = request.messages[-1]["content"] if request.messages[-1]["role"] == "user" else ""
            if shown == self.failing:
                yield index, Response("down", "error")
                continue
            shares = self.table.get(shown, self.table["free"])
            if request.continuation is not None:
                # every word costs the same, and so does the end
                words = len(request.continuation.split()) + 1
                each = math.log(shares[request.continuation]) / words
                yield index, Response("", "stop", 1, 0, token_logprobs=np.full(words, each, np.float32))
            else:
                draw = np.random.default_rng(request.seed).choice(len(shares), p=list(shares.values()))
                yield index, Response(list(shares)[int(draw)], "stop")


TABLE = {
    shown: dict(zip(("yes", "not at all"), shares, strict=True))
    for shown, shares in {"free": (0.6, 0.2), "leans": (0.5, 0.4), "sure": (0.9, 0.05)}.items()
}
CLASSES = ("yes", "not at all")


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    Scorer.asked.clear()


def classify(folder: Path, texts: list[str], teacher: Any, **fields: Any) -> tuple[list[dict[str, Any]], Any]:
    step = ClassifyWithTeacher(LoadSeeds("unused"), teacher=teacher, **{"classes": CLASSES, **fields})
    assert not list(step.check())
    context = context_in(folder)
    rows = Dataset.from_dict({"id": [f"r{n}" for n in range(len(texts))], "instruction": texts})
    return list(step.run(rows=rows, teacher=teacher, context=context)), context


def shares(row: dict[str, Any]) -> list[float]:
    return list(row["probabilities"].values())


def test_calibration_undoes_the_teachers_preference(tmp_path: Path) -> None:
    plain, _ = classify(tmp_path, ["leans", "sure"], Scorer(TABLE), content_free=())
    assert [row["label"] for row in plain] == ["yes", "yes"]
    assert plain[0]["probabilities"] == pytest.approx({"yes": 5 / 9, "not at all": 4 / 9})
    rows, context = classify(tmp_path, ["leans", "sure"], Scorer(TABLE))
    # without content the two stand 3 to 1
    odds = (5 / 9 / 0.75, 4 / 9 / 0.25)
    assert rows[0]["label"] == "not at all"
    assert shares(rows[0]) == pytest.approx([odd / sum(odds) for odd in odds], rel=1e-5)
    assert rows[0]["confidence"] == max(shares(rows[0]))
    assert rows[1]["label"] == "yes"
    assert context.notes["classes"] == list(CLASSES)
    # two labels for two rows, which the second run shares with the first, and three inputs without content
    assert len(Scorer.asked) == 2 * 2 + 3 * 2


def test_the_mean_of_the_tokens_favours_long_labels(tmp_path: Path) -> None:
    [row], _ = classify(tmp_path, ["leans"], Scorer(TABLE), content_free=(), length="mean")
    scores = [math.exp(math.log(0.5) / 2), math.exp(math.log(0.4) / 4)]
    assert shares(row) == pytest.approx([score / sum(scores) for score in scores], rel=1e-5)
    assert row["label"] == "not at all"


def test_labels_may_be_called_otherwise_than_their_texts(tmp_path: Path) -> None:
    [row], _ = classify(tmp_path, ["sure"], Scorer(TABLE), classes={"positive": "yes", "negative": "not at all"})
    assert row["label"] == "positive"
    assert row["probabilities"]["positive"] == row["confidence"]
    assert {request.continuation for request in Scorer.asked} == {"yes", "not at all"}


def test_members_are_averaged_or_vote(tmp_path: Path) -> None:
    against = {"free": {"yes": 0.5, "not at all": 0.5}, "q": {"yes": 0.1, "not at all": 0.9}}
    mildly = {"free": {"yes": 0.5, "not at all": 0.5}, "q": {"yes": 0.6, "not at all": 0.4}}
    members = [Scorer(against, "a"), Scorer(mildly, "b"), Scorer(mildly, "c")]
    [row], _ = classify(tmp_path, ["q"], members)
    assert row["label"] == "not at all"
    assert shares(row) == pytest.approx([1.3 / 3, 1.7 / 3], rel=1e-5)
    assert row["votes"] == [
        {"teacher": name, "label": said} for name, said in (("a", "not at all"), ("b", "yes"), ("c", "yes"))
    ]
    [row], _ = classify(tmp_path, ["q"], Ensemble(members, how="vote"))
    assert (row["label"], row["confidence"]) == ("yes", pytest.approx(2 / 3))


def test_a_teacher_that_cannot_score_chooses(tmp_path: Path) -> None:
    table = {"free": {"yes": 0.5, "not at all": 0.5}, "q": {"yes": 0.25, "not at all": 0.75}}
    [row], _ = classify(tmp_path, ["q"], Scorer(table, gives_scores=False), samples=200)
    assert row["label"] == "not at all"
    assert row["confidence"] == pytest.approx(0.75, abs=0.1)
    assert len(Scorer.asked) == 200
    assert all(request.sampling.structured.choice == CLASSES for request in Scorer.asked)


@dataclass(frozen=True)
class Speaker(Scorer):
    """Says what it is given to say to a text, one answer after the other."""

    gives_scores: bool = False
    gives_forms: tuple[str, ...] = ()
    said: tuple[str, ...] = ()

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        for index, request in enumerate(requests):
            self.asked.append(request)
            yield index, Response(self.said[(len(self.asked) - 1) % len(self.said)], "stop", 1, 1)


def test_an_api_is_asked_once_a_text_and_read_like_any_choice(tmp_path: Path) -> None:
    Scorer.asked.clear()
    rows, context = classify(tmp_path, ["a", "b"], Speaker({}, said=("**Yes**", "The label is: not at all.")))
    assert [(row["label"], row["confidence"]) for row in rows] == [("yes", 1.0), ("not at all", 1.0)]
    assert shares(rows[0]) == [1.0, 0.0]
    assert [request.sampling.temperature for request in Scorer.asked] == [0.0, 0.0]
    assert context.ledger.kept == 2


def test_an_unclear_answer_is_asked_again_and_then_lost_with_the_reason(tmp_path: Path) -> None:
    Scorer.asked.clear()
    rows, _ = classify(tmp_path / "a", ["a"], Speaker({}, said=("I can't tell yes from no.", "yes")))
    assert [row["label"] for row in rows] == ["yes"]
    assert [request.sampling.temperature for request in Scorer.asked] == [0.0, 0.7]
    rows, context = classify(tmp_path / "b", ["a"], Speaker({}, said=("It depends.",)), max_failed=1.0)
    assert not rows
    assert context.ledger.counts()["failed"] == {"answer does not parse": 1}


def test_several_samples_count_what_is_unclear(tmp_path: Path) -> None:
    Scorer.asked.clear()
    teacher = Speaker({}, said=("yes", "It depends.", "Yes, sure.", "not at all"))
    [row], context = classify(tmp_path, ["a"], teacher, samples=4)
    assert shares(row) == pytest.approx([2 / 3, 1 / 3])
    assert context.notes["unclear_choices"] == 1


def test_the_text_may_be_in_another_column() -> None:
    step = ClassifyWithTeacher(LoadSeeds("x"), teacher=Scorer(TABLE), classes=CLASSES, text="review")
    assert step.needs() == {"rows": ("review",)}
    assert step._given({"review": "good"})["instruction"] == "good"


def test_failures_lose_the_row_and_a_failed_calibration_the_step(tmp_path: Path) -> None:
    rows, context = classify(tmp_path / "a", ["bad", "sure"], Scorer(TABLE, failing="bad"), max_failed=0.5)
    assert [row["id"] for row in rows] == ["r1"]
    assert context.ledger.total("retryable") == 1
    with pytest.raises(PotstillError, match="content-free input 'N/A'"):
        classify(tmp_path / "b", ["sure"], Scorer(TABLE, failing="N/A"))


def test_with_a_real_model_the_probability_is_that_of_the_whole_answer(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from potstill.models.chat import encode
    from potstill.prompts import render

    folder = tiny.causal_lm(tmp_path / "model")
    classes = ("light", "light in the kitchen")
    rows, _ = classify(tmp_path, ["turn on the light"], Reader(folder), classes=classes, content_free=())
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).float()
    logs = []
    for text in classes:
        messages = render("classify.jinja", {"instruction": "turn on the light", "classes": classes})
        ids, prompt = encode(tokenizer, messages, text)
        with torch.no_grad():
            every = model(torch.tensor([ids])).logits[0, prompt - 1 : -1].log_softmax(-1)
        logs.append(float(every[range(len(every)), ids[prompt:]].sum()))
    expected = torch.tensor(logs, dtype=torch.float64).softmax(0).tolist()
    assert shares(rows[0]) == pytest.approx(expected, rel=1e-3)
    assert learning.sidecar(folder, 0).tokenizer


def test_what_cannot_work_is_said_before_anything_runs() -> None:
    for classes in (("one",), {"a": "same", "b": "same"}, {"a": "", "b": "x"}):
        step = ClassifyWithTeacher(LoadSeeds("x"), teacher=Scorer(TABLE), classes=classes)
        assert [problem.field for problem in step.check()] == ["classes"]
    step = ClassifyWithTeacher(LoadSeeds("x"), teacher=[Scorer(TABLE), Scorer(TABLE, "b")], classes=CLASSES)
    assert step.needs() == {"rows": ("instruction",)}
    assert step.columns({"rows": frozenset({"id"})}) == {"id", "label", "confidence", "probabilities", "votes"}
    assert step.estimate({"rows": 10}).calls == 40
