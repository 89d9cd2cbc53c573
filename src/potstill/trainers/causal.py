"""What the trainers of causal language models share: chats as rows, adapters, and a model folder that can be served."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from potstill.errors import Problem
from potstill.modelcard import name_of, write_card
from potstill.prompts import Template
from potstill.trainers import student as students
from potstill.trainers.lora import LoRA, QLoRA
from potstill.trainers.training import Training, learn, schedule_of, start, stored

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.context import Context
    from potstill.trainers.examples import Example, Examples
    from potstill.trainers.loop import Objective

LORA_LEARNING_RATE = 2e-4
"""Learning rate of adapters where none is given: that of the QLoRA paper up to 13 billion parameters (its table 9)."""


class CausalTraining(Training):
    """The fields of trainers of causal language models.

    The rows need `output` and what `prompt` needs; a row whose answer is missing, was cut, or is too long is left out.
    Writes a bfloat16 model folder.
    """

    _: KW_ONLY
    prompt: Template = "answer.jinja"
    """Template that turns a row into a chat; teacher, student and test should see the same one."""
    max_length: Annotated[int, Ge(2)] = 512
    """Longest row, in tokens, prompt included; longer ones are left out, as a cut answer teaches to stop anywhere."""
    hold_zeros: bool = False
    """Whether weights of linear layers that are exactly zero stay zero: for the training after pruning."""
    lora: LoRA | None = None
    """Train low-rank adapters instead of the weights, and merge them at the end."""
    qlora: QLoRA | bool = False
    """The same over a base in 4 bits; True takes the defaults of `QLoRA`."""

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
            **super().recipe(),
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


def prepare(step: CausalTraining, rows: Dataset, student: Any, context: Context, example_of: ExampleOf) -> Prepared:
    """Tokenize the rows.

    Raises:
        BadInput: the student is no model, can't write chats, or no row is left to train on.
    """
    from potstill.chat import check_tokenizer

    start(context)
    folder = students.folder_of(student)
    tokenizer = students.load_tokenizer(folder)
    check_tokenizer(tokenizer)
    limit = _longest(step, folder)

    def fitting(row: Mapping[str, Any]) -> Example | str:
        made = example_of(row, tokenizer)
        return made if isinstance(made, str) else _unfit(made, limit) or made

    return Prepared(folder, tokenizer, stored(rows, fitting, context))


def _longest(step: CausalTraining, folder: Path) -> int:
    """Return the longest row that is trained on: the student's positions end somewhere too."""
    from transformers import AutoConfig

    positions = getattr(AutoConfig.from_pretrained(folder), "max_position_embeddings", None)
    return min(step.max_length, positions or step.max_length)


def _unfit(example: Example, limit: int) -> str:
    """Return why an example can't be trained on, or nothing."""
    if len(example.ids) > limit:
        return f"longer than {limit} tokens"
    return "" if 0 < example.prompt < len(example.ids) else "empty prompt or answer"


def fit(step: CausalTraining, prepared: Prepared, objective: Objective, context: Context) -> Path:
    """Train the student, write its folder, and return that."""
    import torch

    from potstill.trainers.loop import CAUSAL

    torch.manual_seed(step.seed)
    model = _trainable(step, prepared.folder, context)
    usual = LORA_LEARNING_RATE if step.adapter() else students.default_learning_rate(model.num_parameters())
    schedule = schedule_of(step, usual)
    figures = learn(model, prepared.examples, objective, schedule, CAUSAL, context)
    if step.adapter() is not None:
        model.save_pretrained(context.work / "adapter")
    # the trained copy goes first: with adapters another one is loaded, and both need not fit into memory
    whole = None if step.adapter() else model
    del model
    _write(step, whole, prepared, {"learning rate": schedule.learning_rate}, figures, context)
    return context.out


def _trainable(step: CausalTraining, folder: Path, context: Context) -> Any:
    """Return the student with what is to learn: all weights, those that aren't zero, or adapters."""
    import torch

    from potstill.trainers import lora

    adapter = step.adapter()
    if adapter is not None:
        dtype = torch.bfloat16 if students.trains_in_bf16() else torch.float32
        return lora.attach(lora.load_base(folder, adapter, dtype), adapter)
    model = students.load_model(folder, torch.float32)
    if step.hold_zeros:
        context.notes["zeros_held"] = students.hold_zero_weights(model)
    return model


def _write(
    step: CausalTraining,
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
