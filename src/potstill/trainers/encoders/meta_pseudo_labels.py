"""Meta pseudo-labels: a teacher learns from how its pseudo-labels change the student."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt

from potstill.engine.step import Rows
from potstill.errors import BadInput, Problem
from potstill.models.edge import Model
from potstill.trainers.encoders import class_teacher
from potstill.trainers.encoders.base import ClassTraining, Prepared, default_learning_rate, fit, load, longest, prepare
from potstill.trainers.encoders.classifier import ClassObjective
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.context import set_up
from potstill.trainers.loop.session import memory_explained, schedule_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datasets import Dataset

    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource
    from potstill.trainers.encoders.meta_loop import Plan
    from potstill.trainers.loop.examples import Example, Examples


class MetaPseudoLabels(ClassTraining):
    """Train a classifier on a teacher's sampled labels of unlabelled texts, while the teacher learns from their effect.

    Pham et al. 2020 ("Meta Pseudo Labels", arXiv 2003.10580, section 2 and appendix A): at each step the teacher
    samples labels, the student takes a step on them, and how much that lowered its loss on labelled rows, to first
    order, makes the sampled labels more or less probable (`losses/meta_feedback.py`); the teacher learns the labelled
    rows, too. At the end the student, which has seen sampled labels only, is fine-tuned on the labelled rows. Left out
    is the paper's loss on augmented inputs (UDA), as texts have no augmentation that is sure to keep the class; a
    moving average of the feedback is subtracted, which changes its variance and not its mean.

    `epochs` are those of the unlabelled rows; `batch_size` counts the labelled rows of a step. `alpha` below 1 is not
    in the paper: the labelled rows then have 1 - alpha of the student's loss. `temperature` softens the distribution
    that labels are sampled from. `validation` chooses among the weights of the fine-tuning. It takes three times the
    memory and about five times the time of `Classifier`.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> texts = LoadRows([{"text": "a joy to see"}, {"text": "dull"}])
    >>> show(MetaPseudoLabels(rows, texts, student=encoder, epochs=1, finetune_epochs=1))
    {'parameters': 22713986, 'zeros': 0.0, 'bits': 32}
    """

    unlabelled: Rows
    """Rows with texts; a label that they may have is not read."""
    _: KW_ONLY
    teacher: Model | None = None
    """Where the teacher starts, with the student's tokenizer: such as a `Classifier` of the labelled rows; None starts
    it where the student starts, with another new head."""
    teacher_learning_rate: Annotated[float, Gt(0)] | None = None
    """Peak learning rate of the teacher; None takes that of the student, or the usual one for the teacher's size."""
    unlabelled_batch_size: Annotated[int, Ge(1)] | None = None
    """Unlabelled rows a step; None takes as many as labelled ones."""
    feedback: Annotated[float, Ge(0)] = 1.0
    """Weight of the feedback, which multiplies the mean gradient of a batch's sampled labels as in the paper; 0 lets
    the teacher learn the labelled rows alone, as a control."""
    finetune_epochs: Annotated[float, Gt(0)] = 3.0
    """Epochs of the fine-tuning on the labelled rows at the end."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        if self.processes > 1:
            yield Problem("", "processes", f"is {self.processes}, but teacher and student take turns in one: set 1")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the rows must have."""
        return {"rows": (self.text, self.label), "unlabelled": (self.text,)}

    def run(
        self,
        rows: Dataset,
        unlabelled: Dataset,
        student: ModelSource,
        context: Context,
        teacher: ModelSource | None = None,
        *,
        validation: Dataset | None = None,
    ) -> Path:
        """Train both and write the student's folder.

        Raises:
            BadInput: a model can't be trained, the two tokenize differently, the labels make no classes, or no
                unlabelled row has a text.
        """
        from potstill.trainers.encoders.text_batches import reading

        inputs = {"rows": rows, "unlabelled": unlabelled, "student": student, "teacher": teacher}
        with set_up(self, inputs, context, validation) as training:
            prepared = prepare(self, rows, student, None, training)
            teacher_folder = prepared.folder if teacher is None else students.folder_of(teacher)
            class_teacher.check_tokens(prepared.tokenizer, students.load_tokenizer(teacher_folder))
            pool = self._pool(unlabelled, prepared, teacher_folder, training)
            padding = prepared.padding
            model = load(prepared.folder, prepared.names, padding, self.seed)
            if self.hold_zeros:
                students.hold_zero_weights(model)
            self._meta(model, load(teacher_folder, prepared.names, padding, self.seed + 1), prepared, pool, training)
            last = dataclasses.replace(self, epochs=self.finetune_epochs)
            recipe = {
                "epochs": self.epochs,
                "fine-tuning epochs": self.finetune_epochs,
                "feedback": self.feedback,
                "unlabelled rows": len(pool),
            }
            return fit(last, prepared, model, ClassObjective(0.0, 1.0), reading(padding), recipe, training)

    def _meta(
        self, model: PretrainedModel, guide: PretrainedModel, prepared: Prepared, pool: Examples, context: Context
    ) -> None:
        """Train student and teacher together."""
        import torch

        from potstill.trainers.encoders.meta_loop import Endless, MetaLoop, learner
        from potstill.trainers.encoders.text_batches import reading

        plan = self._plan(model, guide)
        steps = plan.steps(len(pool))
        torch.manual_seed(self.seed)
        student = learner(model, plan.schedule.learning_rate, plan.schedule, steps)
        teacher = learner(guide, plan.teacher_rate, plan.schedule, steps)
        labelled = Endless(prepared.examples, self.batch_size, self.seed)
        unlabelled = Endless(pool, plan.unlabelled, self.seed)
        loop = MetaLoop(student, teacher, labelled, unlabelled, reading(prepared.padding), plan, context)
        with memory_explained(plan.schedule):
            loop.run(steps)
        context.notes["meta_curve"] = loop.curve

    def _plan(self, model: PretrainedModel, guide: PretrainedModel) -> Plan:
        """Return the hyperparameters of both."""
        from potstill.trainers.encoders.meta_loop import Plan

        usual = [default_learning_rate(each.num_parameters()) for each in (model, guide)]
        return Plan(
            schedule=schedule_of(self, usual[0]),
            teacher_rate=self.teacher_learning_rate or self.learning_rate or usual[1],
            unlabelled=self.unlabelled_batch_size or self.batch_size,
            alpha=1.0 if self.alpha is None else self.alpha,
            temperature=self.temperature,
            weight=self.feedback,
        )

    def _pool(self, rows: Dataset, prepared: Prepared, teacher: Path, context: Context) -> Examples:
        """Return the tokenized unlabelled rows.

        Raises:
            BadInput: there is none with a text.
        """
        from potstill.trainers.encoders.text_batches import UNLABELLED, labelled
        from potstill.trainers.loop.examples import store

        limit = longest(longest(self.max_length, prepared.tokenizer, prepared.folder), prepared.tokenizer, teacher)

        def examples() -> Iterator[Example]:
            for number, row in enumerate(rows):
                text = row[self.text]
                if isinstance(text, str) and text.strip():
                    context.ledger.keep()
                    ids = prepared.tokenizer(text, truncation=True, max_length=limit)["input_ids"]
                    yield labelled(ids, UNLABELLED, None)
                else:
                    context.ledger.lose(str(row.get("id", number)), "filtered", "no text")

        pool = store(examples(), context.work / "unlabelled")
        if not len(pool):
            raise BadInput(f"none of the {len(rows)} unlabelled rows has a text in {self.text!r}: give some")
        return pool
