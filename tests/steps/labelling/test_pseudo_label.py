"""Labels and soft labels in one pass; a cut or failed answer is lost, never a label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset

import fakes
import learning
import scripted
import tiny
from fakes import EchoTeacher, context_in
from potstill.engine.rows import files as rows_on_disk
from potstill.errors import BadInput, PotstillError
from potstill.steps import LoadSeeds, PseudoLabel
from potstill.steps.labelling.pseudo_label import required_variables
from potstill.teachers.cache.soft_labels import TOP_COLUMNS, Sidecar, TokenLabels, bytes_per_token
from potstill.teachers.openai.endpoint import Endpoint
from potstill.teachers.protocol import Request, Response

ECHO = EchoTeacher()


@dataclass(frozen=True)
class Scripted(EchoTeacher):
    """Answers `cut`, `sure` and `bare` prompts in a special way, others as the echo does."""

    @contextmanager
    def open(self, *, threads: int) -> Iterator[Scripted]:
        yield self

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        for index, request in enumerate(requests):
            prompt = request.messages[-1]["content"]
            if prompt == "cut":
                yield index, Response("half an ans", "length")
            elif prompt.startswith("sure"):
                logs = np.log(np.full((2, request.sampling.top_k), 0.99 / request.sampling.top_k)).astype(np.float16)
                ids = np.zeros(logs.shape, np.int32)
                yield index, Response("yes", "stop", 1, 2, np.array([1, 2], np.int32), ids, logs)
            elif prompt == "bare":
                yield index, Response("yes", "stop")
            else:
                yield from ((index, answer) for _, answer in fakes.EchoSession(self).generate([request]))


def label(tmp_path: Path, texts: list[str], teacher: Any = ECHO, **parameters: Any) -> tuple[list[Any], Any]:
    step = PseudoLabel(LoadSeeds("unused"), teacher=teacher, **parameters)
    context = context_in(tmp_path)
    rows = Dataset.from_dict({"id": [f"r{n}" for n in range(len(texts))], "instruction": texts})
    return list(step.run(rows=rows, teacher=teacher, context=context)), context


def test_every_row_gets_its_answer_in_order(tmp_path: Path) -> None:
    rows, context = label(tmp_path, [f"say {number}" for number in range(20)])
    assert [row["id"] for row in rows] == [f"r{number}" for number in range(20)]
    assert len({row["output"] for row in rows}) == 20
    assert {row["finish_reason"] for row in rows} == {"stop"}
    assert context.ledger.kept == 20
    assert context.notes["usage"]["calls"] == 20


def test_cut_and_failed_rows_are_lost_alone(tmp_path: Path) -> None:
    teacher = Scripted(failing=("broken",))
    rows, context = label(tmp_path, ["a", "cut", "broken", "b"], teacher, max_failed=0.5)
    assert [row["id"] for row in rows] == ["r0", "r3"]
    assert context.ledger.counts()["failed"] == {"cut at max_tokens": 1, "teacher error": 1}
    assert (context.ledger.total("permanent"), context.ledger.total("retryable")) == (1, 1)
    _, permanent = label(tmp_path, ["broken"], Scripted(failing=("broken",), retryable=False))
    assert permanent.ledger.total("permanent") == 1


def test_soft_labels_come_in_the_same_pass_and_keep_their_types(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    rows, context = label(tmp_path, ["a", "b"], EchoTeacher(log=log), top_k=5)
    assert len(fakes.calls(log)) == 2
    for row in rows:
        labels = TokenLabels.read(row, 5)
        count = len(row["output"].split())
        assert labels.token_ids.shape == labels.token_logprobs.shape == (count,)
        assert labels.top_ids.shape == labels.top_logprobs.shape == (count, 5)
        assert (np.diff(labels.top_logprobs) <= 0).all()
        assert np.allclose(np.frombuffer(row["teacher_tail"], np.float16), labels.tail, atol=1e-3)
    rows_on_disk.write(iter(rows), tmp_path / "data")
    table = rows_on_disk.read(tmp_path / "data", tmp_path / "scratch").data.table
    assert {table.schema.field(name).type for name in TOP_COLUMNS} == {pa.binary(), pa.string()}
    assert 0 < context.notes["captured_mass"] < 1


def test_captured_mass_is_measured_and_warned_about_below_98_percent(tmp_path: Path) -> None:
    _, good = label(tmp_path / "a", ["sure"], Scripted(), top_k=4)
    assert good.notes["captured_mass"] == pytest.approx(0.99, abs=1e-3)
    assert "warnings" not in good.notes
    _, bad = label(tmp_path / "b", ["other"], Scripted(), top_k=4)
    assert "raise top_k" in bad.notes["warnings"][0]


def test_a_second_run_is_free_and_equal(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    first, _ = label(tmp_path, ["a", "b"], EchoTeacher(log=log), top_k=3)
    second, _ = label(tmp_path, ["b", "a", "c"], EchoTeacher(log=log), top_k=3)
    assert len(fakes.calls(log)) == 3
    assert second[1]["output"] == first[0]["output"]
    assert second[1]["teacher_top_logprobs"] == first[0]["teacher_top_logprobs"]


def test_drawn_answers_depend_on_the_row_and_not_on_its_neighbours(tmp_path: Path) -> None:
    alone, _ = label(tmp_path / "a", ["x"], temperature=1.0)
    among, _ = label(tmp_path / "b", ["y", "x"], temperature=1.0)
    other, _ = label(tmp_path / "c", ["x"], temperature=1.0, seed=1)
    assert alone[0]["output"] == among[1]["output"]
    assert alone[0]["output"] != other[0]["output"]


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"top_k": 4}, ""),
        ({"top_k": 4, "temperature": 1.0}, ""),
        ({"temperature": 0.7}, ""),
        ({"top_k": 4, "temperature": 0.7}, "the log-probabilities kept are those of temperature 1"),
        ({"top_k": 4, "temperature": 1.0, "top_p": 0.9}, "nucleus"),
    ],
)
def test_top_k_at_another_temperature_is_refused_with_the_reason(parameters: dict[str, Any], problem: str) -> None:
    actual = [str(actual) for actual in PseudoLabel(LoadSeeds("x"), teacher=EchoTeacher(), **parameters).check()]
    assert len(actual) == bool(problem)
    assert problem in "".join(actual)


def test_a_teacher_without_log_probabilities_is_refused(tmp_path: Path) -> None:
    step = PseudoLabel(LoadSeeds("x"), teacher=Endpoint("http://127.0.0.1:9/v1", "m"), top_k=4)
    assert [problem.field for problem in step.check()] == ["top_k"]
    with pytest.raises(PotstillError, match="no log-probabilities"):
        label(tmp_path, ["bare"], Scripted(), top_k=4)


def test_needed_columns_come_from_the_template(tmp_path: Path) -> None:
    assert required_variables("answer.jinja") == ("instruction",)
    assert required_variables("{{ question }} {{ context }} {% if hint is defined %}{{ hint }}{% endif %}") == (
        "context",
        "question",
    )
    step = PseudoLabel(LoadSeeds("x"), teacher=EchoTeacher(), prompt="{{ question }}")
    assert step.needs() == {"rows": ("question",)}
    with pytest.raises(BadInput, match="question"):
        label(tmp_path, ["a"], prompt="{{ question }}")


def test_columns_and_estimate() -> None:
    step = PseudoLabel(LoadSeeds("x"), teacher=EchoTeacher(), top_k=8, max_tokens=10)
    result = {"id", "instruction", "output", "finish_reason", *TOP_COLUMNS}
    assert step.columns({"rows": frozenset({"id", "instruction"})}) == result
    assert step.columns({"rows": None}) is None
    assert step.estimate({"rows": 100}).calls == 100
    assert step.estimate({"rows": 100}).disk == 100 * 10 * (4 + bytes_per_token(8))


def test_a_teacher_that_loads_nothing_needs_no_process() -> None:
    assert not PseudoLabel(LoadSeeds("x"), teacher=EchoTeacher()).placement().heavy
    assert PseudoLabel(LoadSeeds("x"), teacher="some/model").placement().heavy


def test_the_tokenizer_of_a_served_teacher_can_be_named(tmp_path: Path) -> None:
    folder = tiny.causal_lm(tmp_path / "model")
    step = PseudoLabel(LoadSeeds("unused"), teacher=ECHO, tokenizer=str(folder), top_k=4)
    rows = Dataset.from_dict({"instruction": ["a"]})
    result = list(step.run(rows=rows, teacher=ECHO, context=context_in(tmp_path), tokenizer=str(folder)))
    sidecar = Sidecar.parse(result[0]["teacher_sidecar"], "row")
    assert sidecar.tokenizer == learning.sidecar(folder, 4).tokenizer
    assert sidecar.template == learning.sidecar(folder, 4).template


def test_a_pattern_that_takes_too_long_loses_its_row_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("potstill.text.patterns.SECONDS", 0.1)
    teacher = scripted.Scripted(say=scripted.asks)  # answers with the question
    rows, context = label(tmp_path, ["a" * 60 + "!", "ab"], teacher, answer="(?:a|aa|a b?a)+b")
    assert [row["id"] for row in rows] == ["r1"]
    assert context.ledger.lost == {("permanent", "the pattern '(?:a|aa|a b?a)+b' takes too long"): 1}


def test_an_output_that_is_there_becomes_the_reference(tmp_path):
    rows = Dataset.from_list([{"id": "1", "instruction": "a", "output": "by a person"}])
    step = PseudoLabel(rows, teacher=ECHO, max_tokens=8)
    [row] = step.run(rows, ECHO, context_in(tmp_path))
    assert row["reference"] == "by a person" and row["output"] not in ("", "by a person")
    columns = step.columns({"rows": frozenset(rows.column_names)})
    assert columns == frozenset(row)
    with pytest.raises(BadInput, match="has a column reference already, which PseudoLabel would replace"):
        step.columns({"rows": frozenset({"instruction", "output", "reference"})})
