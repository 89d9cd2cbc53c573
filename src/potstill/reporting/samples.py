"""The test rows with what every model of a section answered, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from potstill.metrics.kept_rows import KeptAnswer, read_answers
from potstill.reporting.model_table import Section


@dataclass(frozen=True)
class Sample:
    """One test row with the answers of all models."""

    set: str
    """The test set."""
    id: str
    """Id of the row there, or its number."""
    input: str
    """What was asked."""
    gold: str
    """The right answer."""
    cluster: str | None
    """What the row comes from, if that is known."""
    answers: tuple[KeptAnswer | None, ...]
    """What each model made of it, in the section's order; `None` where it was not asked, or its rows were not kept."""

    @property
    def is_same(self) -> bool:
        """Return whether all models that were asked gave one answer."""
        return len({one.answer for one in self.answers if one is not None}) <= 1

    @property
    def is_wrong(self) -> bool:
        """Return whether any model was wrong."""
        return any(one is not None and one.right is False for one in self.answers)


@dataclass(frozen=True)
class Samples:
    """All rows of a section."""

    title: str
    """Heading of the section."""
    models: tuple[str, ...]
    """Labels of the models, in the order of the answers."""
    rows: tuple[Sample, ...]
    """The rows, by test set."""


def samples_of(section: Section, folders: Mapping[str, Path | None]) -> Samples:
    """Return the rows of a section; empty where no model's were kept.

    Args:
        section: the models.
        folders: where the artifact of each step lies, by the step's name.
    """
    answers = [read_answers(folders.get(model.step)) for model in section.models]
    places = [dict(_placed(rows)) for rows in answers]
    order = list(dict.fromkeys(place for own in places for place in own))
    sets = {name: number for number, name in enumerate(section.sets)}
    rows = [_sample(place, [own.get(place) for own in places]) for place in order]
    rows.sort(key=lambda one: sets.get(one.set, len(sets)))  # stable: the order within a set stays
    return Samples(section.title, tuple(model.label for model in section.models), tuple(rows))


def lines_of(samples: Iterable[Samples]) -> Iterator[dict[str, object]]:
    """Yield all rows as `samples.jsonl` holds them, whole."""
    for one in samples:
        for row in one.rows:
            pairs = [(model, own) for model, own in zip(one.models, row.answers, strict=True) if own is not None]
            yield {
                "kind": one.title,
                "set": row.set,
                "id": row.id,
                "input": row.input,
                "gold": row.gold,
                "answers": {model: own.answer for model, own in pairs},
                "right": {model: own.right for model, own in pairs if own.right is not None},
            }


Place = tuple[str, str, str, str, int]
"""What a row is known by in the rows of all models: set, id, texts, and which of several equal ones."""


def _placed(rows: Sequence[KeptAnswer]) -> Iterator[tuple[Place, KeptAnswer]]:
    """Yield each row with what it is known by."""
    before: Counter[tuple[str, str, str, str]] = Counter()
    for row in rows:
        texts = (row.set, row.id, row.input, row.gold)
        yield (*texts, before[texts]), row
        before[texts] += 1


def _sample(place: Place, answers: Sequence[KeptAnswer | None]) -> Sample:
    """Return one row with all answers to it."""
    name, row_id, asked, gold, _ = place
    cluster = next((one.cluster for one in answers if one is not None), None)
    return Sample(name, row_id, asked, gold, cluster, tuple(answers))
