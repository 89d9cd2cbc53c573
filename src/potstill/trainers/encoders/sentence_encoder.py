"""Sentence encoders: embeddings learned from pairs that belong together, or from another encoder's embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt

from potstill.errors import Problem
from potstill.models.card import name_of, write_card
from potstill.models.edge import Model
from potstill.models.sentence_encoder import load_float32
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.base import Training
from potstill.trainers.loop.context import set_up
from potstill.trainers.loop.session import learn, schedule_of
from potstill.trainers.loop.token_store import stored

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource
    from potstill.trainers.loop.context import TrainingContext
    from potstill.trainers.loop.examples import Example, Examples
    from potstill.trainers.loop.objective import Objective
    from potstill.trainers.loop.schedule import Reading

VECTOR = "teacher's vector"
"""Column with the teacher's vectors, while the rows are read."""
CHUNK = 1024
"""Texts that the teacher reads at a time, sorted by length."""


class SentenceEncoder(Training):
    """Train a sentence-transformers encoder on pairs, or on another encoder's vectors.

    Without a teacher each `anchor` is to find its `positive` among all positives and negatives of the batch (multiple
    negatives ranking: Henderson et al. 2017, arXiv 1705.00652, section 4.4); a larger `batch_size` makes that harder,
    and sets the memory. Texts equal to the positive are left out of the negatives. With a `teacher` the student's
    vector of each `text`, and of its `translation` if that column is named, is to be the teacher's of the text (mean
    squared error: Reimers and Gurevych 2020, arXiv 2004.09813, section 2); where their sizes differ, the student
    gets a linear layer on top. A student that is a plain encoder gets mean pooling. Writes a folder for
    `SentenceTransformer`.

    >>> rows = LoadRows([{"anchor": "what a joy", "positive": "lovely"}, {"anchor": "so dull", "positive": "a bore"}])
    >>> show(SentenceEncoder(rows, student=KeepLayers(encoder, every=3), epochs=1))
    {'parameters': 15615360, 'zeros': 0.0, 'bits': 32}
    """

    preload: ClassVar[tuple[str, ...]] = (*Training.preload, "sentence_transformers")
    # dropout samples other masks for micro-batches of another size, and for several processes
    unkeyed: ClassVar[frozenset[str]] = Training.unkeyed - {"micro_batch_tokens", "processes"}

    _: KW_ONLY
    teacher: Model | None = None
    """Encoder whose vectors are learned; it reads each text once, with its own tokenizer."""
    anchor: str = "anchor"
    """Column with the text that is to find another; without a teacher."""
    positive: str = "positive"
    """Column with the text it is to find."""
    negative: str | None = None
    """Column with a hard negative: a text that looks right and isn't."""
    scale: Annotated[float, Gt(0)] = 20.0
    """What cosines are multiplied by before the softmax; 20, a temperature of 0.05, is sentence-transformers'."""
    text: str = "text"
    """Column with the text; with a teacher."""
    translation: str | None = None
    """Column with the same in another language, which is to get the same vector."""
    max_length: Annotated[int, Ge(3)] | None = None
    """Longest text, in tokens, longer ones being truncated; None is the student's own limit."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the rows must have."""
        return {"rows": self._columns()}

    def _columns(self) -> list[str]:
        """Return the columns with texts that are read."""
        named = (
            (self.text, self.translation) if self.teacher is not None else (self.anchor, self.positive, self.negative)
        )
        return [name for name in named if name]

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        if self.teacher is None and self.processes > 1:
            text = "but an anchor is compared with all texts of its batch, which takes one process: set 1"
            yield Problem("", "processes", f"is {self.processes}, {text}")
        if self.teacher is None and self.batch_size < 2:
            yield Problem("", "batch_size", "is 1, so no anchor has a negative: take 2 or more")
        if self.teacher is None and self.translation:
            yield Problem("", "translation", "is named, but only a teacher gives the vector that it is to have")

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        loss = (
            "mean squared error to the teacher's vectors" if self.teacher is not None else "multiple negatives ranking"
        )
        return {**super().recipe(), "loss": loss, **({} if self.teacher is not None else {"scale": self.scale})}

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
            BadInput: student or teacher is no encoder, or no row is left to train on.
            MissingExtra: sentence-transformers is not installed.
        """
        inputs = {"rows": rows, "student": student, "teacher": teacher}
        with set_up(self, inputs, context, validation) as training:
            return self._trained(rows, students.folder_of(student), teacher, training)

    def _trained(self, rows: Dataset, folder: Path, teacher: ModelSource | None, context: TrainingContext) -> Path:
        """Train the encoder in `folder`, and return the folder that is written."""
        from potstill.trainers.encoders import embedding_batches

        model = load_float32(folder, self.seed)
        if self.max_length is not None:
            model.max_seq_length = min(self.max_length, model.max_seq_length or self.max_length)
        columns = self._columns()
        if teacher is not None:
            rows, context = _taught(rows, columns, load_float32(students.folder_of(teacher), 0), context)
            _widen(model, len(rows[0][VECTOR]) if len(rows) else 0)
        examples = stored(rows, _Reader(columns, model, context).example, context)
        padding = model.tokenizer.pad_token_id or 0
        objective: Objective = embedding_batches.Contrastive(self.scale)
        reading = embedding_batches.contrastive_reading(padding)
        if teacher is not None:
            objective, reading = embedding_batches.Distilled(), embedding_batches.distilled_reading(padding)
        return self._fit(folder, model, examples, objective, reading, context)

    def _fit(
        self,
        folder: Path,
        model: Any,
        examples: Examples,
        objective: Objective,
        reading: Reading,
        context: TrainingContext,
    ) -> Path:
        """Train, and write the folder."""
        schedule = schedule_of(self, default_learning_rate(sum(each.numel() for each in model.parameters())))
        figures = learn(model, examples, objective, schedule, reading, context)
        # loading leaves them among the tokenizer's arguments, which are saved with it
        for note in ("is_local", "local_files_only"):
            model.tokenizer.init_kwargs.pop(note, None)
        model.save_pretrained(str(context.out), create_model_card=False)
        base = name_of(folder)
        recipe = {**self.recipe(), "learning rate": schedule.learning_rate, "longest text": model.max_seq_length}
        title = f"{base}, trained by {type(self).__name__}"
        write_card(context.out, title=title, made_from=base, recipe=recipe, figures=figures, task="sentence-similarity")
        return context.out


@dataclass(frozen=True)
class _Reader:
    """Turns rows into tokens."""

    columns: list[str]
    model: Any
    context: Context

    def example(self, row: Mapping[str, Any]) -> Example | str:
        """Return the tokens of a row's texts, or why it can't be trained on."""
        import numpy as np

        from potstill.trainers.encoders.embedding_batches import packed

        texts = [row[column] for column in self.columns]
        for column, text in zip(self.columns, texts, strict=True):
            if not isinstance(text, str) or not text.strip():
                return f"no {column}"
        tokenizer, limit = self.model.tokenizer, self.model.max_seq_length
        ids = [tokenizer(text, truncation=limit is not None, max_length=limit)["input_ids"] for text in texts]
        vector = row.get(VECTOR)
        return packed(ids, None if vector is None else np.asarray(vector, dtype=np.float32))


def _taught(
    rows: Dataset, columns: list[str], teacher: Any, context: TrainingContext
) -> tuple[Dataset, TrainingContext]:
    """Return the rows, and the context with the validation rows, with the teacher's vector of the first column."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    teacher = teacher.eval().to(device)

    def vectors(texts: list[Any]) -> dict[str, Any]:
        strings = [text if isinstance(text, str) else "" for text in texts]
        return {VECTOR: teacher.encode(strings, batch_size=64, show_progress_bar=False)}

    def taught(rows: Dataset, name: str) -> Dataset:
        # the file appears when it is complete, and a resumed run reads it; the fingerprint is given, as
        # `datasets` may hash a model otherwise in the next process
        file = str(context.work / f"{name}.arrow")
        return rows.map(
            vectors,
            batched=True,
            batch_size=CHUNK,
            input_columns=[columns[0]],
            cache_file_name=file,
            load_from_cache_file=True,
            new_fingerprint=f"{context.key[:32]}-{name}",
        )

    if context.validation is not None:
        context = replace(context, validation=taught(context.validation, "taught-validation"))
    return taught(rows, "taught"), context


def _widen(model: Any, width: int) -> None:
    """Give a student whose vectors have another size a linear layer to the teacher's `width`."""
    import torch

    try:
        from sentence_transformers.base.modules import Dense
    except ModuleNotFoundError:  # before version 6
        from sentence_transformers.models import Dense

    size = model.get_sentence_embedding_dimension()
    if width and size != width:
        layer = Dense(size, width, activation_function=torch.nn.Identity())
        model.add_module(str(len(model)), layer)


def default_learning_rate(parameters: int) -> float:
    """Return the usual learning rate for an encoder of this size: 2e-5 for BERT base, 1e-4 for a MiniLM.

    2,200 by the number of parameters, at most 1e-3; half of what a classifier takes, since its head is new.
    """
    return min(1e-3, 2200 / max(parameters, 1))
