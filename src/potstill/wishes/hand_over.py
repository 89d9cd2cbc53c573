"""What a wish ends with: a folder with the model, its card, a serving script with a page to try it, and the report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.engine.store.manifests import BESIDE_PAYLOAD
from potstill.exporting.folder import command_of
from potstill.models.footprint import footprint_of_files
from potstill.wishes.project import RESULT, Project
from potstill.wishes.serving_script import SCRIPT

if TYPE_CHECKING:
    from potstill.engine.records import Run
    from potstill.wishes.budget import Budget

ORDER = ("teacher", "student", "model", "base, untrained", "majority")
"""Models in the order in which they are named."""


def hand_over(project: Project, run: Run) -> str:
    """Copy what a run made into the folder of the wish; return what it is and how good, in words."""
    result, fresh = project.folder / RESULT, project.folder / f".{RESULT}"
    shutil.rmtree(fresh, ignore_errors=True)
    for name in ("model", "report"):
        shutil.copytree(run[name].path, fresh / name, ignore=shutil.ignore_patterns(*BESIDE_PAYLOAD))
    (fresh / "classify.py").write_text(command_of(fresh / "model") + "\n", encoding="utf-8")
    (fresh / "serve.py").write_text(SCRIPT, encoding="utf-8")
    _move(fresh, result)
    measured = {one["model"]: one for one in json.loads((result / "report" / "metrics.json").read_text())["models"]}
    lines = [f"result: {result} (model, report/index.html; python {result / 'serve.py'} serves it with a page)"]
    return "\n".join([*lines, *_scores(measured), *_held(project.budget, result / "model", measured.get("model", {}))])


def _move(fresh: Path, result: Path) -> None:
    """Put what is new in the place of what was there by these names; what a user has laid beside it stays."""
    result.mkdir(exist_ok=True)
    for path in sorted(fresh.iterdir()):
        old = result / path.name
        if old.is_dir():
            shutil.rmtree(old)
        path.replace(old)
    fresh.rmdir()


def _scores(measured: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each model with its accuracy on each set."""
    for name in ORDER:
        sets = measured.get(name, {}).get("sets", {})
        figures = [f"{scores['accuracy']:.1%} on {test} ({scores['n']} rows)" for test, scores in sets.items()]
        if figures:
            yield f"{name}: {', '.join(figures)}"


def _held(budget: Budget, model: Path, measured: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the model takes, and whether that is within the budget."""
    size = footprint_of_files(model)
    # it was measured on one text at a time
    speed = measured.get("rows_per_s")
    taken = 1000 / speed if speed else None
    yield f"takes: {size / 1e6:.1f} MB" + ("" if taken is None else f", {taken:.1f} ms a text on this machine")
    if budget.size is not None and size > budget.size:
        yield f"over the budget of {budget.size / 1e6:g} MB: give a smaller --base"
    if budget.milliseconds is not None and taken is not None and taken > budget.milliseconds:
        yield f"over the budget of {budget.milliseconds:g} ms: give a smaller --base, or a quieter machine"
