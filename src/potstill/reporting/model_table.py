"""The measured models of a report: labels, the sections that they stand in, and figures relative to the reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from potstill.engine.context import Ancestor
from potstill.errors import BadInput
from potstill.metrics.kept_rows import KeptRows, read
from potstill.reporting.costs import Cost, costs_of
from potstill.reporting.gold import authors
from potstill.reporting.kinds import (
    ANSWERS,
    BITS,
    CLASSES,
    READING,
    Figure,
    Kind,
    kind_of,
    number,
    tasks_with_rights,
)
from potstill.reporting.measures import measure_figures, with_measures
from potstill.reporting.ways import way_of

SPARSE = 0.2
"""Share of zeros from which a model counts as pruned."""
AGREES = "Agreement with the teacher's answers"
"""What shares of right answers are called where a teacher wrote these."""
LARGEST = 1e18
"""Bytes that no model has."""


@dataclass(frozen=True)
class Evaluation:
    """What one step measured."""

    label: str
    """Its name in the report."""
    step: str
    """Name of the step."""
    metrics: Mapping[str, Any]
    """What that step returned."""
    kind: Kind | None
    """Of which kind that is; `None` for a user's own figures."""
    rows: Mapping[str, KeptRows] = field(default_factory=dict)
    """Rows that the step kept, by test set."""


@dataclass(frozen=True)
class Measured:
    """One model as a step measured it on test sets."""

    label: str
    """Its name in the report."""
    step: str
    """Name of the step that measured it."""
    metrics: Mapping[str, Any]
    """What that step returned."""
    size_ratio: float | None
    """How many times smaller its weights are than the reference's; unknown for a model behind an address."""
    reference: bool = False
    """Whether it is the one that the others are compared with."""
    rows: Mapping[str, KeptRows] = field(default_factory=dict)
    """Rows that the step kept, by test set."""
    cost: Mapping[str, Any] = field(default_factory=dict)
    """What `MeasureCost` measured of it, by the names of the evaluation's own figures, which it stands in for."""

    @property
    def sets(self) -> Mapping[str, Mapping[str, Any]]:
        """Return its figures by test set; of the harness's tasks, those whose rows are right or wrong."""
        sets: Mapping[str, Mapping[str, Any]] = tasks_with_rights(self.metrics) or self.metrics["sets"]
        return {name: with_measures(scores) for name, scores in sets.items()}

    @property
    def bytes(self) -> float | None:
        """Return the bytes of its weights on disk, as they are deployed: zeros that are stored count."""
        return size_in({**self.metrics, **self.cost})

    @property
    def zeros(self) -> float:
        """Return the share of its parameters that are zero; 0 if unknown."""
        total, nonzero = self.figure("parameters"), self.figure("nonzero_parameters")
        return 1 - nonzero / total if total and nonzero is not None else 0.0

    @property
    def sparse(self) -> bool:
        """Return whether it was pruned to zeros; a trained or rounded one has some too, but few."""
        return self.zeros >= SPARSE

    @property
    def smaller(self) -> bool:
        """Return whether it is known to be smaller than the reference."""
        return not self.reference and self.size_ratio is not None and self.size_ratio > 1

    def figure(self, name: str) -> float | None:
        """Return a figure of the whole model, if it is known."""
        return number(self.cost if name in self.cost else self.metrics, name)

    def value(self, figure: Figure, name: str) -> float | None:
        """Return a figure on the test set `name`, if it was measured there."""
        return figure.of(self.sets.get(name))

    def mean(self, figure: Figure) -> float | None:
        """Return the mean of a figure over the test sets; `None` where one is unknown."""
        values = [figure.of(scores) for scores in self.sets.values()]
        present = [value for value in values if value is not None]
        return sum(present) / len(present) if present and len(present) == len(values) else None


@dataclass(frozen=True)
class Section:
    """The models that were measured in the same way."""

    kind: Kind
    """In which way."""
    models: tuple[Measured, ...]
    """They, in the order in which they were given."""
    by_teacher: frozenset[str] = frozenset()
    """Test sets whose right answers a teacher wrote."""
    way: str = ""
    """How they were measured, where the report has several ways of this kind."""

    @property
    def title(self) -> str:
        """Return its heading."""
        return f"{self.kind.title}, {self.way}" if self.way else self.kind.title

    @property
    def reference(self) -> Measured:
        """Return the model that the others are compared with."""
        return next(model for model in self.models if model.reference)

    @property
    def sets(self) -> list[str]:
        """Return the names of all test sets, in the order in which they come up."""
        return list(dict.fromkeys(name for model in self.models for name in model.sets))

    @property
    def main(self) -> Figure:
        """Return what the models are compared by.

        Perplexities of a token compare only where the tokens are the same; bits a byte compare always. Where a teacher
        wrote all right answers, shares of them are called what they are.
        """
        if self.kind in (ANSWERS, CLASSES) and self.by_teacher.issuperset(self.sets):
            return replace(self.kind.main, title=AGREES)
        return BITS if self.kind is READING and self._other_tokens() else self.kind.main

    @property
    def beside(self) -> tuple[Figure, ...]:
        """Return the other figures that any model has."""
        measures = measure_figures(scores for model in self.models for scores in model.sets.values())
        every, main = (self.kind.main, *self.kind.beside, *measures), self.main
        return tuple(one for one in every if one.name != main.name and self._is_shown(one))

    def count(self, name: str) -> int | None:
        """Return how much the test set `name` holds, if it is known."""
        counts = [number(model.sets.get(name), self.kind.count) for model in self.models]
        return next((int(count) for count in counts if count is not None), None)

    def _is_shown(self, figure: Figure) -> bool:
        """Return whether a figure is known, and says anything: valid JSON does only where JSON is expected."""
        every = [scores for model in self.models for scores in model.sets.values()]
        asked = figure.name != "valid_json" or any(scores.get("expects_json", True) for scores in every)
        return asked and any(figure.of(scores) is not None for scores in every)

    def _other_tokens(self) -> bool:
        """Return whether two models read one test set as different numbers of tokens."""
        counts = [{number(model.sets.get(name), "tokens") for model in self.models} - {None} for name in self.sets]
        return any(len(each) > 1 for each in counts)


def evaluations_of(given: object, names: Sequence[str], lineage: Sequence[Ancestor]) -> list[Evaluation]:
    """Return what was measured, in the order given, with a label that is its own; `names` are those of the steps.

    Args:
        given: what the steps returned, in a list, or in a dict by label.
        names: of the steps that measured, in the same order.
        lineage: all steps behind the report.
    """
    values = list(given.values()) if isinstance(given, Mapping) else list(given) if isinstance(given, Iterable) else []
    kinds = [kind_of(value) for value in values]
    wished = [str(key) for key in given] if isinstance(given, Mapping) else _labels(values, kinds, names, lineage)
    labels = _legible(wished, names)
    folders = {ancestor.name: ancestor.folder for ancestor in lineage}
    rows = zip(labels, names, values, kinds, strict=True)
    return [
        Evaluation(label, step, value, kind, read(folders.get(step)) if kind is not None else {})
        for label, step, value, kind in rows
    ]


def sections_of(
    evaluations: Sequence[Evaluation],
    reference: str,
    lineage: Sequence[Ancestor] = (),
    costs: Sequence[Cost] = (),
) -> list[Section]:
    """Return the evaluations of known kinds, by kind and way, in the order in which these come up.

    Args:
        evaluations: all that was measured.
        reference: label of the model that the others are compared with; empty takes the first of each kind.
        lineage: all steps behind them, by which it is known whose the right answers are.
        costs: what was measured of serving them.

    Raises:
        BadInput: `reference` is not the label of any evaluation.
    """
    labels = [evaluation.label for evaluation in evaluations]
    if reference and reference not in labels:
        raise BadInput(f"reference {reference!r} is no model of the report: give one of {', '.join(labels)}")
    by_way: dict[tuple[Kind, str], list[Evaluation]] = {}
    for one in evaluations:
        if one.kind is not None:
            by_way.setdefault((one.kind, way_of(one.kind, one.metrics)), []).append(one)
    ways = Counter(kind for kind, _ in by_way)
    return [
        _section(kind, way if ways[kind] > 1 else "", own, reference, lineage, costs)
        for (kind, way), own in by_way.items()
    ]


def size_in(metrics: Mapping[str, Any]) -> float | None:
    """Return the bytes of the weights, if they are known and can be the size of a file."""
    size = number(metrics, "weights_bytes")
    return size if size and 1 <= size < LARGEST else None


def _section(
    kind: Kind,
    way: str,
    evaluations: Sequence[Evaluation],
    reference: str,
    lineage: Sequence[Ancestor],
    costs: Sequence[Cost],
) -> Section:
    """Return the section of one kind; the first model is the reference where another section has the one asked for."""
    labels = [evaluation.label for evaluation in evaluations]
    chosen = labels.index(reference) if reference in labels else 0
    spent = costs_of([(one.label, one.metrics) for one in evaluations], costs) if kind.writes else [{}] * len(labels)
    sizes = [size_in({**one.metrics, **cost}) for one, cost in zip(evaluations, spent, strict=True)]
    whole = sizes[chosen]
    ratios = [whole / own if whole and own else None for own in sizes]
    return Section(
        kind,
        tuple(
            Measured(one.label, one.step, one.metrics, ratio, number == chosen, one.rows, cost)
            for number, (one, ratio, cost) in enumerate(zip(evaluations, ratios, spent, strict=True))
        ),
        frozenset(
            author.set
            for one in evaluations
            if not kind.peers
            for author in authors(one.step, list(one.metrics["sets"]), lineage)
        ),
        way,
    )


def _legible(labels: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return labels that can be read: one that is blank becomes the step's name, or a number."""
    shown: list[str] = []
    for place, (label, name) in enumerate(zip(labels, names, strict=True), start=1):
        own = label if label.strip() else name or "without a name"
        shown.append(own if label.strip() or own not in (*labels, *shown) else f"{own} ({place})")
    return shown


def _labels(
    values: Sequence[object], kinds: Sequence[Kind | None], names: Sequence[str], lineage: Sequence[Ancestor]
) -> list[str]:
    """Return what each model is called: as the step that made it, or by the teacher's label; once in a section."""
    manifests = {ancestor.name: ancestor.manifest for ancestor in lineage}
    wishes = []
    for name, metrics in zip(names, values, strict=True):
        makers = (manifests.get(name, {}).get("inputs") or {}).get("model") or []
        engine = metrics.get("engine") if isinstance(metrics, Mapping) else None
        label = engine.get("label") if isinstance(engine, Mapping) else None
        wishes.append(str(makers[0] if makers else label or name))
    counts = Counter(zip(kinds, wishes, strict=True))
    return [name if counts[kind, wish] > 1 else wish for kind, wish, name in zip(kinds, wishes, names, strict=True)]
