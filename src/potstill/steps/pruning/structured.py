"""Structured pruning steps: a snapshot of the model before, its target sizes, and how the result is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Interval

from potstill.engine.step import Rows, Step
from potstill.errors import BadInput, Problem
from potstill.models.folder import SENTENCE, Loaded
from potstill.steps.compression.base import CalibratedStep, calibration_columns, draw, publish
from potstill.steps.pruning.recovery import recovered

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.pruning.shapes import Shape
    from potstill.engine.context import Context
    from potstill.steps.compression.calibration import Calibration

POOLED = ("word_embedding_dimension", "embedding_dimension")
"""Fields of a sentence encoder's pooling that count the hidden channels."""


@dataclass(frozen=True)
class Original:
    """Snapshot of a model before it is pruned, to compare with."""

    drawn: Calibration
    """Texts that it is run on."""
    shape: Shape
    """Its sizes."""
    parameters: int
    """Its parameters, tied ones once."""
    states: list[Tensor]
    """Its outputs on the texts."""
    head: Any
    """What makes logits of them (`Callable[[Tensor], Tensor]`), or `None` where they are logits."""


class CutStep(CalibratedStep):
    """Removes blocks or heads by their importance on the calibration texts."""

    _: KW_ONLY
    calibration: Rows = field()
    label: str | None = None
    """Column of the classes, for a classifier; without it the loss is that of the next tokens of the answers."""
    recover: Step | None = None
    """A trainer that trains what is left, such as `SoftLabel(rows, student=model, teacher=model)`: its student becomes
    the pruned model, and what is zero stays zero. Pruned and recovered model are steps of their own in the store."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the calibration rows must have."""
        return {"calibration": calibration_columns(self, self.label)}

    def expanded(self) -> Step:
        """Return the trainer that recovers the pruned model, or this step."""
        return recovered(self, self.recover)


class SizedStep(CalibratedStep):
    """Cuts every block to given sizes, or by a share."""

    _: KW_ONLY
    calibration: Rows = field()
    recover: Step | None = None
    """A trainer that trains what is left, such as `SoftLabel(rows, student=model, teacher=model)`: its student becomes
    the pruned model. Pruned and recovered model are steps of their own in the store."""
    intermediate_size: Annotated[int, Ge(1)] | None = None
    """Feed-forward units that stay in each block; `None` keeps all."""
    heads: Annotated[int, Ge(1)] | None = None
    """Query heads that stay in each block: whole key-value groups. `None` keeps all."""
    sparsity: Annotated[float, Interval(gt=0, lt=1)] | None = None
    """In place of sizes: the share of the feed-forward units and of the heads to take away, each rounded to what fits;
    heads stay where the model type can't lose them alone."""
    align: Annotated[int, Ge(1)] = 64
    """What a size that changes must be a multiple of, for fast kernels and 4-bit groups; tiny models need less."""

    def sizes(self) -> dict[str, int | None]:
        """Return the sizes that are given, by field."""
        return {"intermediate_size": self.intermediate_size, "heads": self.heads}

    def check(self) -> Iterable[Problem]:
        """Yield that nothing is given to reach, or too much."""
        yield from super().check()
        sizes = [name for name, value in self.sizes().items() if value is not None]
        if self.sparsity is None and not sizes:
            yield Problem("", "sparsity", f"nothing says how small: give {', '.join(self.sizes())}, or sparsity")
        if self.sparsity is not None and sizes:
            yield Problem("", "sparsity", f"{' and '.join(sizes)} say how small already: leave out one or the other")

    def expanded(self) -> Step:
        """Return the trainer that recovers the pruned model, or this step."""
        return recovered(self, self.recover)


def remember(step: CalibratedStep, loaded: Loaded, calibration: Dataset) -> Original:
    """Return a snapshot of the model that `step` will cut."""
    from potstill.compression.agreement import outputs
    from potstill.compression.pruning.shapes import shape_of

    drawn = draw(step, loaded, calibration)
    states = outputs(loaded.model, drawn.measured)
    return Original(drawn, shape_of(loaded.model), loaded.model.num_parameters(), states, _head_of(loaded.model))


def wanted(step: SizedStep, loaded: Loaded, old: Shape) -> Shape:
    """Return the sizes that `step` cuts to.

    Raises:
        BadInput: they don't fit the model; all that is wrong together.
    """
    from potstill.compression.architecture import architecture_of
    from potstill.compression.pruning import shapes

    kind, arch = loaded.model.config.model_type, architecture_of(loaded.model)
    sizes = {name: value for name, value in step.sizes().items() if value is not None}
    if step.sparsity is not None:
        new = shapes.shared(kind, arch, old, step.sparsity, step.align)
    else:
        new = shapes.with_heads(old, sizes.get("heads", old.heads))
        new = replace(new, units=sizes.get("intermediate_size", old.units), hidden=sizes.get("hidden_size", old.hidden))
    problems = list(shapes.problems(kind, arch, old, new, step.align))
    if not problems and new == old:
        problems = [
            f"nothing would be cut: {sizes or step.sparsity} leaves the model as it is; lower align or the sizes"
        ]
    if problems:
        raise BadInput(*problems)
    return new


def publish_cut(
    loaded: Loaded, original: Original, context: Context, suffix: str, recipe: Mapping[str, object]
) -> Path:
    """Write the cut model with its card, and note sizes, parameters and agreement before and after."""
    from potstill.compression.pruning.shapes import shape_of

    new, old = shape_of(loaded.model), original.shape
    before, after = old.described(), new.described()
    changed = {name: f"{before[name]} -> {after[name]}" for name in before if before[name] != after[name]}
    figures = agreement_of(loaded, original)
    parameters = {"before": original.parameters, "after": loaded.model.num_parameters()}
    context.notes |= {
        "calibration": original.drawn.figures(),
        "parameters": parameters,
        "shape": {"before": before, "after": after},
    }
    if figures:
        context.notes["agreement"] = figures
    details = {**{f"calibration {name}": value for name, value in figures.items()}}
    details |= {f"parameters {name}": value for name, value in parameters.items()}
    rows = {"calibration rows": len(original.drawn.texts)}
    out = publish(loaded, context, suffix, {**recipe, **changed, **rows}, details)
    _update_pooling(out, old.hidden, new.hidden)
    return out


def agreement_of(loaded: Loaded, original: Original) -> dict[str, float]:
    """Return how much the cut model agrees with the original; empty where their vectors have different widths."""
    from torch import nn

    from potstill.compression.agreement import agreement, outputs
    from potstill.compression.architecture import behind_head

    states = outputs(loaded.model, original.drawn.measured)
    if original.head is None:
        same = states[0].shape[-1] == original.states[0].shape[-1]
        return agreement(nn.Identity(), original.states, states) if same else {}
    return agreement(original.head, original.states, states, behind_head(loaded.model))


def can_narrow(loaded: Loaded) -> None:
    """Check that nothing beside the model reads its hidden channels.

    Raises:
        BadInput: a sentence encoder has a layer behind its pooling.
    """
    for path, settings in _sentence_modules(loaded.folder):
        if "in_features" in settings:
            raise BadInput(
                f"hidden_size: the layer {path.name} of the sentence encoder reads all hidden channels: "
                "keep hidden_size, or cut the bare transformer"
            )


def _head_of(model: PretrainedModel) -> Any:
    """Return a layer with the head's present weights, which a cut replaces and does not change."""
    import torch

    from potstill.compression.architecture import architecture_of, scaled_as

    if architecture_of(model).is_encoder:
        return None
    old = model.get_output_embeddings()
    with torch.device("meta"):
        head = torch.nn.Linear(old.in_features, old.out_features, bias=old.bias is not None)
    # the meta device: a layer is made only to hold the old tensors, which a cut replaces and doesn't change
    head.weight, head.bias = old.weight, old.bias
    return scaled_as(model, head)


def _sentence_modules(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield (folder, settings) of the modules behind a sentence encoder's transformer."""
    if (folder / SENTENCE[0]).is_file():
        for path in sorted(folder.glob("*/config.json")):
            yield path.parent, json.loads(path.read_text(encoding="utf-8"))


def _update_pooling(out: Path, old: int, new: int) -> None:
    """Write the new hidden size into the config of a sentence encoder's pooling."""
    for path, settings in _sentence_modules(out):
        counted = [name for name in POOLED if settings.get(name) == old]
        if counted and old != new:
            changed = settings | dict.fromkeys(counted, new)
            (path / "config.json").write_text(json.dumps(changed, indent=2) + "\n", encoding="utf-8")
