"""Base classes of compression steps: their fields, calibration rows, and writing the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from potstill.engine.step import Rows, Step
from potstill.errors import Problem
from potstill.models.card import name_of, warnings_of, write_card
from potstill.models.edge import Model
from potstill.models.folder import Loaded
from potstill.models.preload import MODEL
from potstill.models.written import check_answers
from potstill.prompts import Template, answer_columns
from potstill.steps.compression import calibration as calibrations

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context


SAME = 1e-3
"""Relative distance of logits that the order of sums explains."""
LESS_MEMORY = (
    "layer by layer methods (QuantizeInt4, WandaPrune, SparseGPTPrune) hold one block on the GPU and the rest in main "
    "memory where the model is too large for it (block offload); without a GPU take a machine with more memory, or "
    "save the model as bfloat16 first (CastHalf)"
)
"""What to change where memory runs out under a model that is compressed."""


class CompressionStep(Step):
    """Takes a model and writes a smaller one, without running it."""

    makes: ClassVar[str] = "model"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = MODEL

    model: Model
    """Model to compress, in 16 or 32 bits: a step, a folder or a Hub id."""

    def memory_remedies(self) -> str:
        """Return what to change where memory runs out."""
        return LESS_MEMORY


class CalibratedStep(Step):
    """Writes a smaller model, and runs it on a few texts to be fitted to them or to measure how much it still agrees.

    A step that can't do without texts derives from `FittedStep`.
    """

    makes: ClassVar[str] = "model"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = MODEL
    both_stacks: ClassVar[bool] = False
    """Whether it compresses encoder-decoders too, block by block in the encoder and then in the decoder."""

    model: Model
    """Model to compress, in 16 or 32 bits: a step, a folder or a Hub id."""
    _: KW_ONLY
    calibration: Rows | None = None
    """Rows to run the model on, with `output` and what `prompt` needs, or `text`; the training rows, never the test's.
    Where a step can do without, they measure the agreement."""
    prompt: Template = "answer.jinja"
    """Template that turns a calibration row into a chat; that of training and evaluation."""
    text: str | None = None
    """Column of plain texts to run on instead of chats: what an encoder reads, or a model without a chat template."""
    samples: Annotated[int, Ge(1)] = 128
    """Calibration rows to draw; the number of GPTQ's and Wanda's papers."""
    max_length: Annotated[int, Ge(8)] = 256
    """Longest calibration text, in tokens; of an encoder-decoder that of the prompt, and that of the answer."""
    seed: int = 0
    """Seed of the draw of calibration rows."""

    def memory_remedies(self) -> str:
        """Return what to change where memory runs out: the calibration texts first."""
        texts = f"lower samples ({self.samples} now) or max_length ({self.max_length} now)"
        return f"{texts}, whose hidden states are held; {LESS_MEMORY}"

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the calibration rows must have."""
        return {} if self.calibration is None else {"calibration": calibration_columns(self)}

    def check(self) -> Iterable[Problem]:
        """Yield a problem for calibration rows that come from a test split."""
        yield from super().check()
        yield from calibrations.not_from_a_test_split("calibration", self.calibration)


class FittedStep(CalibratedStep):
    """Requires calibration texts: the smaller model is fitted to them or scored on them."""

    _: KW_ONLY
    calibration: Rows = field()


def calibration_columns(step: CalibratedStep, label: str | None = None) -> tuple[str, ...]:
    """Return the columns that the calibration rows of `step` must have, with that of the classes, if there is one."""
    texts = (step.text,) if step.text else answer_columns(step.prompt)
    return (*texts, *((label,) if label else ()))


def draw(step: CalibratedStep, loaded: Loaded, rows: Dataset) -> calibrations.Calibration:
    """Draw the calibration texts of `step`.

    Raises:
        BadInput: there are no usable rows, too few tokens, or the model can't read them.
    """
    from potstill.compression.architecture import blocks_of

    if not step.both_stacks:
        # an encoder-decoder has two lists of blocks, which is refused here
        blocks_of(loaded.model)
    return calibrations.calibration_texts(
        rows,
        loaded.tokenizer,
        loaded.model.config,
        prompt=step.prompt,
        text=step.text,
        samples=step.samples,
        max_length=step.max_length,
        seed=step.seed,
    )


def publish(
    loaded: Loaded,
    context: Context,
    suffix: str,
    recipe: Mapping[str, object],
    figures: Mapping[str, float],
) -> Path:
    """Write a compressed model whose weights are still 16- or 32-bit ones, with its card; return the folder."""
    loaded.save(context.out)
    check_answers(loaded.model, context.out, SAME)
    base = name_of(loaded.folder)
    warn(figures, context)
    write_card(context.out, title=f"{base}, {suffix}", made_from=base, recipe=recipe, figures=figures, task=loaded.task)
    return context.out


def warn(figures: Mapping[str, float], context: Context) -> None:
    """Add what the card warns of by these `figures` to the warnings of the run, which a report shows, too."""
    if warnings := warnings_of(figures):
        context.notes.setdefault("warnings", []).extend(warnings)
