"""What trainers of language models share: prompts and answers as rows, adapters, and the model folder they write.

Causal models and encoder-decoders alike: what differs between them is in `architecture.py`.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from potstill.errors import BadInput, Problem
from potstill.models.card import name_of, write_card
from potstill.models.loading import config_of
from potstill.models.positions import positions_of
from potstill.prompts import Template, answer_columns, conversation_hint
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.base import Training
from potstill.trainers.loop.lora import LoRA, QLoRA, why_no_zeros
from potstill.trainers.loop.token_store import stored

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource, Tokenizer
    from potstill.trainers.language_models.architecture import Architecture
    from potstill.trainers.loop.context import TrainingContext
    from potstill.trainers.loop.examples import Example, Examples
    from potstill.trainers.loop.objective import Objective
    from potstill.trainers.loop.schedule import Reading

CHUNK_TOKENS = 256
"""Tokens whose logits are in memory at once: with a vocabulary of 150,000, 150 MB a copy."""
LORA_LEARNING_RATE = 2e-4
"""Learning rate of adapters where none is given: that of the QLoRA paper up to 13 billion parameters (its table 9)."""


class CausalTraining(Training):
    """The fields of trainers of language models: causal ones, and encoder-decoders such as T5, BART or Marian.

    The rows need `output` and what `prompt` needs; a row whose answer is missing, was cut, or is too long is left out.
    An encoder-decoder reads the prompt as plain text. Writes a bfloat16 model folder.
    """

    unkeyed: ClassVar[frozenset[str]] = Training.unkeyed | {"packing"}

    _: KW_ONLY
    prompt: Template = "answer.jinja"
    """Template that turns a row into a chat, or an encoder's text; teacher, student and test should see the same."""
    max_length: Annotated[int, Ge(2)] = 512
    """Longest row, in tokens, prompt included; longer ones are left out, as a cut answer teaches to stop anywhere."""
    packing: bool = False
    """Whether rows are concatenated to one sequence instead of padded to the longest: the same result, for causal
    models. As batches are of similar lengths anyway, it is faster on GPUs only."""
    lora: LoRA | None = None
    """Train low-rank adapters instead of the weights; they are merged at the end unless `merge` is False."""
    qlora: QLoRA | bool = False
    """The same over a base in 4 bits; True takes the defaults of `QLoRA`."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the rows must have."""
        return {"rows": answer_columns(self.prompt)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return None, as a trainer makes no rows.

        Raises:
            BadInput: the rows hold conversations, which the template doesn't render.
        """
        hint = conversation_hint(self.prompt, inputs.get("rows") or ())
        if hint:
            raise BadInput(Problem("", "prompt", hint))
        return None

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        if self.lora is not None and self.qlora:
            yield Problem("", "qlora", "lora and qlora are both given: choose one")
        adapter = self.adapter()
        if self.hold_zeros and adapter is not None and why_no_zeros(adapter):
            yield Problem("", "hold_zeros", why_no_zeros(adapter))
        if self.sharding and isinstance(self.adapter(), QLoRA):
            yield Problem("", "sharding", "does not split 4-bit weights: leave out qlora")

    def adapter(self) -> LoRA | None:
        """Return the adapters to train, if any."""
        if isinstance(self.qlora, QLoRA):
            return self.qlora
        return QLoRA() if self.qlora else self.lora

    def usual_rate(self, parameters: int) -> float:
        """Return the learning rate for a student of this size where none is given."""
        return LORA_LEARNING_RATE if self.adapter() else students.default_learning_rate(parameters)

    def figures(self, learned: Mapping[str, float], context: Context) -> Mapping[str, float]:
        """Return the metrics for the model card from those of the training, and from its curve in the notes."""
        return learned

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        adapter = self.adapter()
        return {**super().recipe(), **({"adapters": adapter} if adapter else {})}


@dataclass(frozen=True)
class Prepared:
    """A student and its rows, ready to train."""

    folder: Path
    """Where the student came from."""
    tokenizer: Tokenizer
    """Its tokenizer."""
    examples: Examples
    """The tokenized rows."""
    architecture: Architecture
    """What kind of model it is."""
    reading: Reading
    """How it reads a batch: as its architecture does, unless the trainer says otherwise."""


Lesson = tuple[Prepared, "Objective"]
"""What a student learns: its rows, and the objective on them."""
ExampleOf = Callable[[Mapping[str, Any], Any], "Example | str"]
"""Tokenizes a row, or returns why it can't be trained on."""


def prepare(
    step: CausalTraining,
    rows: Dataset,
    student: ModelSource,
    context: TrainingContext,
    example_of: ExampleOf,
    length: Callable[[Example], int] | None = None,
) -> Prepared:
    """Tokenize the rows; `length` returns that of an example, where it holds more than one text.

    Raises:
        BadInput: the student is no model, can't write chats if it is a causal one, or no row is left to train on.
    """
    from potstill.prompts.values import UnfitRow
    from potstill.trainers.language_models.architecture import architecture_of

    folder = students.folder_of(student)
    tokenizer = students.load_tokenizer(folder)
    architecture = architecture_of(folder)
    architecture.check_tokenizer(tokenizer)
    config = config_of(folder)
    reading, positions = architecture.reading(config), positions_of(config)

    def fitting(row: Mapping[str, Any]) -> Example | str:
        try:
            example = example_of(row, tokenizer)
        except UnfitRow as unfit:
            return unfit.reason
        if isinstance(example, str):
            return example
        tokens, span = (length(example),) * 2 if length else (len(example.ids), architecture.span(example))
        return _unfit(example, tokens, step.max_length, span, positions) or example

    return Prepared(folder, tokenizer, stored(rows, fitting, context), architecture, reading)


def _unfit(example: Example, tokens: int, longest: int, span: int, positions: int | None) -> str:
    """Return why an example that takes `span` of the model's `positions` can't be trained on, or nothing."""
    if tokens > longest:
        return f"longer than {longest} tokens"
    if positions is not None and span > positions:
        return f"longer than {positions} tokens"
    return "" if 0 < example.prompt < len(example.ids) else "empty prompt or answer"


def fit(
    step: CausalTraining,
    prepared: Prepared,
    objective: Objective,
    context: TrainingContext,
    reading_of: Callable[[Any], Reading] | None = None,
) -> Path:
    """Train the student, write its folder, and return that.

    `reading_of` the model that is trained is how it reads its batches, where that takes the model itself: one that
    writes them. Otherwise it reads them as `prepared` says.
    """
    import torch

    from potstill.trainers.language_models.packing import packed
    from potstill.trainers.loop.session import learn, schedule_of

    # before the model is loaded: new adapter weights are drawn from this generator
    torch.manual_seed(step.seed)
    model = _trainable(step, prepared, context)
    reading = reading_of(model) if reading_of else prepared.reading
    reading = packed(reading, model) if step.packing else reading
    paged = isinstance(step.adapter(), QLoRA)
    schedule = schedule_of(step, step.usual_rate(model.num_parameters()), paged)
    learned = learn(model, prepared.examples, objective, schedule, reading, context)
    if step.adapter() is not None:
        model.save_pretrained(context.work / "adapter")
    # the trained model is freed first: merging adapters loads the base again, and both may not fit into memory
    whole = None if step.adapter() else model
    del model, reading
    _write(step, whole, prepared, {"learning rate": schedule.learning_rate}, step.figures(learned, context), context)
    return context.out


def _trainable(step: CausalTraining, prepared: Prepared, context: Context) -> Any:
    """Return the student to train: with all weights, or frozen with adapters."""
    import torch

    from potstill.trainers.loop import lora
    from potstill.trainers.loop.session import in_bf16

    adapter = step.adapter()
    if adapter is not None:
        dtype = torch.bfloat16 if in_bf16(step.precision) else torch.float32
        return lora.attach(lora.load_base(prepared.folder, adapter, dtype), adapter, prepared.architecture.adapters)
    return students.load_model(prepared.folder, torch.float32, split=step.sharding)


def _write(
    step: CausalTraining,
    model: Any | None,
    prepared: Prepared,
    recipe: Mapping[str, object],
    figures: Mapping[str, float],
    context: Context,
) -> None:
    """Write the trained model's folder; without a `model`, the adapters in the work folder merged or as they are."""
    from potstill.trainers.loop import lora

    adapter = step.adapter()
    if adapter is not None and not adapter.merge:
        lora.keep_apart(context.work / "adapter", context.out, name_of(prepared.folder))
        recipe = {**recipe, "use": "an adapter, not a model: put it on the model that it was made from"}
    else:
        if model is None:
            # trainer and callbacks refer to each other, so only the collector frees the trained model
            gc.collect()
            model = lora.merge(prepared.folder, context.work / "adapter", step.hold_zeros)
        students.save(model, prepared.tokenizer, context.out)
    recipe, base = {**step.recipe(), **recipe}, name_of(prepared.folder)
    title = f"{base}, trained by {type(step).__name__}"
    task = prepared.architecture.task
    write_card(context.out, title=title, made_from=base, recipe=recipe, figures=figures, task=task)
