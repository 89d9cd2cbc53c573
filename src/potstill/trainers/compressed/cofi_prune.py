"""Structured pruning by masks that are learned while a student is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.engine.step import Model
from potstill.errors import BadInput, Problem
from potstill.trainers.compressed.masks import Masks
from potstill.trainers.encoders.classifier import Classifier
from potstill.trainers.encoders.layer_match import LayerMatch
from potstill.trainers.language_models.hard_label import HardLabel
from potstill.trainers.language_models.soft_label import SoftLabel
from potstill.trainers.loop.base import Training

if TYPE_CHECKING:
    from potstill.trainers.compressed.mask_parametrization import MaskForm


class Masking(Training):
    """A trainer whose student is pruned while it learns."""

    # gates are drawn part by part, so that parts of another size, or processes, draw others
    unkeyed: ClassVar[frozenset[str]] = Training.unkeyed - {"micro_batch_tokens", "processes"}

    _: KW_ONLY
    masks: Masks = Masks()
    """How small the student is to become."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        yield from self.masks.problems()
        if self.processes > 1:
            yield Problem("", "processes", "would draw masks of their own: train in one process")
        if self.validation is not None:
            text = "the lowest loss there is that of weights from before the masks closed: leave validation out"
            yield Problem("", "validation", text)
        for name in ("lora", "qlora"):
            if getattr(self, name, None):
                yield Problem("", name, "adapters can't be cut with the weights under them: train without")
        if getattr(self, "task", "classification") != "classification":
            yield Problem("", "task", "masks are learned for classifiers and language models only")

    def form(self) -> MaskForm:
        """Return the masks that the student is trained under."""
        from potstill.trainers.compressed.mask_parametrization import MaskForm

        return MaskForm(self.masks)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        goal = {name: value for name, value in dataclasses.asdict(self.masks).items() if value is not None}
        told = {f"masks: {name}": value for name, value in goal.items()}
        return {**super().recipe(), "pruning": "learned masks (CoFi, Xia et al. 2022)", **told}


class CoFiHardLabel(Masking, HardLabel):
    """`HardLabel` whose student is pruned while it learns."""


class CoFiSoftLabel(Masking, SoftLabel):
    """`SoftLabel` whose student is pruned while it learns."""


class CoFiClassifier(Masking, Classifier):
    """`Classifier` whose student is pruned while it learns."""


class CoFiLayerMatch(Masking, LayerMatch):
    """`LayerMatch` whose student is pruned while it learns."""


PRUNING: dict[type[Training], type[Masking]] = {
    HardLabel: CoFiHardLabel,
    SoftLabel: CoFiSoftLabel,
    Classifier: CoFiClassifier,
    LayerMatch: CoFiLayerMatch,
}
"""Trainers that can prune, by those that can't."""


def CoFiPrune(  # noqa: N802 - stands among steps in a pipeline
    model: Model, *, train: Training, name: str | None = None, **masks: Any
) -> Masking:
    """Return the step that prunes `model` while `train` trains it, by masks that learn with the weights.

    CoFi (Xia et al. 2022, arXiv 2204.00408, section 3): hard concrete masks (Louizos et al. 2018) over attention and
    feed-forward sub-layers, heads (here key-value groups) and feed-forward units; a Lagrangian with two multipliers
    takes the expected `sparsity` to its goal. What comes out is uneven, so that it can't be made smaller here: zeros
    in a dense folder, and notes that say why. A fixed shape instead (`heads`, `intermediate_size`, `hidden_size`; Xia
    et al. 2023, Sheared LLaMA, arXiv 2310.06694, section 2.1) has a Lagrangian for each size, and the folder is a
    smaller model that transformers and vLLM load. Distillation from the unpruned model is that of the trainer:
    `SoftLabel(teacher=model)` or `Classifier(teacher=model)` for its distribution, `LayerMatch(hidden=1)` for its
    layers too (paired one by one, while CoFi seeks the pairs anew in each step).

    Args:
        model: a Llama-, Qwen-, GPT-2- or BERT-type model: a step, a folder or a Hub id.
        train: `HardLabel`, `SoftLabel`, `Classifier` or `LayerMatch`; its student becomes `model`.
        name: of the step.
        masks: fields of `Masks`, such as `sparsity=0.6` or `heads=8, intermediate_size=1024`.

    Raises:
        BadInput: the trainer is another one.

    >>> rows = LoadRows([{"instruction": "turn on the lamp", "output": "on"}])
    >>> small = CoFiPrune(student, train=HardLabel(rows, student=student, epochs=1), intermediate_size=192)
    >>> type(small).__name__, small.masks.intermediate_size
    ('CoFiHardLabel', 192)
    """
    kind = PRUNING.get(type(train))
    if kind is None:
        known = ", ".join(known.__name__ for known in PRUNING)
        raise BadInput(Problem("CoFiPrune", "train", f"a {type(train).__name__} can't train under masks: take {known}"))
    fields = {field.name: getattr(train, field.name) for field in dataclasses.fields(train)}
    return kind(**{**fields, "student": model, "name": name, "masks": Masks(**masks)})
