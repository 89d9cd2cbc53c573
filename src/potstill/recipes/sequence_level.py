"""Sequence-level distillation: the student learns its teacher's outputs instead of the dataset's targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import KW_ONLY, InitVar
from typing import Annotated

from annotated_types import Interval

from potstill.engine.recipe import StandIn
from potstill.engine.step import Rows, Step
from potstill.errors import Problem
from potstill.models.edge import Model
from potstill.recipes.lessons import TrainCausal
from potstill.steps.generation.decode import Decode
from potstill.steps.labelling.interpolate import Interpolate
from potstill.teachers.search import Method
from potstill.trainers.language_models.hard_label import HardLabel
from potstill.trainers.language_models.soft_label import SoftLabel

SEARCH = ("beams", "samples", "length_penalty", "max_tokens", "max_failed")
"""Parameters of `SequenceLevel` that are those of its `Decode`."""


class SequenceLevel(StandIn):
    """Train a student on its teacher's outputs for the rows.

    Kim and Rush 2016 ("Sequence-Level Knowledge Distillation", arXiv 1606.07947, section 3.2): the mode of the
    teacher's distribution over whole outputs, found by beam search, stands for that distribution. The student then
    needs little or no search of its own. Teacher and student may differ in vocabulary and architecture.

    The outputs are a step of their own, `Decode`, which is kept, and shared by all students of a teacher. The step is
    read like the `HardLabel` or `SoftLabel` that learns from them: its `rows`, `seed` and `temperature` are that one's.

    >>> rows = LoadRows([{"instruction": "a cat", "output": "eine Katze"}])
    >>> written = Decode(rows, model="large", method="beam", max_tokens=64)
    >>> train = HardLabel(rows, student="small", epochs=2)
    >>> step = SequenceLevel(rows, student="small", teacher="large", decode=written, gold=0.1, train=train)
    >>> step.epochs, step.rows.gold, step.rows.rows is written
    (2, 0.1, True)
    >>> step = SequenceLevel(rows, student="small", teacher="large", decode="beam", gold=0.1, word_level=0.5)
    >>> step.alpha, step.rows.gold, step.rows.rows.method, step.rows.rows.model
    (0.5, 0.1, 'beam', 'large')
    """

    rows: InitVar[Rows]
    """What is decoded; their `output`, if they have one, is the target of `interpolate` and `gold`."""
    _: KW_ONLY
    student: Model
    """Where the student starts."""
    teacher: Model
    """Model that generates the outputs: one that transformers runs, or for `greedy` and `best_of` also a teacher
    (`VLLM(...)`)."""
    decode: Method | Decode = "greedy"
    """How the output is searched for; the paper took a beam of 5. A `Decode` sets all parameters, its prompt too; its
    rows and model are replaced."""
    beams: int = 5
    """Width of the beam; this and those up to `max_failed` count where `decode` is no `Decode`."""
    samples: int = 10
    """Outputs that `best_of` samples and ranks by their log-probability."""
    temperature: InitVar[float] = 1.0
    """Of that sampling."""
    length_penalty: float = 1.0
    """Power of the length that divides a log-probability."""
    max_tokens: int = 128
    """Longest output."""
    max_failed: float = 0.01
    """Share of the rows for which the teacher may fail."""
    interpolate: bool = False
    """Whether of the beam, or of the samples, the output that is nearest to the row's own is learned (section 3.3,
    where the paper took a beam of 35)."""
    gold: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """Share of the rows that keep their own output."""
    word_level: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """Weight of the teacher's distribution at each token of its output (section 3.1), with a live teacher of the
    student's vocabulary and architecture; 0 leaves it out."""
    seed: InitVar[int] = 0
    """Of the choice of rows for `gold`, and of the sampling where `decode` is no `Decode`."""
    train: TrainCausal | HardLabel | SoftLabel = TrainCausal()
    """The trainer with the student's parameters, also for encoder-decoders; its rows, student and teacher are replaced.
    `TrainCausal(like=...)` means the same."""

    def __post_init__(self, rows: Rows, temperature: float, seed: int) -> None:
        """Build decoding and training.

        Raises:
            BadInput: naming all that is wrong.
        """
        self._build(self._trained(rows, temperature, seed), self._decode_problems(temperature), self._train_problems())

    def _train_problems(self) -> Iterator[Problem]:
        """Yield that `train` is no trainer of language models."""
        if not isinstance(self.train, (HardLabel, SoftLabel)) and not hasattr(self.train, "like"):
            text = "must be a HardLabel, a SoftLabel or TrainCausal(like=...)"
            yield Problem("", "train", f"{text}; got a {type(self.train).__name__}")

    def _decode_problems(self, temperature: float) -> Iterator[Problem]:
        """Yield the parameters that don't go with the decoding method."""
        method = self.decode
        if isinstance(self.decode, Decode):
            method = self.decode.method
            usual = {field.name: field.default for field in dataclasses.fields(self)}
            changed = [name for name in SEARCH if getattr(self, name) != usual[name]]
            for name in [*changed, *(["temperature"] if temperature != 1.0 else [])]:
                yield Problem("", name, "is a parameter of the Decode that is given: set it there")
        if self.interpolate and method == "greedy":
            text = "has one output to choose from with decode='greedy': take 'beam' or 'best_of'"
            yield Problem("", "interpolate", text)

    def _trained(self, rows: Rows, temperature: float, seed: int) -> Iterator[Step]:
        """Yield the student's training."""
        train = TrainCausal(self.train) if isinstance(self.train, (HardLabel, SoftLabel)) else self.train
        like = TrainCausal(train.like).soft(rows, self.student)
        written: Step = self._decoded(rows, like.prompt, temperature, seed)
        if self.interpolate or self.gold:
            written = Interpolate(written, nearest=self.interpolate, gold=self.gold, seed=seed)
        if self.word_level:
            word_level = TrainCausal(dataclasses.replace(like, alpha=self.word_level))
            yield word_level(written, self.student, self.teacher)
        else:
            yield train(written, self.student, None)

    def _decoded(self, rows: Rows, prompt: str, temperature: float, seed: int) -> Decode:
        """Return the step in which the teacher generates; the given `Decode` itself, where nothing differs."""
        step = self.decode
        if not isinstance(step, Decode):
            search = {name: getattr(self, name) for name in SEARCH}
            step = Decode(
                rows, model=self.teacher, prompt=prompt, method=step, temperature=temperature, seed=seed, **search
            )
        if self.interpolate and not step.keep:
            step = dataclasses.replace(step, keep=step.beams if step.method == "beam" else step.samples)
        # the object itself, not an equal copy: it may be shared by other students, or have a name in the pipeline
        same = step.rows is rows and step.model == self.teacher
        return step if same else dataclasses.replace(step, rows=rows, model=self.teacher)
