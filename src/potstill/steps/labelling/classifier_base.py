"""Steps that run a Hugging Face classifier over the texts of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from typing import Annotated, ClassVar

from annotated_types import Ge, MinLen

from potstill.models.edge import Model
from potstill.models.preload import MODEL
from potstill.steps.rows.base import RowsStep


class ClassifierStep(RowsStep):
    """Reads one column of the rows with a classifier; finished chunks survive a kill."""

    model: Model
    """A classifier's folder or Hub id, or a step that makes one."""
    _: KW_ONLY
    column: Annotated[str, MinLen(1)] = "text"
    """Column of the texts."""
    batch_size: Annotated[int, Ge(1)] = 32
    """Texts in one pass through the model."""

    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = MODEL
    unkeyed: ClassVar[frozenset[str]] = frozenset({"batch_size"})

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column of the texts."""
        return {"rows": (self.column,)}
