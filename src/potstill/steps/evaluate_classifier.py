"""Measuring a classifier: accuracy with its interval, F1 by class, what it mixes up, speed and size.

Protocol: texts are read in batches, sorted by length, in the type of the weights, after one warm-up batch; one that is
longer than the model reads is cut at its end, as in training. `rows_per_s` is of the whole way from texts to classes,
`model_rows_per_s` of the model alone, without the tokenizer.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from potstill.classification import ClassScore, class_scores, macro_f1
from potstill.errors import BadInput, Problem
from potstill.footprint import footprint, peak_memory
from potstill.metrics import wilson
from potstill.models import folder_problem, hub_commit, is_local
from potstill.step import Model, Rows, Step
from potstill.steps.bases.test_sets import by_name, missing_sets

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.context import Context


class EvaluateClassifier(Step):
    """Let a classifier name the class of test texts, and measure quality, speed and size.

    A test label that the model has no class for is always wrong; such labels are listed.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> mood = Classifier(rows, student=encoder, epochs=8, batch_size=2, learning_rate=5e-4)
    >>> show(EvaluateClassifier(mood, rows))
    {'sets': {'test': {'n': 2, 'accuracy': 1.0, 'accuracy_low': 0.3424, 'accuracy_high': 1.0, 'macro_f1': 1.0, ...
    """

    model: Model
    """A step that makes a classifier, a local folder or a Hub id."""
    rows: Rows | Mapping[str, Rows]
    """Test rows; several sets by name, or one, which is then called `test`."""
    text: str = "text"
    """Column with the text."""
    label: str = "label"
    """Column with the name of its class, or a number."""
    batch_size: Annotated[int, Ge(1)] = 64
    """Texts read at once; part of the protocol, because it sets the speed."""
    max_length: Annotated[int, Ge(3)] = 256
    """Longest text, in tokens, as in training."""
    worst: Annotated[int, Ge(0)] = 10
    """Classes with the lowest F1 that are listed, and as many of the pairs that are mixed up most."""

    makes: ClassVar[str] = "metrics"
    version: ClassVar[int] = 2
    heavy: ClassVar[bool] = True
    alone: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers")

    def check(self) -> Iterable[Problem]:
        """Yield a problem if there is no test set."""
        yield from missing_sets(self.rows)

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns of a test set."""
        return {"rows": (self.text, self.label)}

    def run(self, model: Any, rows: Dataset | Mapping[str, Dataset], context: Context) -> dict[str, Any]:
        """Measure `model` on `rows`."""
        import torch

        torch.set_num_threads(max(1, context.threads))
        sets = by_name(rows)
        self._check_rows(sets)
        folder = folder_of(model)
        reader = Reader(folder, self.batch_size, self.max_length)
        made: dict[str, Any] = {}
        count = seconds = 0.0
        for name, test in sets.items():
            started = time.perf_counter()
            predicted = reader.classes(test[self.text], context)
            seconds += time.perf_counter() - started
            count += len(test)
            made[name] = self._score([str(label) for label in test[self.label]], predicted, reader.names, name)
            context.ledger.keep(len(test))
        size = footprint(folder)
        return {
            "sets": made,
            "classes": len(reader.names),
            "rows_per_s": count / seconds,
            "model_rows_per_s": count / reader.seconds,
            **asdict(size),
            "bits_per_weight": size.bits_per_weight,
            "peak_memory_bytes": peak_memory(),
            "engine": {"threads": context.threads, "batch_size": self.batch_size, "seconds": seconds},
        }

    def _check_rows(self, sets: Mapping[str, Dataset]) -> None:
        """Check that every row has a text and a label.

        Raises:
            BadInput: one has not, or a set has no rows; all problems together.
        """
        problems = [f"the test set {name!r} has no rows: give at least one" for name in sets if not len(sets[name])]
        for name, rows in sets.items():
            for number, row in enumerate(rows.select_columns([self.text, self.label])):
                if not isinstance(row[self.text], str) or row[self.label] is None:
                    problems.append(f"row {number} of the test set {name!r}: it needs a text in {self.text!r} and a "
                                    f"label in {self.label!r}, got {row!r:.80}")  # fmt: skip
        if problems:
            raise BadInput(*problems)

    def _score(self, expected: Sequence[str], predicted: Sequence[str], names: Sequence[str], test: str) -> Any:
        """Return the figures of one test set.

        Raises:
            BadInput: none of its labels is a class of the model.
        """
        unknown = sorted(set(expected) - set(names))
        if len(unknown) == len(set(expected)):
            raise BadInput(
                f"no label of the test set {test!r} is a class of the model: it has {', '.join(unknown[:5])}, ...; the "
                f"model knows {', '.join(list(names)[:5])}, ...; name the right column with label="
            )
        right = sum(ours == theirs for ours, theirs in zip(predicted, expected, strict=True))
        accuracy = wilson(right, len(expected))
        scores = class_scores(expected, predicted)
        mixed = Counter((a, b) for a, b in zip(expected, predicted, strict=True) if a != b)
        return {
            "n": len(expected),
            "accuracy": accuracy.value,
            "accuracy_low": accuracy.low,
            "accuracy_high": accuracy.high,
            "macro_f1": macro_f1(scores),
            "worst": [asdict(score) for score in sorted(scores, key=_rank)[: self.worst]],
            "mixed_up": [
                {"label": a, "predicted": b, "rows": rows}
                for (a, b), rows in sorted(mixed.items(), key=lambda item: (-item[1], item[0]))[: self.worst]
            ],
            "unknown_labels": unknown,
        }


def _rank(score: ClassScore) -> tuple[float, str]:
    """Return what classes are sorted by: the worst first."""
    return score.f1, score.label


def folder_of(model: Any) -> Path:
    """Return the folder of a classifier, downloaded if it is on the Hub.

    Raises:
        BadInput: there is no such model.
    """
    if is_local(model):
        problem = folder_problem(Path(model).expanduser())
        if problem:
            raise BadInput(problem)
        return Path(model).expanduser()
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.model", "*.txt"]
    return Path(snapshot_download(str(model), revision=hub_commit(str(model)), allow_patterns=patterns))


class Reader:
    """A classifier that is loaded."""

    def __init__(self, folder: Path, batch_size: int, max_length: int) -> None:
        """Load the model in `folder`."""
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self._model = AutoModelForSequenceClassification.from_pretrained(folder, dtype="auto", use_safetensors=True)
        self._model = self._model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        positions = getattr(self._model.config, "max_position_embeddings", None) or max_length
        self._length = min(max_length, self._tokenizer.model_max_length, positions)
        self._batch_size = batch_size
        self._warm = False
        self.seconds = 0.0
        """How long the model has computed, after its first batch."""
        self.names: list[str] = [self._model.config.id2label[number] for number in range(self._model.num_labels)]

    def classes(self, texts: Sequence[str], context: Context) -> list[str]:
        """Return the class of each text, telling the progress."""
        texts = list(texts)
        if not self._warm:
            self._warm = True
            for _ in self._batches(texts, list(range(min(self._batch_size, len(texts))))):
                pass
            self.seconds = 0.0
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        made: dict[int, str] = {}
        for numbers, found in self._batches(texts, order):
            made |= {number: self.names[best] for number, best in zip(numbers, found, strict=True)}
            context.progress(len(made), len(texts))
        return [made[number] for number in range(len(texts))]

    def _batches(self, texts: Sequence[str], order: Sequence[int]) -> Iterator[tuple[Sequence[int], list[int]]]:
        """Yield the numbers of the texts of a batch and of their most probable classes."""
        import torch

        for start in range(0, len(order), self._batch_size):
            numbers = order[start : start + self._batch_size]
            batch = self._tokenizer(
                [texts[number] for number in numbers],
                padding=True,
                truncation=True,
                max_length=self._length,
                return_tensors="pt",
            )
            started = time.perf_counter()
            with torch.inference_mode():
                logits = self._model(**batch.to(self._model.device)).logits
            found = logits.argmax(dim=-1).tolist()  # waits for a GPU
            self.seconds += time.perf_counter() - started
            yield numbers, found
