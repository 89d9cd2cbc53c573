"""Steps that other steps make up: they build those from their parameters, and stand for the last of them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from potstill.engine.annotations import hints, marks
from potstill.engine.arguments import lists_as_tuples
from potstill.engine.resources import given
from potstill.engine.signatures import parameters
from potstill.engine.step import Edge, Step
from potstill.engine.step_names import RESOURCES
from potstill.engine.type_checks import range_problem, type_problem
from potstill.errors import BadInput, Problem, RequestError

_PLAIN = (bool, int, float, str, list, tuple, type(None))


class Recipe(Step):
    """A step that builds other steps, at once, and stands for the last of them.

    It never runs itself. A subclass calls `_build` from its `__post_init__`. A parameter whose name means something
    else on what is handed out, such as the `student` where all students start, is an `InitVar`.
    """

    makes: ClassVar[str] = "model"

    def _build(self, steps: Iterable[Step], *wrong: Iterable[Problem]) -> None:
        """Check the parameters, build the `steps`, and give the recipe's name to the last of them.

        `steps` is best a generator, as it is asked for the first one when the parameters are known to be right.

        Raises:
            BadInput: naming the recipe and all that is `wrong`, or what a step says is.
        """
        mistyped = [*_parameter_problems(self, type_problem), *_own_resources(self)]
        problems = mistyped or [*_parameter_problems(self, range_problem), *itertools.chain.from_iterable(wrong)]
        try:
            built_steps = [] if problems else [*steps]
        except RequestError as error:
            raise BadInput(*(self._named(problem) for problem in error.problems)) from error
        if not built_steps:
            raise BadInput(*(self._named(problem) for problem in problems or [Problem("", "", "makes no step")]))
        if self.name is not None and built_steps[-1].name != self.name:
            built_steps[-1] = dataclasses.replace(built(built_steps[-1]), name=self.name)
        object.__setattr__(self, "_steps", tuple(built_steps))

    def _named(self, problem: Problem) -> Problem:
        """Return the problem as one of this recipe, unless it is another step's."""
        return dataclasses.replace(problem, step=problem.step or self.name or type(self).__name__)

    def _built(self) -> tuple[Step, ...]:
        """Return the steps that are handed out."""
        steps: tuple[Step, ...] = vars(self)["_steps"]
        return steps

    def expanded(self) -> Step:
        """Return the last step."""
        return self._built()[-1].expanded()

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the last step."""
        return self.expanded().check()


class StandIn(Recipe):
    """A recipe that is read like the one step it stands for: what it has not itself is that step's."""

    def __init_subclass__(cls) -> None:
        """Make the subclass a frozen dataclass whose `InitVar` parameters are read from the step it stands for."""
        super().__init_subclass__()
        field_names = {field.name for field in dataclasses.fields(cls)}
        for name in (parameters(cls.__init__).keys() - field_names) & vars(cls).keys():
            delattr(cls, name)  # the default, which would be read in place of the step's own value
            cls.__dataclass_fields__[name].default = dataclasses.MISSING  # `dataclasses.replace` asks for a value

    def __getattr__(self, name: str) -> Any:
        """Return what the step has under a name.

        Raises:
            AttributeError: it has nothing there either.
        """
        if "_steps" not in vars(self):  # while it is made, or unpickled
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self.expanded(), name)


def built(step: Step) -> Step:
    """Return the step that a recipe stands for, whose fields can be read and replaced; other steps as they are."""
    return step.expanded() if isinstance(step, Recipe) else step


def _own_resources(recipe: Recipe) -> Iterator[Problem]:
    """Yield what a recipe was given that only a step can take."""
    for name in RESOURCES:
        if given(recipe, name) is not None:
            yield Problem("", name, "is of one step, and this is a recipe of several: give it to the steps in it")


def _parameter_problems(recipe: Recipe, problem: Callable[[Any, Any], str]) -> Iterator[Problem]:
    """Yield the `problem` of plain values with their annotations; edges are checked in the steps that are built."""
    cls: type = type(recipe)
    for field in dataclasses.fields(recipe):
        value, annotation = getattr(recipe, field.name), hints(cls).get(field.name, Any)
        if isinstance(value, _PLAIN) and not any(isinstance(mark, Edge) for mark in marks(cls, field.name)):
            message = problem(lists_as_tuples(value, annotation), annotation)
            if message:
                yield Problem("", field.name, message)
