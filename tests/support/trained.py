"""What trainers promise on tiny models of every type: the first loss is that of transformers, the result loads."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import learning
import typed_models
from potstill.trainers.loop.lora import LoRA
from promises import Wrong, apart, loaded, logits, reads

ROWS = learning.rows(8)
TEMPERATURE, ALPHA = 2.0, 0.5
OPTIONS = {"epochs": 1, "batch_size": len(ROWS), "learning_rate": 1e-3, "precision": "float32", "max_length": 160}
"""One step on all rows: the loss that is reported is that of the model as it was given."""
ADAPTER = LoRA(rank=4)
EXACT, IN_4_BITS = 2e-3, 0.25
"""Largest relative distance of a loss: as padding and the order of sums change it, and as 4-bit weights do."""
SAME = 1e-5
"""Relative distance of a loss that rounded weights surely exceed."""


def trained(kind: str, **fields: Any) -> Callable[[str, Path, Path], tuple[Path, Any]]:
    """Return what trains a model of a type by the trainer `kind`: `HardLabel`, or `SoftLabel` by a model like it."""

    def run(name: str, model: Path, work: Path) -> tuple[Path, Any]:
        student = without_dropout(model, work / "student")
        teacher = typed_models.folder(work / "teacher", name, seed=1) if kind == "SoftLabel" else None
        context = learning.context(work)
        step, rows = trainer(kind, name, student, teacher, fields)
        edges = {"teacher": teacher and str(teacher)} if kind == "SoftLabel" or reads(name) else {}
        out = step.run(learning.dataset(rows), str(student), context=context, **edges)
        first = context.notes["curve"][0]["loss"]
        if not math.isfinite(first):
            raise Wrong(f"the first loss is {first}")
        if not reads(name):
            expected, limit = loss(name, student, teacher), IN_4_BITS if "qlora" in fields else EXACT
            if "qlora" in fields and abs(first - expected) < SAME * expected:
                raise Wrong("the first loss is that of the model as it is: nothing is held in 4 bits")
            if abs(first - expected) > limit * expected:
                raise Wrong(f"the first loss is {first:.4f}, and transformers gives {expected:.4f}")
        return out, context.notes

    return run


def trainer(kind: str, name: str, student: Path, teacher: Path | None, fields: Any) -> tuple[Any, list[dict[str, Any]]]:
    """Return the step, and its rows; an encoder learns classes."""
    from potstill import trainers

    if reads(name):
        rows = [{"text": f"turn {label}", "label": label} for label in ("good", "bad")] * 4
        options: dict[str, Any] = {
            "epochs": 1,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "teacher": teacher and str(teacher),
        }
        return trainers.Classifier(None, student=str(student), **options), rows
    if kind == "SoftLabel":
        fields = {**fields, "teacher": str(teacher), "temperature": TEMPERATURE, "alpha": ALPHA}
    return getattr(trainers, kind)(None, student=str(student), **OPTIONS, **fields), ROWS


def changed(name: str, model: Path, out: Path, notes: Any) -> None:
    """Check that what was trained loads, and is another model than before."""
    if reads(name):  # with a new head
        after = logits(loaded(name, out))
    else:
        before, after = logits(loaded(name, model)), logits(loaded(name, out))
        if apart(before, after) < 1e-4:
            raise Wrong("training changed nothing")
    if not bool(after.isfinite().all()):
        raise Wrong("logits are not finite")


def without_dropout(model: Path, folder: Path) -> Path:
    """Return a copy of a model that drops nothing, whose loss is no matter of chance."""
    shutil.copytree(model, folder)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    still = {key: 0.0 for key, value in config.items() if "drop" in key and isinstance(value, float)}
    path.write_text(json.dumps({**config, **still}), encoding="utf-8")
    return folder


def loss(name: str, student: Path, teacher: Path | None) -> float:
    """Return the loss that transformers gives, row by row, so that nothing is padded: the mean over all targets."""
    import torch
    from transformers import AutoTokenizer

    from potstill.models import chat, encoder_decoder
    from potstill.prompts import render

    tokenizer, model = AutoTokenizer.from_pretrained(student), loaded(name, student)
    other = loaded(name, teacher) if teacher else None
    encode = encoder_decoder.encode if name in typed_models.ENCODER_DECODERS else chat.encode
    total, count = 0.0, 0
    for row in ROWS:
        ids, prompt = encode(tokenizer, render("answer.jinja", row), row["output"])
        targets, ours = torch.tensor(ids[prompt:]), answer_logits(model, ids, prompt)
        own = torch.nn.functional.cross_entropy(ours, targets, reduction="sum")
        if other is not None:
            theirs = (answer_logits(other, ids, prompt) / TEMPERATURE).log_softmax(-1)
            apart_by = (theirs.exp() * (theirs - (ours / TEMPERATURE).log_softmax(-1))).sum()
            own = ALPHA * TEMPERATURE**2 * apart_by + (1 - ALPHA) * own
        total, count = total + float(own), count + len(targets)
    return total / count


def answer_logits(model: Any, ids: list[int], prompt: int) -> Any:
    """Return the logits [T, V] at the tokens of an answer."""
    import torch

    with torch.no_grad():
        if model.config.is_encoder_decoder:
            written = [model.config.decoder_start_token_id, *ids[prompt:-1]]
            return model(input_ids=torch.tensor([ids[:prompt]]), decoder_input_ids=torch.tensor([written])).logits[0]
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, prompt - 1 : -1]
