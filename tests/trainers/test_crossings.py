"""A training, and a row that a teacher labels, go straight: few files, few returns; `crossings.py` says what counts."""

from __future__ import annotations

from typing import Any

import pytest

import crossings
import fakes
import learning
import scripted
import tiny
from potstill.steps import PseudoLabel
from potstill.trainers import Classifier, HardLabel, SoftLabel

FIELDS = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3}
TEXTS = [{"id": str(n), "text": f"turn {way} the light", "label": way} for n, way in enumerate(("on", "off") * 4)]


def way(folder: Any, step: Any, rows: list[dict[str, Any]], start: str = "", **inputs: Any) -> crossings.Way:
    """Run a step twice, as the first run imports what it needs, and return the way of the second one."""
    data = learning.dataset(rows)
    step.run(rows=data, context=learning.context(folder / "before"), **inputs)
    context = learning.context(folder / "run")
    with crossings.recorded(start) as crossed:
        step.run(rows=data, context=context, **inputs)
    return crossed


def check(crossed: crossings.Way, files: int, returns: int, **counted: Any) -> None:
    """Check that there are no more; a change that makes it fewer should lower the numbers here."""
    counts = crossings.count(crossed.stays(**counted))
    assert counts[0] <= files and counts[1] <= returns, f"{counts}\n{crossed.described()}"


@pytest.mark.parametrize("start, files, returns, room", [("", 30, 32, ""), ("fit", 9, 3, "trainers/")])
def test_hard_label(tmp_path, student, start, files, returns, room):
    """All calls of a whole run; and what is called by name, from `fit` on, in the room of the trainers."""
    step = HardLabel(None, student=str(student), **FIELDS)
    crossed = way(tmp_path, step, learning.rows(8), start, student=str(student))
    check(crossed, files, returns, room=room, by_name=bool(start))


@pytest.mark.parametrize("start, files, returns, room", [("", 36, 44, ""), ("fit", 10, 3, "trainers/")])
def test_soft_label(tmp_path, student, teacher, start, files, returns, room):
    rows = learning.with_soft_labels(learning.rows(8), teacher, 8)
    step = SoftLabel(None, student=str(student), **FIELDS)
    crossed = way(tmp_path, step, rows, start, student=str(student), teacher=None)
    check(crossed, files, returns, room=room, by_name=bool(start))


def test_soft_label_beside_its_teacher(tmp_path, student, teacher):
    step = SoftLabel(None, student=str(student), teacher=str(teacher), **FIELDS)
    crossed = way(tmp_path, step, learning.rows(8), "fit", student=str(student), teacher=str(teacher))
    check(crossed, 10, 4, room="trainers/", by_name=True)


@pytest.mark.parametrize("start, files, returns, room", [("", 27, 24, ""), ("fit", 8, 0, "trainers/")])
def test_classifier(tmp_path, start, files, returns, room):
    encoder = str(tiny.encoder(tmp_path / "encoder"))
    crossed = way(tmp_path, Classifier(None, student=encoder, **FIELDS), TEXTS, start, student=encoder)
    check(crossed, files, returns, room=room, by_name=bool(start))


@pytest.mark.parametrize("fields, files, returns", [({}, 10, 4), ({"samples": 3, "temperature": 0.7}, 11, 5)])
def test_a_row_that_is_labelled(tmp_path, fields, files, returns):
    teacher = scripted.Scripted(say=lambda request: "yes")
    step = PseudoLabel(None, teacher=teacher, **fields)
    rows = learning.dataset([{"id": "1", "instruction": "sing"}, {"id": "2", "instruction": "dance"}])
    list(step.run(rows=rows, teacher=teacher, context=fakes.context_in(tmp_path / "before")))
    context = fakes.context_in(tmp_path / "run")
    with crossings.recorded() as crossed:
        list(step.run(rows=rows, teacher=teacher, context=context))
    check(crossed, files, returns)


def test_what_is_counted(tmp_path):
    """A callback that climbs back is a return, a second helper of one file is none, nor is one's own."""
    crossed = crossings.Way(
        [("a.py", "run"), ("b.py", "f"), ("b.py", "g"), ("c.py", "C.m"), ("a.py", "run.<locals>.h")]
    )
    assert crossed.stays() == ["a.py", "b.py", "c.py", "a.py"] and crossings.count(crossed.stays()) == (3, 1)
    assert crossed.stays(by_name=True) == ["a.py", "b.py", "a.py"]
