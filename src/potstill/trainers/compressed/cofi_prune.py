"""Structured pruning by masks that are learned while a student is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, InitVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Interval

from potstill.engine.recipe import StandIn, built
from potstill.engine.step import Step
from potstill.errors import BadInput, Problem
from potstill.models.edge import Model
from potstill.models.turns import LossOn
from potstill.trainers.compressed.mask_fields import MaskFields, adapter_problems, mask_problems, mask_recipe
from potstill.trainers.compressed.masks import Masks
from potstill.trainers.encoders.base import ClassTraining
from potstill.trainers.encoders.classifier import (
    Classifier,
    check_one_teacher,
    class_columns,
    learn_classes,
    teacher_problems,
)
from potstill.trainers.encoders.layer_match import (
    LayerFields,
    LayerMatch,
    layer_columns,
    layer_problems,
    layer_recipe,
    learn_layers,
)
from potstill.trainers.language_models.base import CausalTraining, fit
from potstill.trainers.language_models.hard_label import HardLabel, learn_answers
from potstill.trainers.language_models.soft_label import SoftLabel
from potstill.trainers.language_models.soft_lesson import (
    SoftFields,
    soft_lesson,
    soft_problems,
)
from potstill.trainers.loop.base import Training
from potstill.trainers.loop.context import set_up

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class CoFiHardLabel(MaskFields, CausalTraining):
    """`HardLabel` whose student is pruned while it learns."""

    version: ClassVar[int] = HardLabel.version
    unkeyed_defaults: ClassVar[frozenset[str]] = HardLabel.unkeyed_defaults

    _: KW_ONLY
    loss_on: LossOn = "last"
    """Which turns of a conversation are learned, as in `HardLabel`."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        yield from mask_problems(self, self.masks)
        yield from adapter_problems(self)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {**super().recipe(), **mask_recipe(self.masks)}

    def run(self, rows: Dataset, student: ModelSource, context: Context, *, validation: Dataset | None = None) -> Path:
        """Train the student on `rows` under masks, and write its folder."""
        return learn_answers(self, rows, student, context, validation, loss_on=self.loss_on)


class CoFiSoftLabel(MaskFields, SoftFields, CausalTraining):
    """`SoftLabel` whose student is pruned while it learns."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the rows must have."""
        return {"rows": self.soft_columns(self.prompt)}

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        yield from soft_problems(self, self.student)
        yield from mask_problems(self, self.masks)
        yield from adapter_problems(self)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {**super().recipe(), **self.soft_recipe(), **mask_recipe(self.masks)}

    def run(
        self,
        rows: Dataset,
        student: ModelSource,
        teacher: ModelSource | None,
        context: Context,
        *,
        validation: Dataset | None = None,
    ) -> Path:
        """Train the student on `rows` under masks, and write its folder."""
        inputs = {"rows": rows, "student": student, "teacher": teacher}
        with set_up(self, inputs, context, validation) as training:
            lesson = soft_lesson(self, rows, student, teacher, training, how=self)
            return fit(self, *lesson, training)


class CoFiClassifier(MaskFields, ClassTraining):
    """`Classifier` whose student is pruned while it learns."""

    _: KW_ONLY
    teacher: Model | None = None
    """A classifier that reads each batch beside the student, as in `Classifier`."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the rows must have."""
        return {"rows": class_columns(self, self.teacher)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> None:
        """Check that there is one teacher.

        Raises:
            RequestError: there are two.
        """
        check_one_teacher(self.teacher, inputs.get("rows"))

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        yield from teacher_problems(self, self.teacher)
        yield from mask_problems(self, self.masks)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {**super().recipe(), **mask_recipe(self.masks)}

    def run(
        self,
        rows: Dataset,
        student: ModelSource,
        context: Context,
        teacher: ModelSource | None = None,
        *,
        validation: Dataset | None = None,
    ) -> Path:
        """Train the student on `rows` under masks, and write its folder."""
        inputs = {"rows": rows, "student": student, "teacher": teacher}
        with set_up(self, inputs, context, validation) as training:
            return learn_classes(self, rows, student, teacher, training)


class CoFiLayerMatch(MaskFields, LayerFields, ClassTraining):
    """`LayerMatch` whose student is pruned while it learns."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the rows must have."""
        return {"rows": layer_columns(self, how=self)}

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        yield from layer_problems(self, how=self)
        yield from mask_problems(self, self.masks)
        if self.task != "classification":
            yield Problem("", "task", "masks are learned for classifiers and language models only")

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {**super().recipe(), **layer_recipe(self), **mask_recipe(self.masks)}

    def run(
        self,
        rows: Dataset,
        student: ModelSource,
        teacher: ModelSource,
        context: Context,
        *,
        validation: Dataset | None = None,
    ) -> Path:
        """Train the student on `rows` under masks, and write its folder."""
        inputs = {"rows": rows, "student": student, "teacher": teacher}
        with set_up(self, inputs, context, validation) as training:
            return learn_layers(self, rows, student, teacher, training, how=self)


Masked = CoFiHardLabel | CoFiSoftLabel | CoFiClassifier | CoFiLayerMatch
"""A trainer whose student is pruned while it learns."""
PRUNING: dict[type[Step], type[Masked]] = {
    HardLabel: CoFiHardLabel,
    SoftLabel: CoFiSoftLabel,
    Classifier: CoFiClassifier,
    LayerMatch: CoFiLayerMatch,
}
"""Trainers that can prune, by those that can't."""


class CoFiPrune(StandIn):
    """Prune `model` while `train` trains it, by masks that learn with the weights.

    CoFi (Xia et al. 2022, arXiv 2204.00408, section 3): hard concrete masks (Louizos et al. 2018) over attention and
    feed-forward sub-layers, heads (here key-value groups) and feed-forward units; a Lagrangian with two multipliers
    takes the expected `sparsity` to its target. The result is uneven, so that it can't be made smaller here: zeros
    in a dense folder, and notes that say why. A fixed shape instead (`heads`, `intermediate_size`, `hidden_size`; Xia
    et al. 2023, Sheared LLaMA, arXiv 2310.06694, section 2.1) has a Lagrangian for each size, and the folder is a
    smaller model that transformers and vLLM load. Distillation from the unpruned model is that of the trainer:
    `SoftLabel(teacher=model)` or `Classifier(teacher=model)` for its distribution, `LayerMatch(hidden=1)` for its
    layers too (paired in a fixed way, while CoFi searches for the pairs again in each step).

    The step is read like the trainer under masks that it stands for: its `learning_rate` and `warmup` are those of
    `train`, and what is set here is in its `masks`.

    >>> rows = LoadRows([{"instruction": "turn on the lamp", "output": "on"}])
    >>> small = CoFiPrune(student, train=HardLabel(rows, student=student, epochs=1), intermediate_size=192)
    >>> type(small.expanded()).__name__, small.masks.intermediate_size
    ('CoFiHardLabel', 192)
    """

    model: Model
    """A Llama-, Qwen-, GPT-2- or BERT-type model: a step, a folder or a Hub id."""
    _: KW_ONLY
    train: Training
    """`HardLabel`, `SoftLabel`, `Classifier` or `LayerMatch`; its student becomes `model`."""
    sparsity: Annotated[float, Interval(gt=0, lt=1)] | None = None
    """Share of the blocks' projection weights to prune, wherever it hurts least; or a fixed shape:"""
    intermediate_size: Annotated[int, Ge(1)] | None = None
    """Feed-forward units that stay in each block; None keeps all."""
    heads: Annotated[int, Ge(1)] | None = None
    """Query heads that stay in each block, whole key-value groups; None keeps all."""
    hidden_size: Annotated[int, Ge(1)] | None = None
    """Hidden channels that stay, the same in all blocks; None keeps all."""
    align: Annotated[int, Ge(1)] = Masks.align
    """What a size of a fixed shape that changes must be a multiple of."""
    learning_rate: InitVar[float] = Masks.learning_rate
    """Of masks and multipliers."""
    warmup: InitVar[float] = Masks.warmup
    """Share of the training in which the target moves linearly to its value."""

    def __post_init__(self, learning_rate: float, warmup: float) -> None:
        """Build the trainer under masks.

        Raises:
            BadInput: naming all that is wrong.
        """
        sizes = (self.sparsity, self.intermediate_size, self.heads, self.hidden_size, self.align)
        self._build(self._masked(Masks(*sizes, learning_rate, warmup)))

    def _masked(self, masks: Masks) -> Iterator[Masked]:
        """Yield the trainer under masks.

        Raises:
            BadInput: `train` is another one.
        """
        train = built(self.train)
        kind = PRUNING.get(type(train))
        if kind is None:
            names = ", ".join(trainer.__name__ for trainer in PRUNING)
            raise BadInput(Problem("", "train", f"a {type(train).__name__} can't train under masks: take {names}"))
        fields = {field.name: getattr(train, field.name) for field in dataclasses.fields(train)}
        yield kind(**{**fields, "student": self.model, "name": self.name, "masks": masks})
