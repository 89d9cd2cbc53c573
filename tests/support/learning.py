"""Small trainings for tests: a context in a folder, a few rows, soft labels from a model."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from potstill.engine.context import Context
from potstill.engine.ledger import Ledger
from potstill.engine.store.journal import Journal

ROOMS = ("kitchen", "bedroom", "hall", "bathroom")
ACTIONS = ("on", "off")


def context(folder: Path, *, progress: Any = None) -> Context:
    """Return the context of a step that works below `folder`."""
    for name in ("work", "out"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / "journal.sqlite")
    return Context(
        step="student",
        key="0" * 32,
        work=folder / "work",
        out=folder / "out",
        journal=journal.scoped("student"),
        store_journal=journal,
        ledger=Ledger(folder / "lost.jsonl"),
        logger=logging.getLogger("potstill.test"),
        threads=1,
        **({"progress": progress} if progress else {}),
    )


def rows(count: int = 16) -> list[dict[str, Any]]:
    """Return commands and their JSON answers, of various lengths."""
    result = []
    for number in range(count):
        room, action = ROOMS[number % len(ROOMS)], ACTIONS[number // len(ROOMS) % len(ACTIONS)]
        please = " please" * (number // (len(ROOMS) * len(ACTIONS)))
        answer = {"device": "light", "room": room, "action": action, "value": number if number % 3 == 0 else None}
        result.append(
            {
                "id": str(number),
                "instruction": f"turn {action} the light in the {room}{please}",
                "output": json.dumps(answer, separators=(",", ":")),
            }
        )
    return result


def dataset(made: list[dict[str, Any]]) -> Any:
    """Return rows as a step gets them."""
    from datasets import Dataset

    return Dataset.from_list(made)


def with_soft_labels(made: list[dict[str, Any]], teacher: Path, top_k: int) -> list[dict[str, Any]]:
    """Return the rows with the top-k log-probabilities that the model in `teacher` gives to their answers' tokens."""
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from potstill.models.chat import encode
    from potstill.prompts import render
    from potstill.teachers.cache.soft_labels import TokenLabels

    tokenizer = AutoTokenizer.from_pretrained(teacher)
    model = AutoModelForCausalLM.from_pretrained(teacher, dtype=torch.float32).eval()
    labelled = []
    for row in made:
        ids, prompt = encode(tokenizer, render("answer.jinja", row), row["output"])
        with torch.no_grad():
            logprobs = model(torch.tensor([ids])).logits[0, prompt - 1 : -1].log_softmax(dim=-1)
        top, targets = logprobs.topk(top_k), np.array(ids[prompt:])
        labels = TokenLabels(
            targets, logprobs.numpy()[range(len(targets)), targets], top.indices.numpy(), top.values.numpy()
        )
        labelled.append(row | labels.columns(sidecar(teacher, top_k)))
    return labelled


def sidecar(teacher: Path, k: int, mode: str = "scored", dtype: str = "float32") -> Any:
    """Return the sidecar of soft labels that the model in `teacher` made."""
    from transformers import AutoTokenizer

    from potstill.teachers.cache.soft_labels import (
        Sidecar,
        prompt_digest,
        teacher_digest,
        template_digest,
        tokenizer_digest,
    )

    tokenizer = AutoTokenizer.from_pretrained(teacher)
    digests = tokenizer_digest(tokenizer), template_digest(tokenizer), teacher_digest(teacher)
    return Sidecar(*digests, prompt_digest("answer.jinja"), k, mode, dtype, "transformers")


def weights(folder: Path) -> dict[str, Any]:
    """Return the tensors of a model folder."""
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def answers(folder: Path, made: list[dict[str, Any]]) -> list[str]:
    """Return what the model in `folder` answers to the rows, greedily."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from potstill.models.chat import prompt_ids
    from potstill.prompts import render

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    texts = []
    for row in made:
        prompt = prompt_ids(tokenizer, render("answer.jinja", row))
        tokens = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=60)[0, len(prompt) :]
        texts.append(tokenizer.decode(tokens, skip_special_tokens=True))
    return texts
