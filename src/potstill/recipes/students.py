"""The students of a recipe, as a sequence of steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from potstill.engine.recipe import Recipe
from potstill.engine.step import Step


class Course(Recipe, Sequence[Step]):
    """The steps that train a recipe's students, in the order of training; their inputs are reached through them.

    Where one model is expected it stands for the last student.
    """

    def __init__(self, students: Iterable[Step]) -> None:
        """Contain `students`.

        Raises:
            BadInput: there are none.
        """
        self._build(students)

    @property
    def student(self) -> Step:
        """The last student: what the recipe is for."""
        return self._built()[-1]

    def __iter__(self) -> Iterator[Step]:  # type: ignore[override]  # other steps refuse: they are no sequences
        """Return the students one by one."""
        return iter(self._built())

    @overload  # type: ignore[override]  # as above
    def __getitem__(self, index: int) -> Step: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Step]: ...

    def __getitem__(self, index: int | slice) -> Step | Sequence[Step]:
        """Return a student, or some of them."""
        return self._built()[index]

    def __len__(self) -> int:
        """Return the number of students."""
        return len(self._built())

    def __repr__(self) -> str:
        """Return what it is and how to get a student out of it."""
        return f"<{type(self).__name__} of {len(self)}: say .student for the last>"
