"""Lottery tickets: a sparse model that trains as well as a dense one, found by pruning and rewinding."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import KW_ONLY, InitVar, field
from typing import Annotated, Literal

from annotated_types import Ge, Interval

from potstill.engine.recipe import built
from potstill.engine.step import Rows, Step
from potstill.errors import BadInput, Problem
from potstill.models.edge import Model
from potstill.recipes.lessons import CLASSIFIERS, Train, Trainer, lesson, train_problems
from potstill.recipes.students import Course
from potstill.steps.pruning.magnitude import MagnitudePrune
from potstill.steps.pruning.rewind import Rewind


class LotteryTicket(Course):
    """Train a dense student, and after it `rounds` sparser and sparser ones: iterative magnitude pruning.

    Frankle and Carbin 2018 (arXiv 1803.03635, section 1): train, prune the smallest of the remaining weights, rewind
    the others to their values from before training, and train again with the zeros held. Each round takes the same
    share of what is left, so that the last has `sparsity`. The weights are rewound to `student`: to the initial ones if
    it is a model from nothing, to the pretrained ones otherwise (Chen et al. 2020, arXiv 2007.12223), or with `rewind`
    to those after some training (Frankle et al. 2020, arXiv 1912.05671).

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> found = LotteryTicket(rows, student=encoder, sparsity=0.75, rounds=2)
    >>> [step.student.model.sparsity for step in found[1:]], found.student.hold_zeros
    ([0.5, 0.75], True)
    """

    rows: Rows
    """What all students learn from."""
    _: KW_ONLY
    student: InitVar[Model] = field()
    """Where every training starts; `.student` of the recipe is the last one."""
    sparsity: Annotated[float, Interval(gt=0, lt=1)] = 0.5
    """Share of zeros in the blocks' linear layers of the last student."""
    rounds: Annotated[int, Ge(1)] = 3
    """How often the model is pruned."""
    rewind: Annotated[float, Ge(0)] = 0.0
    """Epochs after which the weights are those that are rewound to; such a short training has its own
    schedule, that of `train` compressed, so set `schedule="constant"` there for the weights that the long one
    passes through. 0 rewinds to `student`."""
    scope: Literal["global", "layer"] = "global"
    """Whether weights are compared over all layers, or within each."""
    control: Literal["none", "random", "shuffled"] = "none"
    """Where the last student's zeros are, as a control of the pruned ones: `random` are as many over all layers,
    `shuffled` as many in each layer; `none` are the pruned ones."""
    seed: int = 0
    """Of a control's random choice."""
    train: Train | Trainer = CLASSIFIERS
    """How each is trained: a `Classifier`, `HardLabel` or `SoftLabel` with the parameters of all, or a `Train`."""

    def __post_init__(self, student: Model) -> None:
        """Build the students.

        Raises:
            BadInput: naming all that is wrong, or what `train` makes can't hold zeros.
        """
        self._build(self._rounds(student), train_problems(self.train))

    def _rounds(self, student: Model) -> Iterator[Step]:
        """Yield the students in order.

        Raises:
            BadInput: what `train` makes can't hold zeros.
        """
        train = lesson(self.train)
        last = built(train(self.rows, student, None))
        yield last
        _check_trainer(last, needs_epochs=self.rewind > 0)
        point = _with(last, epochs=self.rewind, name=None) if self.rewind else student
        for number in range(1, self.rounds + 1):
            # s_n = 1 - (1 - s)^(n / N) takes an equal share of the remaining weights each round; rounded, so that the
            # last one's key is that of the sparsity asked for
            share = round(1 - (1 - self.sparsity) ** (number / self.rounds), 9)
            pruned = MagnitudePrune(last, sparsity=share, scope=self.scope)
            zeros = self.control if number == self.rounds else "none"
            ticket = Rewind(pruned, weights=point, control=zeros, seed=self.seed if zeros != "none" else 0)
            last = _with(built(train(self.rows, ticket, None)), hold_zeros=True)
            yield last


def _with(trainer: Step, **changes: object) -> Step:
    """Return a trainer with other values of fields that not every step has."""
    return dataclasses.replace(trainer, **changes)  # type: ignore[arg-type]  # `_check_trainer` knows that it has them


def _check_trainer(step: Step, needs_epochs: bool) -> None:
    """Check that a training can hold zeros, and be cut short where it must.

    Raises:
        BadInput: it can't.
    """
    fields = {field.name for field in dataclasses.fields(step)}
    missing = {"hold_zeros", *(("epochs",) if needs_epochs else ())} - fields
    if missing:
        text = f"makes a {type(step).__name__}, which has no {' and no '.join(sorted(missing))}: train with a trainer"
        raise BadInput(Problem("", "train", text))
