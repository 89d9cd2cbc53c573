"""The teacher writes the user's turn from its own template's beginning, and answers it."""

from __future__ import annotations

from pathlib import Path

import pytest

from potstill.data import home
from potstill.errors import PotstillError
from potstill.steps.instructions.magpie import Magpie, user_prefix
from potstill.teachers.openai.endpoint import Endpoint
from potstill.teachers.protocol import Request, Response
from potstill.teachers.vllm.teacher import VLLM
from scripted import Scripted, asks, run

PREFIX = "<user>"


def say(request: Request) -> str | Response:
    if request.raw is None:
        return f"answer to {asks(request)}"
    assert request.raw == PREFIX
    assert not request.messages
    kind = request.seed % 10
    if kind == 0:
        return Response("how do I grow", "length")
    return "" if kind == 1 else f" question {request.seed} about {request.seed % 97}? "


def write(tmp_path: Path, target: int, talk=say, **parameters):
    return run(Magpie(teacher=Scripted(say=talk), target=target, prefix=PREFIX, **parameters), tmp_path)


def test_pairs_come_from_the_empty_turn(tmp_path: Path) -> None:
    rows, context = write(tmp_path, 20)
    assert len(rows) == 20
    assert all(row["output"] == f"answer to {row['instruction']}" for row in rows)
    assert len({row["id"] for row in rows}) == 20
    assert {"cut at max_tokens", "empty"} <= set(context.ledger.counts()["filtered"])


def test_a_larger_target_asks_only_for_what_is_new(tmp_path: Path) -> None:
    few, _ = write(tmp_path, 10)
    many, second = write(tmp_path, 30)
    assert many[:10] == few
    assert second.notes["usage"]["cached"] >= 20


def test_the_same_again_and_again_ends_the_step(tmp_path: Path) -> None:
    with pytest.raises(PotstillError, match=r"1 of 5 pairs.*duplicate"):
        write(tmp_path, 5, lambda request: "how are you", patience=20)


def test_the_prefix_is_cut_out_of_the_teachers_own_template() -> None:
    teacher = VLLM(str(home.FOLDER / "teacher"))
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(teacher.model)
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hello"}]
    whole = tokenizer.apply_chat_template(chat, tokenize=False)
    prefix = user_prefix(teacher, "Be kind.")
    assert whole.startswith(prefix + "hello")
    assert "Be kind." in prefix


def test_a_teacher_behind_an_address_needs_the_prefix() -> None:
    endpoint = Endpoint("http://127.0.0.1:9/v1", "m")
    assert [problem.field for problem in Magpie(teacher=endpoint, target=3).check()] == ["prefix"]
    assert not list(Magpie(teacher=endpoint, target=3, prefix=PREFIX).check())
    assert "temperature" in [problem.field for problem in Magpie(teacher=endpoint, target=3, temperature=0).check()]
