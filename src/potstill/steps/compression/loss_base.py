"""Steps that measure the loss of a model on its calibration: of classes, or of the answers' tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING

from potstill.errors import BadInput, Problem
from potstill.models.folder import Loaded
from potstill.steps.compression.base import CalibratedStep

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.loss import Batch
    from potstill.steps.compression.calibration import Calibration


class LabelledStep(CalibratedStep):
    """Measures the loss, of classes or of the answers' tokens."""

    _: KW_ONLY
    label: str | None = None
    """Column of the classes, for a classifier; without it the loss is that of the next tokens of the answers."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the calibration rows must have."""
        needed = super().needs()
        return {**needed, "calibration": (*needed["calibration"], *((self.label,) if self.label else ()))}

    def batches(self, loaded: Loaded, drawn: Calibration, rows: Dataset) -> list[Batch]:
        """Return the texts with what is to be predicted of them.

        Raises:
            BadInput: labels that are no classes of the model, or an encoder without labels.
        """
        from potstill.compression.architecture import architecture_of
        from potstill.compression.loss import batches_of

        if self.label is None:
            if architecture_of(loaded.model).is_encoder:
                raise BadInput(Problem("", "label", "an encoder predicts no next token: give a classifier, and name "
                                       "the column of its classes with label="))  # fmt: skip
            return batches_of(drawn.texts)
        if not hasattr(loaded.model, "classifier") and not hasattr(loaded.model, "score"):
            raise BadInput(Problem("", "label", f"a {type(loaded.model).__name__} has no classes: leave label= out"))
        known = {str(name): int(number) for number, name in loaded.model.config.id2label.items()}
        named = [str(rows[number][self.label]) for number in drawn.numbers]
        strange = sorted(set(named) - set(known))
        if strange:
            text = f"{', '.join(strange[:5])} are no classes of the model, which knows {', '.join(list(known)[:5])}"
            raise BadInput(
                Problem("", "label", f"{text}: name the right column, or take the model that was trained on it")
            )
        return batches_of(drawn.texts, [known[name] for name in named])
