"""Training on a teacher's distribution, hidden states and attention maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval

from potstill.errors import Problem
from potstill.models.edge import Model
from potstill.trainers.encoders.base import ClassTraining, fit
from potstill.trainers.loop.context import set_up

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import nn

    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource
    from potstill.trainers.encoders.layer_objective import Weights
    from potstill.trainers.loop.context import TrainingContext

PROJECTION = "layer_projection"
"""Name under which the learned projection is part of the student while it trains, and of its checkpoints."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LayerFields:
    """How a student is compared with its teacher's layers; fields only, no step."""

    teacher: Model
    """A classifier of the same classes, in any order, or a masked language model; with the student's tokenizer. It
    reads each batch too."""
    task: Literal["classification", "masked-lm"] = "classification"
    """What the student learns to do: predict classes, or masked tokens of `text`, 15 % of them, sampled at each
    reading."""
    alpha: Annotated[float, Interval(ge=0, le=1)] | None = 5 / 7
    """Weight of the teacher's distribution, the rest being the label's: DistilBERT's 5 to 2. 1 takes no labels."""
    temperature: Annotated[float, Gt(0)] = 2.0
    """Softens both distributions; DistilBERT's."""
    cosine: Annotated[float, Ge(0)] = 1 / 7
    """Weight of the cosine loss of the last hidden states: DistilBERT's 1 beside 5 and 2."""
    hidden: Annotated[float, Ge(0)] = 0.0
    """Weight of the hidden states of paired layers; TinyBERT has 1."""
    attention: Annotated[float, Ge(0)] = 0.0
    """Weight of the attention maps of paired layers; TinyBERT has 1. They are probabilities here, small ones, and the
    student's after its dropout; computing them takes the slower, eager attention."""
    match: Literal["all", "first"] = "all"
    """What `hidden` compares: the mean squared error at `all` tokens (TinyBERT), or the squared distance of unit
    vectors at the `first`, which an encoder classifies by (PKD)."""
    layers: tuple[tuple[int, int], ...] = ()
    """Pairs (student's layer, teacher's layer) for `hidden` and `attention`, numbered from 0. Empty spreads the
    student's evenly, last to last: (0, 1), (1, 3), (2, 5) for 3 of 6."""


class LayerMatch(LayerFields, ClassTraining):
    """Train an encoder on a teacher's distribution, the labels, and the teacher's hidden states and attention maps.

    The loss of a row, or with `task="masked-lm"` of a masked token of plain text, is alpha * temperature^2 *
    KL(teacher || student) + (1 - alpha) * cross-entropy + cosine * (1 - cosine of the last hidden states) + hidden *
    (distance of the hidden states of paired layers) + attention * (distance of their attention maps). By default it is
    DistilBERT's triple loss with its weights 5 : 2 : 1 (Sanh et al. 2019, arXiv 1910.01108, section 2), divided by 7;
    `hidden` and `attention` are those of TinyBERT (Jiao et al. 2020, arXiv 1909.10351, section 3.1) or PKD (Sun et al.
    2019, arXiv 1908.09355). States are compared token by token and averaged over the row; where the widths differ, one
    learned linear map takes the student's to the teacher's, and where the numbers of heads do, mean maps are compared.
    A student made by `KeepLayers` starts from the teacher.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> mood = Classifier(rows, student=encoder, epochs=1)
    >>> show(LayerMatch(rows, student=KeepLayers(mood, every=3), teacher=mood, epochs=1))
    {'parameters': 15616130, 'zeros': 0.0, 'bits': 32}
    """

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the rows must have."""
        return {"rows": layer_columns(self, how=self)}

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        yield from layer_problems(self, how=self)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {**super().recipe(), **layer_recipe(self)}

    def run(
        self,
        rows: Dataset,
        student: ModelSource,
        teacher: ModelSource,
        context: Context,
        *,
        validation: Dataset | None = None,
    ) -> Path:
        """Train the student on `rows` and write its folder.

        Raises:
            BadInput: student or teacher can't do the task; their classes, tokenizers or layers don't go together.
        """
        inputs = {"rows": rows, "student": student, "teacher": teacher}
        with set_up(self, inputs, context, validation) as training:
            return learn_layers(self, rows, student, teacher, training, how=self)


def layer_columns(step: ClassTraining, how: LayerFields) -> tuple[str, ...]:
    """Return the columns that the rows must have."""
    labels = how.task == "classification" and how.alpha != 1
    return (step.text, *((step.label,) if labels else ()))


def layer_problems(step: ClassTraining, how: LayerFields) -> Iterator[Problem]:
    """Yield what is wrong with the parameters."""
    if how.alpha == 0 and not (how.cosine or how.hidden or how.attention):
        yield Problem("", "alpha", "is 0, as are all other weights of the teacher: raise one, or take Classifier")
    if how.task == "masked-lm" and step.classes:
        yield Problem("", "classes", "are given, but a masked language model has none: leave them out")
    if how.layers and not (how.hidden or how.attention):
        yield Problem("", "layers", "are given, but hidden and attention, which compare them, are 0: raise one")


def layer_recipe(how: LayerFields) -> dict[str, object]:
    """Return the parameters that the model card names."""
    weights = {"alpha": how.alpha, "cosine": how.cosine, "hidden": how.hidden, "attention": how.attention}
    return {**weights, "temperature": how.temperature, "task": how.task}


def learn_layers(
    step: ClassTraining,
    rows: Dataset,
    student: ModelSource,
    teacher: ModelSource,
    context: TrainingContext,
    *,
    how: LayerFields,
) -> Path:
    """Train the student on the teacher's distribution and layers, and write its folder.

    Raises:
        BadInput: student or teacher can't do the task; their classes, tokenizers or layers don't go together.
    """
    from potstill.trainers.encoders import layer_tasks
    from potstill.trainers.encoders.layer_map import checked
    from potstill.trainers.encoders.layer_objective import LayerObjective

    weights = _weights(how)
    read = layer_tasks.classify if how.task == "classification" else layer_tasks.fill_masks
    sides = read(layer_tasks.Order(step, rows, student, teacher, weights, context))
    layers, width = layer_tasks.sizes(sides.student)
    teacher_layers, teacher_width = layer_tasks.sizes(sides.teacher)
    pairs = checked(how.layers, layers, teacher_layers)
    context.notes["layer_pairs"] = [list(pair) for pair in pairs]
    projection = _projection(sides.student, width, teacher_width, weights)
    objective = LayerObjective(weights, pairs, sides.ask, sides.targets, **projection)
    model, reading = sides.student, sides.reading
    return fit(step, sides.prepared, model, objective, reading, {}, context, _unproject, sides.task)


def _weights(how: LayerFields) -> Weights:
    """Return the weights of the parts of the loss."""
    from potstill.trainers.encoders.layer_objective import Weights

    alpha = 0.5 if how.alpha is None else how.alpha
    return Weights(alpha, how.temperature, how.cosine, how.hidden, how.attention, how.match)


def _projection(model: PretrainedModel, width: int, teacher_width: int, weights: Weights) -> dict[str, Any]:
    """Return, where widths differ, the map from the student's width to the teacher's, trained with the `model`."""
    import torch

    if width == teacher_width or not (weights.cosine or weights.hidden):
        return {}
    # a part of the model, so that optimizer and checkpoints take it along
    model.add_module(PROJECTION, torch.nn.Linear(width, teacher_width, bias=False))
    return {"project": getattr(model, PROJECTION)}


def _unproject(model: nn.Module) -> None:
    """Remove the projection from a trained student."""
    if hasattr(model, PROJECTION):
        delattr(model, PROJECTION)
