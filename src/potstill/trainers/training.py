"""What all trainers share: their fields, and the way from rows to a model folder."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Interval

from potstill.errors import BadInput, Problem
from potstill.modelcard import name_of, write_card
from potstill.prompts import Template
from potstill.step import Model, Rows, Step
from potstill.trainers import student as students
from potstill.trainers.lora import LoRA, QLoRA

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.context import Context
    from potstill.trainers.examples import Example, Examples
    from potstill.trainers.loop import Objective, Schedule

LORA_LEARNING_RATE = 2e-4
"""Learning rate of adapters where none is given: that of the QLoRA paper up to 13 billion parameters (its table 9)."""


class Training(Step):
    """The fields of every trainer; a subclass says what is learned.

    Trains in float32 (bfloat16 arithmetic where that is faster), with AdamW, and writes a bfloat16 model folder. Every
    target token of a batch weighs the same. Rows that can't be trained on, because their answer is missing, was cut, or
    is too long, are left out and counted with the reason. A killed run goes on from its last checkpoint.
    """

    makes: ClassVar[str] = "model"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    unkeyed: ClassVar[frozenset[str]] = frozenset({"micro_batch_tokens", "checkpoint_every"})

    rows: Rows
    """Rows with `output` and what `prompt` needs."""
    _: KW_ONLY
    student: Model
    """Model to train: a step, a local folder or a Hub id."""
    prompt: Template = "answer.jinja"
    """Template that turns a row into a chat; teacher, student and test should see the same one."""
    epochs: Annotated[float, Gt(0)] = 3.0
    """Passes over the rows."""
    learning_rate: Annotated[float, Gt(0)] | None = None
    """Highest learning rate. None takes one for the student's size (1e-3 at a million parameters or less, 4e-5 at 0.6
    billion), and 2e-4 for adapters."""
    schedule: Literal["cosine", "linear"] = "cosine"
    """Shape of the learning rate's way down to 0."""
    warmup: Annotated[float, Interval(ge=0, lt=1)] = 0.05
    """Share of the steps over which the learning rate rises."""
    batch_size: Annotated[int, Ge(1)] = 64
    """Rows a step; part of the result, unlike `micro_batch_tokens`."""
    weight_decay: Annotated[float, Ge(0)] = 0.01
    """Weight decay of AdamW, for matrices."""
    clip: Annotated[float, Gt(0)] = 1.0
    """Highest norm of the gradient."""
    max_length: Annotated[int, Ge(2)] = 512
    """Longest row, in tokens, prompt included; longer ones are left out, as a cut answer teaches to stop anywhere."""
    hold_zeros: bool = False
    """Whether weights of linear layers that are exactly zero stay zero: for the training after pruning."""
    lora: LoRA | None = None
    """Train low-rank adapters instead of the weights, and merge them at the end."""
    qlora: QLoRA | bool = False
    """The same over a base in 4 bits; True takes the defaults of `QLoRA`."""
    seed: int = 0
    """Seed of the order of rows, of adapters and of dropout."""
    micro_batch_tokens: Annotated[int, Ge(1)] = 4096
    """Tokens computed at once, padding included: sets the memory, not the result, as a batch's gradients add up."""
    checkpoint_every: Annotated[int, Ge(1)] = 100
    """Steps between checkpoints: what a kill can cost at most."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the rows must have."""
        return {"rows": ("output",)}

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        if self.lora is not None and self.qlora:
            yield Problem("", "qlora", "lora and qlora are both given: choose one")
        if self.hold_zeros and self.adapter() is not None:
            yield Problem("", "hold_zeros", "merging adapters fills the zeros again: train without lora and qlora")

    def adapter(self) -> LoRA | None:
        """Return the adapters to train, if any."""
        if isinstance(self.qlora, QLoRA):
            return self.qlora
        return QLoRA() if self.qlora else self.lora

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        adapter = self.adapter()
        return {
            "method": type(self).__name__,
            "epochs": self.epochs,
            "batch size": self.batch_size,
            "schedule": self.schedule,
            "seed": self.seed,
            **({"adapters": adapter} if adapter else {}),
            **({"zeros": "held"} if self.hold_zeros else {}),
        }


@dataclass(frozen=True)
class Prepared:
    """A student and its rows, ready to train."""

    folder: Path
    """Where the student came from."""
    tokenizer: Any
    """Its tokenizer."""
    examples: Examples
    """The rows in tokens."""


ExampleOf = Callable[[Mapping[str, Any], Any], "Example | str"]
"""Turns a row, given the tokenizer, into tokens, or says why it can't."""


def prepare(step: Training, rows: Dataset, student: Any, context: Context, example_of: ExampleOf) -> Prepared:
    """Tokenize the rows.

    Raises:
        BadInput: the student is no model, can't write chats, or no row is left to train on.
    """
    import torch
    from transformers.utils import logging

    from potstill.chat import check_tokenizer
    from potstill.trainers.examples import store

    logging.disable_progress_bar()
    torch.set_num_threads(max(1, context.threads))
    folder = students.folder_of(student)
    tokenizer = students.load_tokenizer(folder)
    check_tokenizer(tokenizer)
    limit, lost = _longest(step, folder), Counter[str]()

    def examples() -> Iterator[Example]:
        for number, row in enumerate(rows):
            made = example_of(row, tokenizer)
            reason = made if isinstance(made, str) else _unfit(made, limit)
            if reason:
                lost[reason] += 1
                context.ledger.lose(str(row.get("id", number)), "filtered", reason)
            else:
                assert not isinstance(made, str)
                context.ledger.keep()
                yield made

    stored = store(examples(), context.work / "examples")
    if not len(stored):
        reasons = ", ".join(f"{count} x {reason}" for reason, count in lost.most_common()) or "there is none"
        raise BadInput(f"no row to train on: {reasons}")
    if lost:
        context.logger.warning("left out %d of %d rows: %s", lost.total(), lost.total() + len(stored), dict(lost))
    return Prepared(folder, tokenizer, stored)


def _longest(step: Training, folder: Path) -> int:
    """Return the longest row that is trained on: the student's positions end somewhere too."""
    from transformers import AutoConfig

    positions = getattr(AutoConfig.from_pretrained(folder), "max_position_embeddings", None)
    return min(step.max_length, positions or step.max_length)


def _unfit(example: Example, limit: int) -> str:
    """Return why an example can't be trained on, or nothing."""
    if len(example.ids) > limit:
        return f"longer than {limit} tokens"
    return "" if 0 < example.prompt < len(example.ids) else "empty prompt or answer"


def fit(step: Training, prepared: Prepared, objective: Objective, context: Context) -> Path:
    """Train the student, write its folder, and return that."""
    import torch

    from potstill.trainers import loop

    bf16 = students.trains_in_bf16()
    torch.manual_seed(step.seed)
    model = _trainable(step, prepared.folder, bf16, context)
    schedule = schedule_of(step, model, bf16)
    started = time.perf_counter()
    trainer = loop.train(model, prepared.examples, objective, schedule, context)
    figures = _figures(trainer, prepared.examples, schedule)
    context.notes |= {
        "curve": [entry for entry in trainer.state.log_history if "loss" in entry],
        "learning_rate": schedule.learning_rate,
        "precision": "bfloat16" if bf16 else "float32",
        "tokens_per_second": round(trainer.tokens_seen / (time.perf_counter() - started), 1),
        **figures,
    }
    if step.adapter() is not None:
        model.save_pretrained(context.work / "adapter")
    # the trained copy goes first: with adapters another one is loaded, and both need not fit into memory
    whole = None if step.adapter() else model
    del model, trainer
    _write(step, whole, prepared, {"learning rate": schedule.learning_rate}, figures, context)
    return context.out


def _trainable(step: Training, folder: Path, bf16: bool, context: Context) -> Any:
    """Return the student with what is to learn: all weights, those that aren't zero, or adapters."""
    import torch

    from potstill.trainers import lora

    adapter = step.adapter()
    if adapter is not None:
        return lora.attach(lora.load_base(folder, adapter, torch.bfloat16 if bf16 else torch.float32), adapter)
    model = students.load_model(folder, torch.float32)
    if step.hold_zeros:
        context.notes["zeros_held"] = students.hold_zero_weights(model)
    return model


def _write(
    step: Training,
    model: Any | None,
    prepared: Prepared,
    recipe: Mapping[str, object],
    figures: Mapping[str, float],
    context: Context,
) -> None:
    """Write the trained model's folder; without a `model` the adapters in the work folder are merged first."""
    from potstill.trainers import lora

    if model is None:
        gc.collect()
        model = lora.merge(prepared.folder, context.work / "adapter")
    students.save(model, prepared.tokenizer, context.out)
    base = name_of(prepared.folder)
    title = f"{base}, trained by {type(step).__name__}"
    write_card(context.out, title=title, made_from=base, recipe={**step.recipe(), **recipe}, figures=figures)


def schedule_of(step: Training, model: Any, bf16: bool) -> Schedule:
    """Return how `step` trains `model`."""
    from potstill.trainers.loop import Schedule

    usual = LORA_LEARNING_RATE if step.adapter() else students.default_learning_rate(model.num_parameters())
    return Schedule(
        epochs=step.epochs,
        batch_size=step.batch_size,
        learning_rate=step.learning_rate or usual,
        decay=step.schedule,
        warmup=step.warmup,
        weight_decay=step.weight_decay,
        clip=step.clip,
        seed=step.seed,
        budget=step.micro_batch_tokens,
        checkpoint_every=step.checkpoint_every,
        bf16=bf16,
    )


def _figures(trainer: Any, examples: Examples, schedule: Schedule) -> dict[str, float]:
    """Return what the model card tells of the training: nothing that a resumed run would tell differently."""
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {
        "rows": len(examples),
        "steps": schedule.steps(len(examples)),
        "target tokens": int(examples.targets[-1]),
        **({"last loss": losses[-1]} if losses else {}),
    }
