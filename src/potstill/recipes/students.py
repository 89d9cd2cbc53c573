"""What a method hands out: every student that it trains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

from potstill.engine.step import Step


class Course(Sequence[Step]):
    """The steps that train a method's students, in the order in which they learn; what they learn from hangs on them.

    It is no dataclass, list or tuple on purpose: given where one model belongs it is refused before anything runs.
    """

    def __init__(self, students: Iterable[Step]) -> None:
        """Hand out `students`."""
        self._students = tuple(students)

    @property
    def student(self) -> Step:
        """The last student: what the method is for."""
        return self._students[-1]

    @overload
    def __getitem__(self, index: int) -> Step: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Step]: ...

    def __getitem__(self, index: int | slice) -> Step | Sequence[Step]:
        """Return a student, or some of them."""
        return self._students[index]

    def __len__(self) -> int:
        """Return the number of students."""
        return len(self._students)

    def __repr__(self) -> str:
        """Return what to take of it, since this is what an error message shows."""
        return f"<Course of {len(self)}: say .student for the last>"
