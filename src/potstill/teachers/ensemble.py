"""Several different teachers that label the same rows together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from potstill.engine.step import Placement
from potstill.errors import Problem
from potstill.models.preload import ENGINE
from potstill.teachers.placement import placed

How = Literal["vote", "average", "round_robin"]
BY_NAME = Placement(heavy=True, preload=ENGINE)
"""Where a member runs that is given by name, or by the step that makes it: vLLM loads it."""


@dataclass(frozen=True)
class Ensemble:
    """Teachers that are asked one after another, so only one is loaded at a time; each answer is kept by its teacher.

    So adding a member asks only the new one.
    """

    members: Sequence[Any]
    """Teachers, steps that make models, folders or Hub ids."""
    how: How = field(default="vote", kw_only=True)
    """`vote`: all answer and the majority wins; `average`: the mean of their probabilities of each label (for
    classification); `round_robin`: each row goes to one member, about as many to each. Which one is chosen by a hash
    (Thaler and Ravishankar 1998, highest random weight), so that a new member takes rows and no others change hands."""

    @property
    def label(self) -> str:
        """Short name for reports."""
        return " + ".join(names_of(self.members))

    @property
    def heavy(self) -> bool:
        """Return whether a member loads a model here."""
        return any(placed(member, BY_NAME).heavy for member in self.members)

    @property
    def preload(self) -> tuple[str, ...]:
        """Return the modules that a step's process imports for the members."""
        return tuple(dict.fromkeys(name for member in self.members for name in placed(member, BY_NAME).preload))

    @property
    def gpus(self) -> int:
        """Return the GPUs of the step's process, which loads one member at a time."""
        return max((placed(member, BY_NAME).own_gpus() for member in self.members), default=0)

    @property
    def server_gpus(self) -> int:
        """Return the GPUs that the members' servers need at least: one is asked after the other, and they may share."""
        return max((placed(member, BY_NAME).server_gpus for member in self.members), default=0)

    def identity(self) -> dict[str, Any]:
        """Return what the labels depend on."""
        from potstill.models.identity import model_identity

        return {"how": self.how, "members": [model_identity(member) for member in self.members]}

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the members as a group."""
        if not self.members:
            yield Problem("", "teacher", "the ensemble has no members: give at least one teacher")


def as_ensemble(teacher: object, how: How = "vote") -> Ensemble:
    """Return the value of a `teacher` field as an ensemble: one teacher, a list of them (decided by `how`), or one."""
    if isinstance(teacher, Ensemble):
        return teacher
    return Ensemble(tuple(teacher) if isinstance(teacher, (list, tuple)) else (teacher,), how=how)


def names_of(members: Sequence[Any]) -> list[str]:
    """Return a name for each member; of those called alike, the later ones are numbered."""
    seen: Counter[str] = Counter()
    names = []
    for member in members:
        label = str(getattr(member, "label", member))
        seen[label] += 1
        names.append(label if seen[label] == 1 else f"{label}#{seen[label]}")
    return names


def scores(teacher: object) -> bool:
    """Return whether a teacher can give the log-probabilities of a given text."""
    return bool(getattr(teacher, "gives_scores", True))
