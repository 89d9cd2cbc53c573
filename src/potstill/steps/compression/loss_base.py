"""Batches for steps that measure a model's loss on the calibration rows: of classes, or of the answers' tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from potstill.errors import BadInput, Problem
from potstill.models.folder import Loaded

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.loss import Batch
    from potstill.steps.compression.calibration import Calibration


def loss_batches(loaded: Loaded, drawn: Calibration, rows: Dataset, label: str | None) -> list[Batch]:
    """Return the texts that were `drawn` from `rows`, with what is to be predicted of them.

    Raises:
        BadInput: labels that are no classes of the model, or an encoder without labels.
    """
    from potstill.compression.architecture import architecture_of
    from potstill.compression.loss import batches_of

    if label is not None:
        return batches_of(drawn.texts, _classes(loaded, drawn, rows, label))
    if architecture_of(loaded.model).is_encoder:
        raise BadInput(
            Problem(
                "",
                "label",
                "an encoder predicts no next token: give a classifier, and name the column of its classes with label=",
            )
        )
    return batches_of(drawn.texts)


def _classes(loaded: Loaded, drawn: Calibration, rows: Dataset, label: str) -> list[int]:
    """Return the number of each text's class, whose name stands in the column `label`.

    Raises:
        BadInput: the model has no classes, or not these.
    """
    if not hasattr(loaded.model, "classifier") and not hasattr(loaded.model, "score"):
        raise BadInput(Problem("", "label", f"a {type(loaded.model).__name__} has no classes: leave label= out"))
    number_of = {str(name): int(number) for number, name in loaded.model.config.id2label.items()}
    labels = [str(rows[number][label]) for number in drawn.numbers]
    unknown = sorted(set(labels) - set(number_of))
    if unknown:
        text = f"{', '.join(unknown[:5])} are no classes of the model, which knows {', '.join(list(number_of)[:5])}"
        raise BadInput(Problem("", "label", f"{text}: name the right column, or take the model that was trained on it"))
    return [number_of[name] for name in labels]
