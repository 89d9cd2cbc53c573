"""Sequence-level distillation: the student learns what its teacher writes instead of the data's own targets."""

from __future__ import annotations

import dataclasses

from potstill.engine.step import Model, Rows, Step
from potstill.errors import BadInput, Problem
from potstill.recipes.lessons import TrainCausal
from potstill.steps.generation.decode import Decode
from potstill.steps.labelling.interpolate import Interpolate
from potstill.teachers.search import Method
from potstill.trainers.language_models.soft_label import SoftLabel


def SequenceLevel(  # noqa: N802 - stands among steps in a pipeline
    rows: Rows,
    *,
    student: Model,
    teacher: Model,
    decode: Method = "greedy",
    beams: int = 5,
    samples: int = 10,
    temperature: float = 1.0,
    length_penalty: float = 1.0,
    max_tokens: int = 128,
    interpolate: bool = False,
    gold: float = 0.0,
    word_level: float = 0.0,
    max_failed: float = 0.01,
    seed: int = 0,
    train: TrainCausal = TrainCausal(),  # noqa: B008 - frozen
) -> Step:
    """Return the training of a student on what its teacher writes to the rows.

    Kim and Rush 2016 ("Sequence-Level Knowledge Distillation", arXiv 1606.07947, section 3.2): the mode of the
    teacher's distribution over whole outputs, found by beam search, stands for that distribution. The student then
    needs little or no search of its own. Teacher and student may differ in vocabulary and architecture.

    The outputs are a step of their own, `Decode`, which is kept, and shared by all students of a teacher.

    Args:
        rows: what is decoded; their `output`, if they have one, is the target of `interpolate` and `gold`.
        student: where the student starts.
        teacher: who writes: a model that transformers runs, or for `greedy` and `best_of` also a teacher (`VLLM(...)`).
        decode: how the output is searched for; the paper took a beam of 5.
        beams: width of the beam.
        samples: outputs that `best_of` draws and ranks by their log-probability.
        temperature: of that drawing.
        length_penalty: power of the length that divides a log-probability.
        max_tokens: longest output.
        interpolate: whether of the beam, or of the samples, the output that is nearest to the row's own is learned
            (section 3.3, where the paper took a beam of 35).
        gold: share of the rows that keep their own output.
        word_level: weight of the teacher's distribution at each token of what it wrote (section 3.1), with a live
            teacher of the student's vocabulary and architecture; 0 leaves it out.
        max_failed: share of the rows to which the teacher may fail to write.
        seed: of the drawing, and of the choice of rows for `gold`.
        train: makes the training step; `TrainCausal(like=...)` sets its parameters, also for encoder-decoders.

    Raises:
        BadInput: there is nothing to interpolate between, or `word_level` is no share.

    >>> rows = LoadRows([{"instruction": "a cat", "output": "eine Katze"}])
    >>> step = SequenceLevel(rows, student="small", teacher="large", decode="beam", gold=0.1, word_level=0.5)
    >>> step.alpha, step.rows.gold, step.rows.rows.method, step.rows.rows.model
    (0.5, 0.1, 'beam', 'large')
    """
    _check(decode, interpolate, word_level)
    like = train.like or SoftLabel(rows, student=student)
    decoded: Step = Decode(
        rows,
        model=teacher,
        prompt=like.prompt,
        method=decode,
        beams=beams,
        samples=samples,
        temperature=temperature,
        length_penalty=length_penalty,
        max_tokens=max_tokens,
        keep=(beams if decode == "beam" else samples) if interpolate else 0,
        max_failed=max_failed,
        seed=seed,
    )
    if interpolate or gold:
        decoded = Interpolate(decoded, nearest=interpolate, gold=gold, seed=seed)
    if not word_level:
        return train(decoded, student, None)
    return TrainCausal(dataclasses.replace(like, alpha=word_level))(decoded, student, teacher)


def _check(decode: Method, interpolate: bool, word_level: float) -> None:
    """Check what no step would.

    Raises:
        BadInput: naming all that is wrong.
    """
    wrong = []
    if interpolate and decode == "greedy":
        wrong.append(
            Problem("", "interpolate", "has one output to choose from with decode='greedy': take 'beam' or 'best_of'")
        )
    if not 0 <= word_level <= 1:
        wrong.append(Problem("", "word_level", f"must be from 0 to 1, got {word_level}"))
    if wrong:
        raise BadInput(*wrong)
