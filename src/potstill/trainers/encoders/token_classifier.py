"""Token classification: an encoder with a new head learns a label for each word, or a teacher's distribution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import Problem
from potstill.labelling.class_names import named
from potstill.models.edge import Model
from potstill.models.word_tokens import KIND as KIND
from potstill.models.word_tokens import first_tokens, reads_words
from potstill.trainers.encoders import class_names, class_teacher
from potstill.trainers.encoders.base import ClassTraining, Prepared, fit, load, longest
from potstill.trainers.encoders.classifier import ClassObjective
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.context import set_up
from potstill.trainers.loop.token_store import stored

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource
    from potstill.trainers.loop.context import TrainingContext
    from potstill.trainers.loop.examples import Example


class TokenClassifier(ClassTraining):
    """Train an encoder with a new head to label each word of a text; all weights are trained.

    A word is labelled at its first token, and its other tokens have no loss (Devlin et al. 2019, arXiv 1810.04805,
    section 5.3). The loss of a word is cross-entropy; with a `teacher` it is alpha * temperature^2 * KL(teacher ||
    student) + (1 - alpha) * cross-entropy (Hinton et al. 2015, arXiv 1503.02531, section 2). Every word of a batch
    weighs the same. Writes a float32 folder for `AutoModelForTokenClassification`.

    >>> rows = LoadRows([{"tokens": ["see", "Rome"], "labels": ["O", "PLACE"]}])
    >>> show(TokenClassifier(rows, student=encoder, epochs=1))
    {'parameters': 22566146, 'zeros': 0.0, 'bits': 32}
    """

    _: KW_ONLY
    text: str = "tokens"
    """Column with the words of a text, a list."""
    label: str = "labels"
    """Column with as many labels; None, or one without a name, is a word that has none."""
    teacher: Model | None = None
    """A tagger of the same classes, in any order, and with the student's tokenizer; it reads each batch too."""

    def needs(self) -> Mapping[str, Sequence[str]]:
        """Return the columns that the rows must have."""
        return {"rows": (self.text, *(() if self.alpha == 1 and self.teacher is not None else (self.label,)))}

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        if self.teacher is None and self.alpha:
            yield Problem("", "alpha", f"is {self.alpha:g} without a teacher: give teacher=, or leave alpha= out")
        if self.teacher is not None and self.alpha == 0:
            yield Problem("", "alpha", "is 0, so the teacher has no weight: raise it, or leave teacher= out")

    def run(
        self,
        rows: Dataset,
        student: ModelSource,
        context: Context,
        teacher: ModelSource | None = None,
        *,
        validation: Dataset | None = None,
    ) -> Path:
        """Train the student on `rows` and write its folder.

        Raises:
            BadInput: student or teacher can't label words, or the labels make no classes.
        """
        from potstill.trainers.encoders.word_batches import reading

        inputs = {"rows": rows, "student": student, "teacher": teacher}
        with set_up(self, inputs, context, validation) as training:
            prepared = _prepare(self, rows, student, teacher, training)
            padding = prepared.padding
            model = load(prepared.folder, prepared.names, padding, self.seed, kind=KIND)
            read = reading(padding, len(prepared.names))
            live_teacher = None
            if prepared.teacher is not None:
                live_teacher = class_teacher.load(prepared.teacher, prepared.names, kind=KIND, read=read.logits)
            objective = ClassObjective(prepared.alpha, self.temperature, live_teacher)
            recipe = {"alpha": prepared.alpha, "temperature": self.temperature} if prepared.alpha else {}
            return fit(self, prepared, model, objective, read, recipe, training, task="token-classification")


def _prepare(
    step: TokenClassifier, rows: Dataset, student: ModelSource, teacher: ModelSource | None, context: TrainingContext
) -> Prepared:
    """Tokenize the rows.

    Raises:
        BadInput: student or teacher is no model, they tokenize differently, the labels make no classes or others than
            the teacher's, or no row is left to train on.
    """
    folder = students.folder_of(student)
    tokenizer = reads_words(students.load_tokenizer(folder), folder)
    teacher_classes = teacher_folder = None
    limit = longest(step.max_length, tokenizer, folder)
    if teacher is not None:
        teacher_folder = students.folder_of(teacher)
        teacher_tokenizer = reads_words(students.load_tokenizer(teacher_folder), teacher_folder)
        class_teacher.check_tokens(tokenizer, teacher_tokenizer)
        teacher_classes = class_teacher.class_names(teacher_folder, KIND)
        limit = longest(limit, teacher_tokenizer, teacher_folder)
    has = step.label in rows.column_names
    occurring = class_names.ordered({label for labels in rows[step.label] for label in labels or ()}) if has else []
    names = class_names.chosen(occurring, (), step.classes, teacher_classes, step.label)
    alpha = (0.5 if step.alpha is None else step.alpha) if teacher_folder else 0.0
    context.notes |= {"classes": len(names), "alpha": alpha, "cut_texts": 0}
    reads = _Reader(step, tokenizer, names, limit, teacher_folder is not None, context)
    return Prepared(folder, tokenizer, stored(rows, reads.example, context), names, alpha, teacher_folder)


@dataclass(frozen=True)
class _Reader:
    """Turns rows into tokens."""

    step: TokenClassifier
    tokenizer: Any
    names: Sequence[str]
    limit: int
    """Longest text, in tokens."""
    live: bool
    """Whether a live teacher reads the rows too."""
    context: Context

    def example(self, row: Mapping[str, Any]) -> Example | str:
        """Return the tokens of a row, or why it can't be trained on."""
        from potstill.trainers.encoders.text_batches import UNLABELLED
        from potstill.trainers.encoders.word_batches import tagged

        words, labels = row[self.step.text], row.get(self.step.label)
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words) or not words:
            return "no words"
        labels = [None] * len(words) if labels is None and self.live else labels
        if not isinstance(labels, list) or len(labels) != len(words):
            return "not as many labels as words"
        if any(named(label) and str(label) not in self.names for label in labels):
            return "a label that is no class"
        read = self.tokenizer(words, is_split_into_words=True, truncation=True, max_length=self.limit)
        first = first_tokens(read.word_ids())
        self.context.notes["cut_texts"] += len(first) < len(words)
        targets = [
            (place, self.names.index(str(labels[word])) if named(labels[word]) else UNLABELLED)
            for word, place in sorted(first.items())
            if self.live or named(labels[word])
        ]
        return tagged(read["input_ids"], targets, len(self.names)) if targets else "no label"
