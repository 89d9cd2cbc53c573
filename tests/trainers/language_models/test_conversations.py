"""Conversations are learned: the turns asked for, padded or packed, by text or from a teacher beside the student."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import learning
from potstill.errors import BadInput
from potstill.models import chat, turns
from potstill.steps import Evaluate, LoadRows, ToMessages
from potstill.trainers import HardLabel, SoftLabel
from potstill.trainers.language_models.hard_label import text_example
from potstill.trainers.language_models.packing import pack
from potstill.trainers.loop.examples import Example, collate, store
from running import problems_of

ROOMS = ("kitchen", "bedroom", "garage", "hall")


def talks(ends: bool = True) -> list[dict[str, Any]]:
    """Return conversations of two questions; the last answer is their last turn, or stands in `output`."""
    result: list[dict[str, Any]] = []
    for number, room in enumerate(ROOMS):
        said = [("user", "turn on the light"), ("assistant", f"in the {room}?"), ("user", "yes please")]
        last = f"light on in {room} {number}"
        answer = [("assistant", last)] if ends else []
        messages = [{"role": role, "content": content} for role, content in [*said, *answer]]
        result.append({"messages": messages} if ends else {"messages": messages, "output": last})
    return result


def trained(folder: Path, student: Path, rows: list[dict[str, Any]], **fields: Any) -> Any:
    """Train in `folder`; return its context."""
    context = learning.context(folder)
    HardLabel(None, student=str(student), prompt="chat.jinja", **fields).run(  # type: ignore[arg-type]
        learning.dataset(rows), str(student), context
    )
    return context


def losses_of_turns(folder: Path, row: dict[str, Any]) -> tuple[float, float]:
    """Return the mean loss of the first answer's tokens and of the last one's, by the model in `folder`."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    *before, answer = row["messages"]
    ids, first, learned = turns.encode(tokenizer, before, answer["content"], "assistant")
    prompt = len(chat.prompt_ids(tokenizer, before))
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, :-1]
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
    places = [first + place for place, target in enumerate(learned) if target]
    early, late = ([place - 1 for place in places if (place >= prompt) == end] for end in (False, True))
    return float(losses[early].mean()), float(losses[late].mean())


def test_the_answer_is_the_last_turn_or_the_output_beside_it(tmp_path: Path, student: Path) -> None:
    inside = trained(tmp_path / "inside", student, talks(), epochs=2, batch_size=2)
    beside = trained(tmp_path / "beside", student, talks(ends=False), epochs=2, batch_size=2)
    losses = [[point["loss"] for point in context.notes["curve"]] for context in (inside, beside)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_only_the_turns_asked_for_are_learned(tmp_path: Path, student: Path) -> None:
    row = talks()[0]
    for loss_on in ("last", "assistant"):
        context = trained(
            tmp_path / loss_on, student, talks(), epochs=40, batch_size=4, learning_rate=5e-3, loss_on=loss_on
        )
        early, late = losses_of_turns(context.out, row)
        assert late < 1.0
        assert (early < 1.0) == (loss_on == "assistant")


def test_targets_are_the_tokens_of_the_turns_padded_packed_and_stored(tmp_path: Path, student: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(student)
    result = [text_example(row, tokenizer, "chat.jinja", loss_on="assistant") for row in talks()]
    examples = [example for example in result if isinstance(example, Example)]
    assert len(examples) == len(ROOMS)
    wanted = [f"in the {room}?<|im_end|>light on in {room} {number}<|im_end|>" for number, room in enumerate(ROOMS)]
    stored = store(examples, tmp_path)
    for rows in (examples, [stored[number] for number in range(len(stored))]):
        for batch in (collate(rows), pack(rows)):
            assert tokenizer.decode(batch["labels"]) == "".join(wanted)
            # what is read at each target's position is the token before it
            read = batch["input_ids"][:, batch["keep"]][batch["select"]]
            whole = np.concatenate([np.asarray(row.ids)[row.targets() - 1] for row in rows])
            assert read.tolist() == whole.tolist()


def test_a_batch_of_rows_with_and_without_other_turns_keeps_them_apart() -> None:
    rows = [Example([1, 2, 3, 4, 5, 6], 1, learned=np.array([True, False, False, True, True])), Example([7, 8, 9], 2)]
    padded, packed = collate(rows), pack(rows)
    assert padded["labels"].tolist() == packed["labels"].tolist() == [2, 5, 6, 9]
    assert padded["select"].tolist() == [[True, False, False, True, True], [False, True, False, False, False]]
    assert packed["keep"].tolist() == [0, 3, 4, 6]


def test_training_is_the_same_packed_or_padded(tmp_path: Path, student: Path) -> None:
    curves = [
        trained(tmp_path / str(packing), student, talks(), epochs=2, batch_size=2, loss_on="assistant", packing=packing)
        for packing in (False, True)
    ]
    padded, packed = ([point["loss"] for point in context.notes["curve"]] for context in curves)
    assert packed == pytest.approx(padded, rel=1e-4)


def test_a_teacher_beside_the_student_is_compared_on_the_same_turns(tmp_path: Path, student: Path) -> None:
    context = learning.context(tmp_path)
    fields: dict[str, Any] = {"prompt": "chat.jinja", "loss_on": "assistant", "alpha": 1.0, "epochs": 1}
    step = SoftLabel(None, student=str(student), teacher=str(student), **fields)  # type: ignore[arg-type]
    step.run(learning.dataset(talks()), str(student), str(student), context)
    assert context.notes["curve"][0]["loss"] == pytest.approx(0, abs=1e-4)


def test_stored_soft_labels_are_of_the_last_answer(tmp_path: Path, student: Path) -> None:
    rows = [{**row, "messages": []} for row in learning.with_soft_labels(learning.rows(2), student, 4)]
    step = SoftLabel(None, student=str(student), loss_on="assistant")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="soft labels, which are of the last answer"):
        step.run(learning.dataset(rows), str(student), None, learning.context(tmp_path))


def test_the_default_is_in_no_key(student: Path) -> None:
    from potstill.engine.encoding import keyed_fields

    rows = LoadRows([{"instruction": "a", "output": "b"}])
    usual, other = (HardLabel(rows, student=str(student), loss_on=value) for value in ("last", "all"))  # type: ignore[arg-type]
    assert "loss_on" not in dict(keyed_fields(usual))
    assert dict(keyed_fields(other))["loss_on"] == "all"


def test_rows_need_the_conversation_and_no_output() -> None:
    rows = ToMessages(LoadRows(talks()))
    assert not problems_of(Evaluate("model", rows, prompt="chat.jinja")) or all(
        "column" not in text for text in problems_of(Evaluate("model", rows, prompt="chat.jinja"))
    )
    (text,) = [text for text in problems_of(HardLabel(rows, student="no-model")) if "column" in text]
    assert "needs column output" in text
    assert not [text for text in problems_of(HardLabel(rows, student="x", prompt="chat.jinja")) if "column" in text]
