"""Self-consistency and ensembles: who is asked what, how votes are counted, and that nothing is asked twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from datasets import Dataset

import fakes
from fakes import EchoTeacher, context_in
from potstill import Pipeline
from potstill.steps import LoadSeeds, PseudoLabel
from potstill.teachers.cache.soft_labels import Sidecar, TokenLabels
from potstill.teachers.ensemble import Ensemble, names_of
from potstill.teachers.protocol import Request, Response


@dataclass(frozen=True)
class Sayer:
    """Answers the n-th sample of a prompt with the n-th of its texts; writes down when it is opened and closed."""

    label: str
    says: tuple[str, ...]
    model: str = "sayer"

    heavy: ClassVar[bool] = False
    diary: ClassVar[list[str]] = []
    unkeyed: ClassVar[frozenset[str]] = frozenset({"label"})

    def identity(self) -> dict[str, Any]:
        return {"model": f"{self.model} {self.label}"}

    @contextmanager
    def open(self, *, threads: int) -> Iterator[Sayer]:
        self.diary.append(f"open {self.label}")
        yield self
        self.diary.append(f"close {self.label}")

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        seen: dict[str, int] = {}
        for index, request in enumerate(requests):
            prompt = request.messages[-1]["content"]
            text = self.says[seen.setdefault(prompt, 0) % len(self.says)]
            seen[prompt] += 1
            self.diary.append(f"{self.label}: {prompt}")
            if text == "fail":
                yield index, Response("down", "error")
                continue
            count, k = len(text.split()), request.sampling.top_k
            logs = np.log(np.full((count, k), 0.99 / k)).astype(np.float16) if k else None
            ids = np.arange(count * k, dtype=np.int32).reshape(count, k) if k else None
            tokens = np.arange(count, dtype=np.int32) if k else None
            yield index, Response(text, "length" if text == "cut" else "stop", 1, count, tokens, ids, logs)


@pytest.fixture(autouse=True)
def _new_diary() -> None:
    Sayer.diary.clear()


def label(folder: Path, texts: list[str], teacher: Any, **fields: Any) -> tuple[list[dict[str, Any]], Any]:
    step = PseudoLabel(LoadSeeds("unused"), teacher=teacher, **fields)
    assert not list(step.check())
    context = context_in(folder)
    rows = Dataset.from_dict({"id": [f"r{n}" for n in range(len(texts))], "instruction": texts})
    return list(step.run(rows=rows, teacher=teacher, context=context)), context


def test_the_majority_of_samples_is_kept_with_its_share(tmp_path: Path) -> None:
    teacher = Sayer("a", ("it is 4, so 4", "5", "surely 4", "cut", "none"))
    rows, context = label(tmp_path, ["q"], teacher, samples=5, temperature=0.7, answer=r"\d+")
    [row] = rows
    assert row["output"] == "it is 4, so 4"
    assert (row["answer"], row["confidence"]) == ("4", 0.4)  # a cut and an unreadable answer count as none
    assert row["votes"] == [{"answer": "4", "count": 2}, {"answer": "5", "count": 1}]
    assert context.notes["usage"]["calls"] == 5


def test_without_a_pattern_json_is_compared_by_content(tmp_path: Path) -> None:
    teacher = Sayer("a", ('{"a":1}', '{"b": 2, "a": 1}', '{"a":1,"b":2}'))
    [row], _ = label(tmp_path, ["q"], teacher, samples=3, temperature=1.0)
    assert row["output"] == '{"b": 2, "a": 1}'
    assert row["confidence"] == pytest.approx(2 / 3)


def test_more_samples_ask_only_for_the_new_ones(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    echo = EchoTeacher(log=log)
    label(tmp_path, ["q", "p"], echo, temperature=0.7)
    label(tmp_path, ["q", "p"], echo, samples=3, temperature=0.7)
    label(tmp_path, ["q", "p"], echo, samples=5, temperature=0.7)
    assert len(fakes.calls(log)) == 10
    label(tmp_path, ["q", "p"], echo, samples=5, temperature=0.7, answer=r"\w+")  # another reading of the same answers
    assert len(fakes.calls(log)) == len(set(fakes.calls(log))) == 10


def test_an_answer_that_none_can_read_is_lost_with_its_text(tmp_path: Path) -> None:
    rows, context = label(tmp_path, ["q"], Sayer("a", ("no number",)), answer=r"\d+", max_failed=1.0)
    assert not rows
    assert context.ledger.counts()["failed"] == {"no answer in the text": 1}
    assert "no number" in (tmp_path / "lost.jsonl").read_text()


def test_teachers_vote_and_are_opened_one_after_another(tmp_path: Path) -> None:
    members = [Sayer("a", ("yes",)), Sayer("b", ("no",)), Sayer("c", ("no",))]
    rows, context = label(tmp_path, ["q", "p"], members)
    assert [(row["output"], row["teacher"], row["confidence"]) for row in rows] == [
        ("no", "b", pytest.approx(2 / 3))
    ] * 2
    assert [line for line in Sayer.diary if ": " not in line] == [
        "open a",
        "close a",
        "open b",
        "close b",
        "open c",
        "close c",
    ]
    assert context.ledger.kept == 2


def test_a_new_member_is_the_only_one_asked(tmp_path: Path) -> None:
    members = [Sayer("a", ("yes",)), Sayer("b", ("no",))]
    label(tmp_path, ["q", "p"], members)
    Sayer.diary.clear()
    label(tmp_path, ["q", "p"], [*members, Sayer("c", ("no",))])
    assert Sayer.diary == ["open c", "c: q", "c: p", "close c"]


def test_a_failed_member_loses_the_row_until_it_answers(tmp_path: Path) -> None:
    rows, context = label(tmp_path, ["q"], [Sayer("a", ("yes",)), Sayer("b", ("fail",))], max_failed=1.0)
    assert not rows and context.ledger.total("retryable") == 1
    Sayer.diary.clear()
    rows, _ = label(tmp_path, ["q"], [Sayer("a", ("yes",)), Sayer("b", ("yes",))])
    assert rows[0]["confidence"] == 1.0
    assert Sayer.diary == ["open b", "b: q", "close b"]


def test_round_robin_shares_the_rows_out_and_a_new_member_only_takes_some(tmp_path: Path) -> None:
    texts = [f"q{number}" for number in range(60)]
    two = [Sayer("a", ("by a",)), Sayer("b", ("by b",))]
    rows, _ = label(tmp_path, texts, Ensemble(two, how="round_robin"))
    by = [row["teacher"] for row in rows]
    assert 18 <= by.count("a") <= 42
    assert all(row["output"] == f"by {row['teacher']}" for row in rows)
    assert "confidence" not in rows[0]
    Sayer.diary.clear()
    more, _ = label(tmp_path, texts, Ensemble([*two, Sayer("c", ("by c",))], how="round_robin"))
    assert all(row["teacher"] in (old, "c") for row, old in zip(more, by, strict=True))
    assert 0 < sum("c:" in line for line in Sayer.diary) == sum(": " in line for line in Sayer.diary)


def test_the_soft_labels_are_those_of_the_text_that_is_kept(tmp_path: Path) -> None:
    members = [
        Sayer("a", ("one word less",)),
        Sayer("b", ("four words are here",)),
        Sayer("c", ("four words are here",)),
    ]
    [row], _ = label(tmp_path, ["q"], members, top_k=3)
    assert TokenLabels.read(row, 3).top_ids.shape == (4, 3)
    digests = [Sidecar.parse(row["teacher_sidecar"], "row").teacher]
    [alone], _ = label(tmp_path, ["q"], members[1], top_k=3)
    assert digests == [Sidecar.parse(alone["teacher_sidecar"], "row").teacher]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"samples": 3}, "set temperature to 0.7"),
        ({"answer": "("}, "no regular expression"),
        ({"teacher": []}, "no members"),
        ({"teacher": Ensemble([EchoTeacher()], how="average")}, "ClassifyWithTeacher"),
        ({"teacher": [EchoTeacher(), 7]}, "is no teacher"),
    ],
)
def test_what_cannot_work_is_said_before_anything_runs(fields: dict[str, Any], problem: str) -> None:
    step = PseudoLabel(LoadSeeds("x"), **{"teacher": EchoTeacher(), **fields})
    assert problem in " ".join(str(actual) for actual in step.check())


def test_columns_and_calls_are_known_beforehand() -> None:
    step = PseudoLabel(LoadSeeds("x"), teacher=[EchoTeacher(), EchoTeacher("b")], samples=3, temperature=1.0)
    assert step.columns({"rows": frozenset({"id"})}) == {
        "id",
        "output",
        "finish_reason",
        "answer",
        "confidence",
        "votes",
        "teacher",
    }
    assert step.estimate({"rows": 10}).calls == 60
    assert not step.placement().heavy
    assert PseudoLabel(LoadSeeds("x"), teacher=[EchoTeacher(), "a/model"]).placement().heavy
    assert names_of([EchoTeacher(), EchoTeacher("b"), "m"]) == ["echo", "echo#2", "m"]


def test_an_ensemble_runs_in_a_pipeline_and_its_members_are_part_of_the_key(tmp_path: Path) -> None:
    (tmp_path / "seeds.jsonl").write_text('{"instruction": "a"}\n{"instruction": "b"}\n')
    log = str(tmp_path / "calls")

    def run(*members: EchoTeacher) -> Any:
        step = PseudoLabel(LoadSeeds(tmp_path / "seeds.jsonl"), teacher=Ensemble(members))
        return Pipeline("panel", outputs={"rows": step}).run(store=tmp_path / "store")["rows"].key

    first = run(EchoTeacher(log=log), EchoTeacher("b", log=log))
    assert run(EchoTeacher(log=log), EchoTeacher("b", log=log)) == first
    assert len(fakes.calls(log)) == 4
    assert run(EchoTeacher(log=log), EchoTeacher("b", log=log), EchoTeacher("c", log=log)) != first
    assert len(fakes.calls(log)) == 6
