"""Annotations are resolved one by one; what can't be resolved is a problem by name, and loses no other mark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from potstill import File, Pipeline, Step
from potstill.engine.annotations import hints, marks, unresolved
from potstill.errors import RequestError

if TYPE_CHECKING:
    from decimal import Decimal


class Checked(Step):
    path: File
    share: Decimal | None = None

    def run(self) -> Any:
        return []


class Misspelt(Step):
    path: File
    size: Flaot = 1.0  # type: ignore[name-defined]  # noqa: F821

    def run(self) -> Any:
        return []


def test_names_imported_for_type_checkers_are_found() -> None:
    from decimal import Decimal as Expected

    assert not unresolved(Checked)
    assert hints(Checked)["share"] == Expected | None
    assert marks(Checked, "path")


def test_one_annotation_that_can_not_be_resolved_loses_no_other() -> None:
    assert marks(Misspelt, "path")
    assert list(unresolved(Misspelt)) == ["size"]


def test_it_is_a_problem_by_name_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    pipeline = Pipeline("p", outputs={"out": Misspelt(str(tmp_path / "a"), name="out")})
    with pytest.raises(RequestError, match=r"out.size: the annotation Flaot can't be resolved .*: import what"):
        pipeline.run(store=tmp_path / "store")
