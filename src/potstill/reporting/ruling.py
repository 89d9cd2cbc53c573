"""Which students are proven to lose at most so much against the teacher, and which of them are smallest and fastest.

A student is proven to keep the bound if it keeps it on every test set, with one error in forty allowed over all
students together (Holm's method). That no loss was found is no proof. Models that were made alike but for their seeds
are one student: what the seeds lose on average is tested, over rows and seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from potstill.engine.context import Ancestor
from potstill.metrics.significance import holm
from potstill.reporting.alike import alike, makers
from potstill.reporting.choice import Choice, rank, smallest_of
from potstill.reporting.gains import Gain, gain_of
from potstill.reporting.kinds import Figure
from potstill.reporting.model_table import Measured, Section
from potstill.reporting.seed_gains import seeds_gain
from potstill.reporting.step_warnings import steps_behind

ERROR = 0.025
"""How often a student may be called within the bound that is not: half of a two-sided 0.05 (ICH E9, section 5.5)."""


@dataclass(frozen=True)
class Student:
    """One model against the teacher."""

    model: Measured
    gains: tuple[Gain, ...]
    """What it, or all seeds of it on average, gains on each test set; empty where that is not known of all."""
    p: float
    """Probability that it loses more than the bound on some set; corrected over all students."""
    is_proven: bool
    """Whether it is proven to lose at most the bound on every set, and does anything at all."""
    is_worse: bool
    """Whether it is proven to lose more on some set."""


@dataclass(frozen=True)
class Missing:
    """What the rows could have shown."""

    gain: Gain
    """The set that says least, of the student that comes nearest."""
    smallest: float
    """The smallest bound that a student which loses nothing is found to keep there four times of five."""
    rows: int | None
    """How many rows find it so for the bound that was asked for; `None` where they suffice, or none do."""


@dataclass(frozen=True)
class Ruling:
    """What a section comes to under a bound."""

    figure: Figure
    """What models are compared by."""
    baseline: Measured
    """The teacher, or the best model where none is among them."""
    has_teacher: bool
    """Whether that is the teacher."""
    is_usable: bool
    """Whether that is shown to do anything at all."""
    within: float
    """What may be lost, as a share."""
    students: tuple[Student, ...]
    """All other models."""
    smallest: Measured | None
    """The smallest of those that are proven; `None` where no size is known."""
    fastest: tuple[tuple[str, Measured], ...]
    """The fastest of them by runtime: speeds of two runtimes are not compared."""
    missing: Missing | None
    """What the rows could have shown, where no student is proven."""

    @property
    def proven(self) -> list[Student]:
        """Return the students that are proven to keep the bound."""
        return [one for one in self.students if one.is_proven]


def ruling_of(choice: Choice, within: float, named: str = "", lineage: Sequence[Ancestor] = ()) -> Ruling | None:
    """Return what the models of a section come to; `None` where there is only one.

    Args:
        choice: the section, and which of its models do anything at all.
        within: what a student may lose, as a share.
        named: the label that the user named as the reference.
        lineage: all steps behind the models, by which it is known which one taught others.
    """
    section = choice.section
    if len(section.models) < 2 or section.kind.peers:
        return None
    has_teacher = _is_teacher(section, named, lineage)
    baseline = section.reference if has_teacher else max(section.models, key=lambda one: rank(one, section.main))
    others = [model for model in section.models if model is not baseline]
    usable = baseline.label not in choice.unusable
    tested = _tested(others, baseline, section, within, lineage)
    raised = holm([max((one.p for one in gains), default=1.0) for _, gains in tested])
    worse = holm([min((one.p_more * len(gains) for one in gains), default=1.0) for _, gains in tested])
    of_each: dict[str, Student] = {}
    for (models, gains), p, more in zip(tested, raised, worse, strict=True):
        does_all = usable and not any(model.label in choice.unusable for model in models)
        for model in models:
            of_each[model.label] = Student(model, gains, p, does_all and p < ERROR and _keeps(gains), more < ERROR)
    students = tuple(of_each[model.label] for model in others)
    proven = [one.model for one in students if one.is_proven]
    return Ruling(
        section.main,
        baseline,
        has_teacher,
        usable,
        within,
        students,
        smallest_of([one for one in proven if one.bytes], section.main),
        _fastest(proven, section),
        None if proven or not usable else _missing(students),
    )


def runtime_of(model: Measured) -> str:
    """Return what ran a model when its speed was measured; empty where that was not kept."""
    return str(model.cost.get("runtime") or "") or evaluated_by(model)


def evaluated_by(model: Measured) -> str:
    """Return what ran a model when its answers were measured; empty where that was not kept."""
    engine = model.metrics.get("engine")
    if not isinstance(engine, dict):
        return ""
    named = engine.get("runtime") or engine.get("teacher")
    # steps that load a model themselves, with a number of threads, name other runtimes alone
    return str(named or ("transformers" if "threads" in engine else ""))


def _gains(model: Measured, baseline: Measured, section: Section, within: float) -> tuple[Gain, ...]:
    """Return what a model gains on each set that the baseline was measured on; nothing if one is not known."""
    gains = [gain_of(model, baseline, section.main, name, within) for name in baseline.sets]
    computed = tuple(gain for gain in gains if gain is not None)
    return computed if len(computed) == len(gains) else ()


def _tested(
    others: Sequence[Measured], baseline: Measured, section: Section, within: float, lineage: Sequence[Ancestor]
) -> list[tuple[tuple[Measured, ...], tuple[Gain, ...]]]:
    """Return what is tested: models with what they gain, those that differ by their seeds alone together."""
    groups = {model.label: tuple(group) for group in alike(others, lineage) for model in group}
    tested: list[tuple[tuple[Measured, ...], tuple[Gain, ...]]] = []
    together: set[str] = set()
    for model in others:
        if model.label in together:
            continue
        group = groups.get(model.label, ())
        gains = [seeds_gain(group, baseline, section.main, name, within) for name in baseline.sets if group]
        known = tuple(gain for gain in gains if gain is not None)
        if known and len(known) == len(gains):
            tested.append((group, known))
            together |= {one.label for one in group}
        else:
            tested.append(((model,), _gains(model, baseline, section, within)))
    return tested


def _keeps(gains: Sequence[Gain]) -> bool:
    """Return whether every interval lies above the bound."""
    return bool(gains) and all(one.low > -one.margin for one in gains)


def _fastest(proven: Sequence[Measured], section: Section) -> tuple[tuple[str, Measured], ...]:
    """Return the fastest model of each runtime."""
    name = next((speed.name for speed in section.kind.speeds), "")
    measured = [(model, speed) for model in proven if (speed := model.figure(name)) is not None]
    best: dict[str, tuple[Measured, float]] = {}
    for model, speed in measured:
        runtime = runtime_of(model)
        if runtime not in best or speed > best[runtime][1]:
            best[runtime] = (model, speed)
    return tuple((runtime, model) for runtime, (model, _) in best.items())


def _missing(students: Sequence[Student]) -> Missing | None:
    """Return what the rows could have shown of the student that comes nearest, on the set that says least."""
    candidates = [one for one in students if one.gains and not one.is_worse]
    if not candidates:
        return None
    nearest = min(candidates, key=lambda one: one.p)
    tests = len({id(one.gains) for one in students if one.gains})
    gain = max(nearest.gains, key=lambda one: one.smallest_margin(tests))
    smallest = gain.smallest_margin(tests)
    if gain.seeds > 1 and gain.rows >= gain.least:
        return Missing(gain, smallest, None)  # more rows make what seeds differ by no smaller
    if not gain.margin or not gain.difference.error:
        return Missing(gain, smallest, None)
    # a standard error shrinks with the root of the rows; of fewer than the least, none prove anything
    needed = max(math.ceil(gain.rows * (smallest / gain.margin) ** 2), gain.least)
    return Missing(gain, smallest, needed if needed > gain.rows else None)


def _is_teacher(section: Section, named: str, lineage: Sequence[Ancestor]) -> bool:
    """Return whether the reference taught the others: it was named, no step made it, or others were made from it."""
    reference = section.reference
    if named == reference.label:
        return True
    ancestors = {ancestor.name: ancestor for ancestor in lineage}
    if reference.step not in ancestors:
        # nothing is known of how it was made: a teacher is not known to be smaller than a student
        return not any(one.size_ratio is not None and one.size_ratio < 1 for one in section.models)
    own = makers(ancestors[reference.step])
    others = [maker for one in section.models if one is not reference for maker in makers(ancestors.get(one.step))]
    return not own or any(maker in steps_behind(other, lineage) for maker in own for other in others)
