"""Evaluate a token classifier: F1 of spans, accuracy of word labels, speed and size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.errors import BadInput
from potstill.labelling.class_names import named
from potstill.metrics.answers import packed
from potstill.metrics.classification import macro_f1
from potstill.metrics.spans import OUTSIDE, span_scores
from potstill.models.identity import folder_of
from potstill.models.loading import config_of
from potstill.models.positions import positions_of
from potstill.models.word_tokens import KIND, first_tokens, reads_words
from potstill.steps.evaluation.class_figures import lowest, mixed_up
from potstill.steps.evaluation.class_rows import WORD_COLUMNS, Answer, word_rows
from potstill.steps.evaluation.classifier_base import (
    NO_CLASS,
    UNDECIDED,
    ClassEvaluation,
    Reader,
    by_torch,
    class_names,
    ids_of,
    load_model,
)
from potstill.steps.evaluation.evaluation_sets import by_name

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class EvaluateTokenClassifier(ClassEvaluation):
    """Let a classifier label the words of test texts, and measure the spans that it finds, accuracy, speed and size.

    `precision`, `recall` and `f1` are of whole spans, as in CoNLL-2000 and in seqeval: first word, last word and type
    must be right (Tjong Kim Sang and Buchholz 2000, arXiv cs/0009008, section 3); labels are BIO, BIOES or BILOU, or
    plain types, of which a run is a span. `accuracy` is the share of words whose label is right, O included. A word is
    labelled at its first token, as in training. One that the model doesn't read, because the text is too long, counts
    as O; one without a label is left out. A test label that the model has no class for is always wrong.

    Each row is kept with its labels and how many spans are right in `rows.parquet`, beside the figures.

    >>> rows = LoadRows([{"tokens": ["see", "New", "York"], "labels": ["O", "B-PLACE", "I-PLACE"]}])
    >>> tagger = TokenClassifier(rows, student=encoder, epochs=12, learning_rate=5e-4)
    >>> show(EvaluateTokenClassifier(tagger, rows))
    {'sets': {'test': {'n': 1, 'words': 3, 'accuracy': 1.0, 'spans': 1, 'precision': 1.0, 'recall': 1.0, 'f1': 1.0, ...
    """

    text: str = "tokens"
    """Column with the words of a text, a list."""
    label: str = "labels"
    """Column with as many labels; None, or one without a name, is a word that has none."""

    version: ClassVar[int] = 2  # no label where the scores are NaN
    row_columns: ClassVar[Mapping[str, str]] = WORD_COLUMNS

    def run(self, model: ModelSource, rows: Dataset | Mapping[str, Dataset], context: Context) -> dict[str, Any]:
        """Measure `model` on `rows`.

        Raises:
            BadInput: the model labels no words, or something is wrong with the test rows.
        """
        import torch

        torch.set_num_threads(max(1, context.threads))
        sets = by_name(rows)
        self.refuse_rows(sets, self._problem)
        reader = self._reader(folder_of(model))

        def score(
            name: str, test: Dataset, answers: Sequence[Answer]
        ) -> tuple[dict[str, Any], Iterable[Mapping[str, Any]]]:
            expected, predicted, unread = counted_labels(test[self.label], [answer.prediction for answer in answers])
            rows = word_rows(name, ids_of(test), test[self.text], expected, predicted)
            return self._score(expected, predicted, reader.names, name) | {"unread_words": unread}, rows

        return self.measured(reader, sets, score, context)

    def _problem(self, words: object, labels: object) -> str:
        """Return what is wrong with a row, or an empty string."""
        if not isinstance(words, list) or not isinstance(labels, list):
            words = labels = []
        if words and len(labels) == len(words) and all(isinstance(word, str) for word in words):
            return ""
        return f"it needs a list of words in {self.text!r} and as many labels in {self.label!r}"

    def _reader(self, folder: Path) -> Reader:
        """Return the classifier in `folder`, ready to label the words of each text; of one not read it says None.

        Raises:
            BadInput: it is no classifier of words.
        """
        from transformers import AutoTokenizer

        kinds = config_of(folder).architectures or ["nothing"]
        if not any(kind.endswith(KIND) for kind in kinds):
            raise BadInput(
                f"the model {folder} is a {', '.join(kinds)} and no token classifier: give a folder that "
                "TokenClassifier made"
            )
        model = load_model(folder, KIND)
        tokenizer = reads_words(AutoTokenizer.from_pretrained(folder), folder)
        positions = positions_of(model.config) or self.max_length
        limit = min(self.max_length, tokenizer.model_max_length, positions)

        def encode(texts: list[list[str]]) -> Any:
            return tokenizer(
                texts,
                is_split_into_words=True,
                padding=True,
                padding_side="right",
                truncation=True,
                max_length=limit,
                return_token_type_ids=False,
                return_tensors="pt",
            )

        def label_words(row: list[int], words: list[int | None]) -> dict[int, str]:
            numbers = {word: row[place] for word, place in first_tokens(words).items()}
            return {
                word: NO_CLASS if number == UNDECIDED else str(model.config.id2label[number])
                for word, number in numbers.items()
            }

        def decode(numbers: list[list[int]], batch: Any) -> list[dict[int, str]]:
            return [label_words(row, batch.word_ids(row_number)) for row_number, row in enumerate(numbers)]

        return Reader(folder, class_names(model.config), by_torch(model), encode, decode, self.batch_size)

    def _score(
        self, expected: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], names: Sequence[str], test: str
    ) -> dict[str, Any]:
        """Return the metrics of one test set.

        Raises:
            BadInput: no word has a label, or none of the labels is a class of the model.
        """
        expected_words, predicted_words = list(chain(*expected)), list(chain(*predicted))
        if not expected_words:
            raise BadInput(f"no word of the test set {test!r} has a label in {self.label!r}: name the right column")
        unknown = self.unknown(set(expected_words) - {OUTSIDE}, names, test)
        scores = span_scores(expected, predicted)
        return {
            "n": len(expected),
            "words": len(expected_words),
            "accuracy": sum(a == b for a, b in zip(expected_words, predicted_words, strict=True)) / len(expected_words),
            "spans": scores.total.n,
            "precision": scores.total.precision,
            "recall": scores.total.recall,
            "f1": scores.total.f1,
            "macro_f1": macro_f1(scores.types) if scores.types else 0.0,
            "worst": lowest(scores.types, self.worst),
            "mixed_up": mixed_up(expected_words, predicted_words, "words", self.worst),
            "unknown_labels": unknown,
            "row_right": packed([own == right for own, right in zip(predicted, expected, strict=True)]),
        }


def counted_labels(
    labels: Sequence[Sequence[Any]], word_labels: Sequence[Mapping[int, str]]
) -> tuple[list[list[str]], list[list[str]], int]:
    """Return the labels of the words that count, those predicted for them, and how many words were not read.

    `word_labels` are those of the words that were read, by number.
    """
    counted = [[number for number, label in enumerate(row) if named(label)] for row in labels]
    expected = [[str(row[n]) for n in numbers] for row, numbers in zip(labels, counted, strict=True)]
    # words beyond the model's length count as O, that is, as wrong where they have a label
    predicted = [[row.get(n, OUTSIDE) for n in numbers] for row, numbers in zip(word_labels, counted, strict=True)]
    unread = sum(n not in row for row, numbers in zip(word_labels, counted, strict=True) for n in numbers)
    return expected, predicted, unread
