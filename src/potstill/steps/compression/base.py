"""Steps that make a model smaller: how it is loaded and written, what it is run on, and the training after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from potstill.engine.step import Model, Rows, Step
from potstill.errors import Problem, RequestError
from potstill.models.card import name_of, write_card
from potstill.models.folder import Loaded
from potstill.models.preload import MODEL
from potstill.prompts import Template, answer_columns
from potstill.steps.compression import calibration as calibrations

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context


class CompressionStep(Step):
    """Takes a model and writes a smaller one."""

    makes: ClassVar[str] = "model"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = MODEL

    model: Model
    """Model to compress, in 16 or 32 bits: a step, a folder or a Hub id."""

    def memory_remedies(self) -> str:
        """Return what to change where memory runs out."""
        return (
            "layer by layer methods (QuantizeInt4, WandaPrune, SparseGPTPrune) hold one block on the GPU and the rest "
            "in main memory where the model is too large for it (block offload); without a GPU take a machine with "
            "more memory, or save the model as bfloat16 first (CastHalf)"
        )


class CalibratedStep(CompressionStep):
    """Runs the model on a few texts, and measures how much it still agrees with the one before."""

    _: KW_ONLY
    calibration: Rows
    """Rows to run the model on, with `output` and what `prompt` needs, or `text`; the training rows, never the
    test's."""
    prompt: Template = "answer.jinja"
    """Template that turns a calibration row into a chat; that of training and evaluation."""
    text: str | None = None
    """Column of plain texts to run on instead of chats: what an encoder reads, or a model without a chat template."""
    samples: Annotated[int, Ge(1)] = 128
    """Calibration rows to draw; the number of GPTQ's and Wanda's papers."""
    max_length: Annotated[int, Ge(8)] = 256
    """Longest calibration text, in tokens."""
    seed: int = 0
    """Seed of the draw of calibration rows."""

    def memory_remedies(self) -> str:
        """Return what to change where memory runs out: the calibration texts first."""
        texts = f"lower samples ({self.samples} now) or max_length ({self.max_length} now)"
        return f"{texts}, whose hidden states are held; {super().memory_remedies()}"

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the calibration rows must have."""
        return {"calibration": (self.text,) if self.text else answer_columns(self.prompt)}

    def check(self) -> Iterable[Problem]:
        """Yield a problem for calibration rows that come from a test split."""
        yield from super().check()
        yield from calibrations.not_from_a_test_split("calibration", self.calibration)

    def draw(self, loaded: Loaded, rows: Dataset) -> calibrations.Calibration:
        """Draw the calibration texts.

        Raises:
            BadInput: there are no usable rows, too few tokens, or the model can't read them.
        """
        return calibrations.calibration_texts(
            rows,
            loaded.tokenizer,
            loaded.model.config,
            prompt=self.prompt,
            text=self.text,
            samples=self.samples,
            max_length=self.max_length,
            seed=self.seed,
        )


class PruneStep(CompressionStep):
    """Takes weights away, and can train what is left."""

    _: KW_ONLY
    recover: Step | None = None
    """A trainer that trains what is left, such as `SoftLabel(rows, student=model, teacher=model)`: its student becomes
    the pruned model, and what is zero stays zero. Pruned and recovered model are steps of their own in the store."""

    holds_zeros: ClassVar[bool] = False
    """Whether the method leaves zeros that a training must keep."""

    def expanded(self) -> Step:
        """Return the trainer that recovers the pruned model, or this step."""
        return self if self.recover is None else self._recovered

    @cached_property
    def _recovered(self) -> Step:
        """The trainer with the pruned model for its student.

        Raises:
            RequestError: `recover` is no trainer, or one that can't hold zeros.
        """
        trainer = self.recover
        fields = {field.name for field in dataclasses.fields(trainer)} if isinstance(trainer, Step) else set()
        wanted = {"student", *(("hold_zeros",) if self.holds_zeros else ())}
        if trainer is None or not wanted <= fields:
            place, given = self.name or type(self).__name__, type(trainer).__name__
            text = f"needs a trainer with {' and '.join(sorted(wanted))}, such as HardLabel or SoftLabel; got {given}"
            raise RequestError(Problem(place, "recover", text))
        pruned = dataclasses.replace(self, recover=None, name=f"{self.name}.pruned" if self.name else None)
        held = {"hold_zeros": True} if self.holds_zeros else {}
        changes: dict[str, Any] = {"student": pruned, "name": self.name, **held}
        return dataclasses.replace(trainer, **changes)


def publish(
    loaded: Loaded,
    context: Context,
    suffix: str,
    recipe: Mapping[str, object],
    figures: Mapping[str, float],
) -> Path:
    """Write a compressed model whose weights are still 16- or 32-bit ones, with its card; return the folder."""
    loaded.save(context.out)
    base = name_of(loaded.folder)
    write_card(context.out, title=f"{base}, {suffix}", made_from=base, recipe=recipe, figures=figures, task=loaded.task)
    return context.out
