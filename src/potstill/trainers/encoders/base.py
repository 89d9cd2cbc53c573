"""What trainers of classifiers share: labelled texts as rows, a teacher's classes, and the folder they write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Interval

from potstill.errors import BadInput, Problem
from potstill.labelling.class_names import named
from potstill.models.card import Task, name_of, write_card
from potstill.models.chat import save_tokenizer
from potstill.models.loading import config_of, pretrained
from potstill.models.positions import positions_of
from potstill.trainers.encoders import class_names as classes
from potstill.trainers.encoders import class_teacher
from potstill.trainers.encoders.class_names import SOFT
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.base import Training
from potstill.trainers.loop.session import learn, schedule_of
from potstill.trainers.loop.token_store import stored

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource, Tokenizer
    from potstill.trainers.encoders.class_teacher import ClassTeacher
    from potstill.trainers.loop.context import TrainingContext
    from potstill.trainers.loop.examples import Example, Examples
    from potstill.trainers.loop.objective import Objective
    from potstill.trainers.loop.schedule import Reading

TWICE = (
    f"the rows hold {SOFT} and a teacher is given too: leave teacher= out to learn those, or drop the column to ask it"
)


class ClassTraining(Training):
    """The fields of trainers of classifiers.

    Classes are known by name and numbered in the order of their names. A row without text is left out, and one without
    label too, unless a teacher's probabilities are learned: then it has only that part of the loss. A longer text is
    truncated. Writes a float32 folder for `AutoModelForSequenceClassification`.
    """

    # dropout samples other masks for micro-batches of another size, and for several processes
    unkeyed: ClassVar[frozenset[str]] = Training.unkeyed - {"micro_batch_tokens", "processes"}

    _: KW_ONLY
    text: str = "text"
    """Column with the text."""
    label: str = "label"
    """Column with the name of its class, or a number."""
    classes: tuple[str, ...] = ()
    """Names of all classes; empty takes the teacher's, or else those of labels and `probabilities` that occur."""
    alpha: Annotated[float, Interval(ge=0, le=1)] | None = None
    """Weight of the teacher's distribution, the rest being the label's. None is 0.5 where there is a teacher or its
    `probabilities`, and 0 where there is none."""
    temperature: Annotated[float, Gt(0)] = 1.0
    """Softens both distributions; 2 to 4 shows more of how similar the teacher finds the classes."""
    max_length: Annotated[int, Ge(3)] = 256
    """Longest text, in tokens; longer ones are truncated."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        if self.classes and len(set(self.classes)) < 2:
            yield Problem("", "classes", f"{list(self.classes)} are no two classes: give all names, or none")

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {**super().recipe(), "longest text": self.max_length}


@dataclass(frozen=True)
class Prepared:
    """A student, its teacher and its rows, ready to train."""

    folder: Path
    """Where the student came from."""
    tokenizer: Tokenizer
    """Its tokenizer, with a padding token."""
    examples: Examples
    """The tokenized rows."""
    names: Sequence[str]
    """The classes in order."""
    alpha: float
    """Weight of the teacher's distribution."""
    teacher: Path | None
    """Folder of a live teacher."""

    @property
    def padding(self) -> int:
        """Return the padding token."""
        assert self.tokenizer.pad_token_id is not None  # who prepares a student gives it one
        return self.tokenizer.pad_token_id

    def load_teacher(self, attention: str | None = None) -> ClassTeacher | None:
        """Return the live teacher of texts, if there is one."""
        return None if self.teacher is None else class_teacher.load(self.teacher, self.names, attention)


def prepare(
    step: ClassTraining, rows: Dataset, student: ModelSource, teacher: ModelSource | None, context: TrainingContext
) -> Prepared:
    """Tokenize the rows.

    Raises:
        BadInput: student or teacher is no model, they tokenize differently, the labels make no classes or others than
            the teacher's, or no row is left to train on.
    """
    folder = students.folder_of(student)
    tokenizer = students.load_tokenizer(folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    stores, limit = SOFT in rows.column_names, longest(step.max_length, tokenizer, folder)
    teacher_classes = teacher_folder = None
    if teacher is not None:
        if stores:
            raise BadInput(TWICE)
        teacher_folder = students.folder_of(teacher)
        teacher_tokenizer = students.load_tokenizer(teacher_folder)
        class_teacher.check_tokens(tokenizer, teacher_tokenizer)
        teacher_classes = class_teacher.class_names(teacher_folder)
        limit = longest(limit, teacher_tokenizer, teacher_folder)
    names = classes.chosen(*classes.occurring(rows, step.label), step.classes, teacher_classes, step.label)
    alpha = (0.5 if step.alpha is None else step.alpha) if stores or teacher_folder else 0.0
    reads = _Reader(step, tokenizer, names, limit, stores and alpha > 0, teacher_folder is not None, context)
    context.notes |= {"classes": len(names), "alpha": alpha, "cut_texts": 0}
    return Prepared(folder, tokenizer, stored(rows, reads.example, context), names, alpha, teacher_folder)


@dataclass(frozen=True)
class _Reader:
    """Turns rows into tokens."""

    step: ClassTraining
    tokenizer: Tokenizer
    names: Sequence[str]
    limit: int
    """Longest text, in tokens."""
    stores: bool
    """Whether the rows hold probabilities that are learned."""
    live: bool
    """Whether a live teacher reads the rows too."""
    context: Context

    def example(self, row: Mapping[str, Any]) -> Example | str:
        """Return the tokens of a row, or why it can't be trained on."""
        from potstill.trainers.encoders.text_batches import UNLABELLED, labelled

        text, label = row[self.step.text], row.get(self.step.label)
        if not isinstance(text, str) or not text.strip():
            return "no text"
        has_label = named(label)
        if not has_label and not self.live and not (self.stores and row[SOFT] is not None):
            return "no label"
        if has_label and str(label) not in self.names:
            return "a label that is no class"
        number = self.names.index(str(label)) if has_label else UNLABELLED
        ids = self.tokenizer(text, truncation=True, max_length=self.limit)["input_ids"]
        # tokenized a second time only where the text may have been truncated
        cut = len(ids) == self.limit and len(self.tokenizer(text)["input_ids"]) > self.limit
        self.context.notes["cut_texts"] += cut
        return labelled(ids, number, classes.shares(row, number, self.names) if self.stores else None)


def fit(
    step: ClassTraining,
    prepared: Prepared,
    model: PretrainedModel,
    objective: Objective,
    reading: Reading,
    recipe: Mapping[str, object],
    context: TrainingContext,
    finish: Callable[[Any], None] = lambda model: None,
    task: Task = "text-classification",
) -> Path:
    """Train the `model`, `finish` it, write its folder, and return that; `recipe` and `task` go on its card."""
    schedule = schedule_of(step, default_learning_rate(model.num_parameters()))
    figures = learn(model, prepared.examples, objective, schedule, reading, context)
    finish(model)
    model.save_pretrained(context.out)
    save_tokenizer(prepared.tokenizer, context.out)
    classes = {"classes": len(prepared.names)} if prepared.names else {}
    named = {**step.recipe(), "learning rate": schedule.learning_rate, **classes, **recipe}
    base = name_of(prepared.folder)
    title = f"{base}, trained by {type(step).__name__}"
    write_card(context.out, title=title, made_from=base, recipe=named, figures=figures, task=task)
    return context.out


def longest(wanted: int, tokenizer: Tokenizer, folder: Path) -> int:
    """Return the longest text that a model can read, up to `wanted` tokens."""
    positions = positions_of(config_of(folder))
    return int(min(wanted, tokenizer.model_max_length, positions or wanted))


def default_learning_rate(parameters: int) -> float:
    """Return the usual learning rate for fine-tuning an encoder of this size.

    4,400 by the number of parameters, at most 1e-3: 2e-4 for a MiniLM of 22 million, 4e-5 for BERT base, 1.3e-5 for
    BERT large; a line through common practice, not a law.
    """
    return min(1e-3, 4400 / max(parameters, 1))


def load(
    folder: Path,
    names: Sequence[str],
    padding: int,
    seed: int,
    attention: str | None = None,
    kind: str = class_teacher.SEQUENCE,
) -> Any:
    """Return the encoder in `folder` with a head for the classes `names`: its own if it was trained for just these.

    `kind` is the end of the architecture's name: what is classified.

    Raises:
        BadInput: it can't classify, or is quantized.
    """
    import torch
    import transformers

    config = config_of(folder)
    same = list((config.id2label or {}).values()) == list(names)
    if getattr(config, "quantization_config", None):
        raise BadInput(f"the model {folder} is quantized: train the unquantized one")
    config.id2label = dict(enumerate(names))
    config.label2id = {name: number for number, name in enumerate(names)}
    # decoders classify at the last token that is no padding
    config.pad_token_id = padding
    if kind == class_teacher.SEQUENCE:
        config.problem_type = "single_label_classification"
    torch.manual_seed(seed)
    options = {"config": config, "dtype": torch.float32, "ignore_mismatched_sizes": True}
    if attention:
        options["attn_implementation"] = attention
    model = pretrained(getattr(transformers, f"AutoModel{kind}"), folder, "classify", options, new_head=True)
    # a head of as many other classes would be loaded without a word
    if not same:
        renew_head(model)
    return model


def renew_head(model: PretrainedModel) -> None:
    """Give the linear layers outside of the encoder new weights, normal with the spread that the config names."""
    import torch

    spread = getattr(model.config, "initializer_range", None) or 0.02
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and not name.startswith(f"{model.base_model_prefix}."):
            torch.nn.init.normal_(module.weight, std=spread)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
