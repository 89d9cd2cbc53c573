"""Lottery tickets: a sparse model that learns as well as a whole one, found by pruning and going back."""

from __future__ import annotations

import dataclasses
from typing import Literal

from potstill.engine.step import Model, Rows, Step
from potstill.errors import BadInput, Problem
from potstill.recipes.lessons import CLASSIFIERS, Train, at_least_one
from potstill.recipes.students import Course
from potstill.steps.pruning.magnitude import MagnitudePrune
from potstill.steps.pruning.rewind import Rewind


def LotteryTicket(  # noqa: N802 - stands among steps in a pipeline
    rows: Rows,
    *,
    student: Model,
    sparsity: float = 0.5,
    rounds: int = 3,
    rewind: float = 0.0,
    scope: Literal["global", "layer"] = "global",
    control: Literal["none", "random", "shuffled"] = "none",
    seed: int = 0,
    train: Train = CLASSIFIERS,
) -> Course:
    """Return a dense student, and after it `rounds` sparser and sparser ones: iterative magnitude pruning.

    Frankle and Carbin 2018 (arXiv 1803.03635, section 1): train, prune the smallest of the weights that are left, give
    the others back the values from before training, and train again with the zeros held. Each round takes the same
    share of what is left, so that the last has `sparsity`. The weights go back to `student`: to the initial ones if it
    is a model from nothing, to the pretrained ones otherwise (Chen et al. 2020, arXiv 2007.12223), or with `rewind` to
    those after some training (Frankle et al. 2020, arXiv 1912.05671).

    Args:
        rows: what all students learn from.
        student: where every training starts.
        sparsity: share of zeros in the blocks' linear layers of the last student.
        rounds: how often is pruned.
        rewind: passes over the rows after which the weights are those that one goes back to; such a short training has
            its own schedule, that of `train` drawn together, so name `schedule="constant"` there for the weights that
            the long one passes through. 0 goes back to `student`.
        scope: whether weights are compared over all layers, or within each.
        control: what the last student's zeros are, to see what the found ones are worth: `random` are as many over all
            layers, `shuffled` as many in each layer; `none` are the found ones.
        seed: of a control's draw.
        train: makes each training step; `TrainClassifier(like=...)` or `TrainCausal(like=...)` set parameters.

    Raises:
        BadInput: the sparsity or the rewinding point is out of range, there is not one round, or what `train` makes
            can't hold zeros.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> found = LotteryTicket(rows, student=encoder, sparsity=0.75, rounds=2)
    >>> [step.student.model.sparsity for step in found[1:]], found.student.hold_zeros
    ([0.5, 0.75], True)
    """
    at_least_one(rounds)
    _check(sparsity, rewind)
    dense = train(rows, student, None)
    _check_trainer(dense, needs_epochs=rewind > 0)
    point: Model = dataclasses.replace(dense, epochs=rewind, name=None) if rewind else student  # type: ignore[call-arg]
    students: list[Step] = [dense]
    for number in range(1, rounds + 1):
        # rounded, so that the last one's key is that of the sparsity asked for
        share = round(1 - (1 - sparsity) ** (number / rounds), 9)
        pruned = MagnitudePrune(students[-1], sparsity=share, scope=scope)
        zeros = control if number == rounds else "none"
        ticket = Rewind(pruned, weights=point, control=zeros, seed=seed if zeros != "none" else 0)
        students.append(dataclasses.replace(train(rows, ticket, None), hold_zeros=True))  # type: ignore[call-arg]
    return Course(students)


def _check(sparsity: float, rewind: float) -> None:
    problems = []
    if not 0 < sparsity < 1:
        problems.append(Problem("", "sparsity", f"must be > 0 and < 1, got {sparsity}"))
    if not rewind >= 0:
        problems.append(Problem("", "rewind", f"must be >= 0 passes over the rows, got {rewind}"))
    if problems:
        raise BadInput(*problems)


def _check_trainer(step: Step, needs_epochs: bool) -> None:
    fields = {field.name for field in dataclasses.fields(step)}
    missing = {"hold_zeros", *(("epochs",) if needs_epochs else ())} - fields
    if missing:
        text = f"makes a {type(step).__name__}, which has no {' and no '.join(sorted(missing))}: train with a trainer"
        raise BadInput(Problem("", "train", text))
