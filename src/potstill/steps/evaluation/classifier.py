"""Evaluate a text classifier: accuracy with its interval, F1 by class, confusions, speed and size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.errors import BadInput
from potstill.models.identity import export_in, folder_of
from potstill.models.loading import config_of
from potstill.models.positions import positions_of
from potstill.steps.evaluation.class_figures import class_figures
from potstill.steps.evaluation.class_rows import CLASS_COLUMNS, Answer, class_rows
from potstill.steps.evaluation.classifier_base import (
    NO_CLASS,
    UNDECIDED,
    ClassEvaluation,
    Reader,
    by_runtime,
    by_torch,
    class_names,
    ids_of,
    load_model,
)
from potstill.steps.evaluation.evaluation_sets import by_name
from potstill.steps.evaluation.exports import Reads, refuse_export

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


KIND = "ForSequenceClassification"
"""How the architecture of a classifier of texts ends."""


class EvaluateClassifier(ClassEvaluation):
    """Let a classifier name the class of test texts, and measure quality, speed and size.

    Each row is kept with its answer and the probability of that in `rows.parquet`, beside the figures. `brier` and
    `calibration_error` say whether the probabilities hold, `calibration_error_of_calibrated` what a calibrated model
    shows on as many rows. `matthews` is the correlation of right and predicted classes, None where either is one class
    alone. A text of which the model's scores are NaN has no class: it is wrong, and counts in `undecided`.

    A test label that the model has no class for is always wrong; such labels are listed. What ExportEncoder wrote is
    measured by the runtime that it was written for.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> mood = Classifier(rows, student=encoder, epochs=8, batch_size=2, learning_rate=5e-4)
    >>> show(EvaluateClassifier(mood, rows))
    {'sets': {'test': {'n': 2, 'accuracy': 1.0, 'accuracy_low': 0.3424, 'accuracy_high': 1.0, 'macro_f1': 1.0, ...
    """

    # Matthews' coefficient; no class where the scores are NaN (3)
    version: ClassVar[int] = 3
    reads: ClassVar[Reads] = "classifiers"
    row_columns: ClassVar[Mapping[str, str]] = CLASS_COLUMNS

    def run(self, model: ModelSource, rows: Dataset | Mapping[str, Dataset], context: Context) -> dict[str, Any]:
        """Measure `model` on `rows`.

        Raises:
            BadInput: there is no such model, or something is wrong with the test rows.
        """
        import torch

        torch.set_num_threads(max(1, context.threads))
        sets = by_name(rows)
        self.refuse_rows(sets, self._problem)
        reader = self._reader(folder_of(model, exports=True), context.threads)

        def score(
            name: str, test: Dataset, answers: Sequence[Answer]
        ) -> tuple[dict[str, Any], Iterable[Mapping[str, Any]]]:
            labels = [str(label) for label in test[self.label]]
            rows = class_rows(name, ids_of(test), test[self.text], labels, answers)
            return self._score(labels, answers, reader.names, name), rows

        return self.measured(reader, sets, score, context)

    def _problem(self, text: object, label: object) -> str:
        """Return what is wrong with a row, or an empty string."""
        if isinstance(text, str) and label is not None:
            return ""
        return f"it needs a text in {self.text!r} and a label in {self.label!r}"

    def _reader(self, folder: Path, threads: int) -> Reader:
        """Return the classifier in `folder`, ready to name the class of each text, by the runtime it is meant for.

        Raises:
            BadInput: it was exported, and is no classifier.
        """
        from transformers import AutoTokenizer

        from potstill.exporting.reading import runtime_title

        exported = bool(export_in(folder))
        refuse_export(folder, self.reads, type(self).__name__)
        model = None if exported else load_model(folder, KIND)
        config = config_of(folder) if model is None else model.config
        kind = (config.architectures or ["model of no known kind"])[0]
        if exported and not kind.endswith(KIND):
            raise BadInput(
                f"the model {folder} is an export of a {kind}, which has no classes: give one of a classifier"
            )
        names, tokenizer = class_names(config), AutoTokenizer.from_pretrained(folder)
        positions = positions_of(config) or self.max_length
        # a tokenizer without a limit of its own has a huge number there
        limit = min(self.max_length, tokenizer.model_max_length, positions)

        def encode(texts: list[str]) -> Any:
            kind = "np" if exported else "pt"
            return tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors=kind)

        def decode(numbers: list[int], batch: object) -> list[str]:
            return [NO_CLASS if number == UNDECIDED else names[number] for number in numbers]

        classes = by_torch(model) if model is not None else by_runtime(folder, threads)
        return Reader(
            folder, names, classes, encode, decode, self.batch_size, runtime_title(folder) if exported else ""
        )

    def _score(
        self, expected: Sequence[str], answers: Sequence[Answer], names: Sequence[str], test: str
    ) -> dict[str, Any]:
        """Return the metrics of one test set.

        Raises:
            BadInput: none of its labels is a class of the model.
        """
        return class_figures(expected, answers, self.unknown(expected, names, test), self.worst)
