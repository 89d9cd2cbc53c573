"""Shared by steps that evaluate a classifier: fields, batched inference, speed and size.

Protocol: texts are read in batches, sorted by length, in the type of the weights, after one warm-up batch; one that is
longer than the model reads is cut at its end, as in training. `rows_per_s` is of the whole way from texts to classes,
`model_rows_per_s` of the model alone, without the tokenizer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from potstill.engine.step import Rows, Step
from potstill.errors import BadInput, Problem
from potstill.metrics.answers import row_digest
from potstill.metrics.kept_rows import write
from potstill.models.edge import Model
from potstill.models.footprint import footprint, peak_memory
from potstill.models.loading import pretrained
from potstill.models.preload import MODEL
from potstill.publishing.trackers import send
from potstill.steps.evaluation.class_rows import TEXTS, Answer
from potstill.steps.evaluation.evaluation_sets import missing_sets
from potstill.steps.evaluation.exports import Reads, export_problems

if TYPE_CHECKING:
    from datasets import Dataset
    from numpy.typing import NDArray

    from potstill.compression.pretrained import ModelConfig, PretrainedModel
    from potstill.engine.context import Context

UNDECIDED = -1
"""Stands for the number of a class where the model's scores are NaN or infinite."""
NO_CLASS = ""
"""What stands for the name of the class there: always wrong."""


class ClassEvaluation(Step):
    """The fields of a step that measures a classifier on test rows."""

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
    heavy: ClassVar[bool] = True
    alone: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = MODEL
    send_results = send
    reads: ClassVar[Reads] = "nothing"
    """Which exports the step measures."""
    row_columns: ClassVar[Mapping[str, str]] = TEXTS
    """What is kept of each row, by column."""

    def check(self) -> Iterable[Problem]:
        """Yield a problem if there is no test set, or the model is an export that can't be measured."""
        yield from missing_sets(self.rows)
        yield from export_problems(self.model, self.reads, type(self).__name__)

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns of a test set."""
        return {"rows": (self.text, self.label)}

    def measured(
        self,
        reader: Reader,
        sets: Mapping[str, Dataset],
        score: Callable[[str, Dataset, Sequence[Answer]], tuple[dict[str, Any], Iterable[Mapping[str, Any]]]],
        context: Context,
    ) -> dict[str, Any]:
        """Return the metrics of a classifier on test sets by name, and keep all rows beside them.

        `score` computes the metrics of one set from its name, its rows, and the `reader`'s answers, and says what is
        kept of each row.
        """
        results: dict[str, Any] = {}
        all_rows: list[Mapping[str, Any]] = []
        count = seconds = 0.0
        for name, test in sets.items():
            started = time.perf_counter()
            answers = reader.read(test[self.text], context)
            seconds += time.perf_counter() - started
            count += len(test)
            results[name], rows = score(name, test, answers)
            if reader.undecided:
                results[name]["undecided"] = len(reader.undecided)
                warn_of_undecided(len(reader.undecided), len(test), name, context)
            all_rows += rows
            # by which a report knows that two models saw the same rows, and may pair them
            results[name]["row_digest"] = row_digest(zip(test[self.text], test[self.label], strict=True))
            context.ledger.keep(len(test))
        write(context.out, self.row_columns, all_rows)
        size = footprint(reader.folder)
        return {
            "sets": results,
            "classes": len(reader.names),
            "rows_per_s": count / seconds,
            "model_rows_per_s": count / reader.seconds,
            **asdict(size),
            "bits_per_weight": size.bits_per_weight,
            "peak_memory_bytes": peak_memory(),
            "engine": {
                "threads": context.threads,
                "batch_size": self.batch_size,
                "seconds": seconds,
                **({"runtime": reader.runtime} if reader.runtime else {}),
            },
        }

    def refuse_rows(self, sets: Mapping[str, Dataset], problem_of: Callable[[Any, Any], str]) -> None:
        """Check that every set has rows, and that nothing is wrong with text and label of any.

        Raises:
            BadInput: something is; all problems together.
        """
        problems = [f"the test set {name!r} has no rows: give at least one" for name in sets if not len(sets[name])]
        for name, rows in sets.items():
            for number, row in enumerate(rows.select_columns([self.text, self.label])):
                problem = problem_of(row[self.text], row[self.label])
                if problem:
                    problems.append(f"row {number} of the test set {name!r}: {problem}, got {row!r:.80}")
        if problems:
            raise BadInput(*problems)

    def unknown(self, expected: Iterable[str], names: Iterable[str], test: str) -> list[str]:
        """Return the labels of a test set that the model has no class for.

        Raises:
            BadInput: none of its labels is a class of the model.
        """
        labels, classes = set(expected), list(names)
        unknown = sorted(labels - set(classes))
        if unknown and len(unknown) == len(labels):
            raise BadInput(
                f"no label of the test set {test!r} is a class of the model: it has {', '.join(unknown[:5])}, ...; the "
                f"model knows {', '.join(classes[:5])}, ...; name the right column with label="
            )
        return unknown


@dataclass
class Reader:
    """A classifier that is loaded."""

    folder: Path
    """Where it is."""
    names: list[str]
    """Names of its classes."""
    classes: Callable[[Any], tuple[list[Any], list[float]]]
    """Returns the numbers of the most probable classes, and how probable they are, from the inputs of a batch; of words
    the probabilities are left out."""
    encode: Callable[[list[Any]], Any]
    """Returns the inputs of a batch of texts."""
    decode: Callable[[list[Any], Any], list[Any]]
    """Returns the prediction for each text, from the numbers of the most probable classes and the inputs."""
    batch_size: int
    """Texts that are read at once."""
    runtime: str = ""
    """What runs it, with its version; empty is transformers."""
    seconds: float = 0.0
    """How long the model has computed, after its first batch."""
    undecided: set[int] = field(default_factory=set)
    """Numbers of those texts, of the last ones that were read, of which the model's scores are no numbers."""

    def read(self, texts: Iterable[Any], context: Context) -> list[Answer]:
        """Return the answer to each text; reports progress."""
        inputs = list(texts)
        self.undecided.clear()
        # warm-up: the first batch pays for lazy initialisation, and is not counted
        if not self.seconds:
            for _ in self._batches(inputs, range(min(self.batch_size, len(inputs)))):
                pass
            self.seconds = 0.0
        outputs: dict[int, Answer] = {}
        # by length, so that little of a batch is padding; the dict puts the results back in order
        order = sorted(range(len(inputs)), key=lambda number: len(inputs[number]))
        for numbers, answers in self._batches(inputs, order):
            outputs |= dict(zip(numbers, answers, strict=True))
            context.progress(len(outputs), len(inputs))
        return [outputs[number] for number in range(len(inputs))]

    def _batches(self, texts: Sequence[Any], order: Sequence[int]) -> Iterator[tuple[Sequence[int], list[Answer]]]:
        """Yield the numbers of the texts of a batch, and the answers to them."""
        for start in range(0, len(order), self.batch_size):
            numbers = order[start : start + self.batch_size]
            batch = self.encode([texts[number] for number in numbers])
            started = time.perf_counter()
            best, probable = self.classes(batch)
            self.seconds += time.perf_counter() - started
            decoded = self.decode(best, batch)
            self.undecided.update(number for number, one in zip(numbers, decoded, strict=True) if is_undecided(one))
            yield numbers, [Answer(*pair) for pair in zip(decoded, probable or [math.nan] * len(decoded), strict=True)]


def is_undecided(prediction: str | Mapping[int, str]) -> bool:
    """Return whether a text has no class, or one of its words has none."""
    return prediction == NO_CLASS if isinstance(prediction, str) else NO_CLASS in prediction.values()


def warn_of_undecided(count: int, of: int, test: str, context: Context) -> None:
    """Warn that a model's scores are no numbers, so that it has named no class."""
    warning = (
        f"{count} of {of} texts of the test set {test!r} have no class, and count as wrong: the model's scores are NaN "
        "or infinite. Its weights are broken, or overflow in the type that they are read in"
    )
    context.notes.setdefault("warnings", []).append(warning)
    context.logger.warning(warning)


def ids_of(rows: Dataset) -> list[str]:
    """Return the id of each row, or its number."""
    return [str(one) for one in (rows["id"] if "id" in rows.column_names else range(len(rows)))]


def class_names(config: ModelConfig) -> list[str]:
    """Return the names of the classes that a model's configuration lists."""
    return [str(config.id2label[number]) for number in range(config.num_labels)]


def by_torch(model: PretrainedModel) -> Callable[[Any], tuple[list[Any], list[float]]]:
    """Return a function to the most probable classes of a batch, and their probabilities, run by the loaded `model`."""
    import torch

    def classes(batch: Any) -> tuple[list[Any], list[float]]:
        with torch.inference_mode():
            logits = model(**batch.to(model.device)).logits
            best = logits.argmax(dim=-1)
            whole = logits.ndim == 2  # one class a text
            probable = logits.float().softmax(-1).gather(-1, best[:, None])[:, 0] if whole else best.new_empty(0)
            # argmax takes NaN for the largest: without this, a broken model would name the first class
            best = best.masked_fill(~logits.amax(dim=-1).isfinite(), UNDECIDED)
        return best.tolist(), probable.tolist()  # waits for a GPU

    return classes


def by_runtime(folder: Path, threads: int) -> Callable[[Any], tuple[list[Any], list[float]]]:
    """Return a function to the most probable classes of a batch, and their probabilities, by an export's runtime."""
    import numpy as np

    from potstill.exporting.reading import session

    logits = session(folder, threads)

    def classes(batch: Mapping[str, NDArray[Any]]) -> tuple[list[Any], list[float]]:
        scores = logits({name: batch[name].astype("int64") for name in batch})
        # argmax takes NaN for the largest, as above
        best = np.where(np.isfinite(scores.max(-1)), scores.argmax(-1), UNDECIDED)
        # softmax at the largest: the exponentials of the others are at most 1
        probable = 1 / np.exp(scores.astype(float) - scores.max(-1, keepdims=True)).sum(-1)
        return best.tolist(), probable.tolist()

    return classes


def load_model(folder: Path, kind: str) -> PretrainedModel:
    """Return the model in `folder` in the type of its weights; `kind` ends its architecture's name."""
    import torch
    import transformers

    kind_of_model = getattr(transformers, f"AutoModel{kind}")
    model = pretrained(kind_of_model, folder, "classify", {"dtype": "auto"})
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
