"""Which model of a section is worth deploying: none that is good for nothing, and of equals the smallest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from potstill.reporting.comparing import SURE, Difference, compared
from potstill.reporting.kinds import GRADES, Figure, number
from potstill.reporting.model_table import Measured, Section

ALIKE = 1.02
"""How many times larger a model may be and still count as of the same size: headers and side tensors differ."""
HALF = 0.5
"""Share of the reference's figure below which a model is far from it, however it compares with the others."""


@dataclass(frozen=True)
class Verdict:
    """Why a model is not usable."""

    text: str
    """In words that follow its name."""
    is_shown: bool
    """Whether the rows show it; otherwise they are too few to show the opposite."""


@dataclass(frozen=True)
class Choice:
    """What a section comes to."""

    section: Section
    """The models."""
    candidates: tuple[Measured, ...]
    """Those that could be deployed in place of the reference: the smaller ones, or all others if none is."""
    unusable: Mapping[str, Verdict]
    """By label: why a model is not usable."""
    best: Measured | None
    """The usable candidate with the best figure; `None` if there is none."""
    equals: tuple[Measured, ...]
    """The best, and the candidates that no test distinguishes from it, in the order given."""
    chosen: Measured | None
    """The smallest of the equals."""
    among: tuple[Difference, ...]
    """What tests say of the best against the other candidates."""
    against: tuple[Difference, ...]
    """What tests say of all models against the reference."""

    @property
    def is_far(self) -> bool:
        """Return whether the chosen model is far from the reference, or the reference itself not usable."""
        reference, figure = self.section.reference, self.section.main
        if self.section.kind.peers:
            return False
        if self.chosen is None or reference.label in self.unusable:
            return self.chosen is not None
        value, baseline = self.chosen.mean(figure), reference.mean(figure)
        if value is None or baseline is None:
            return False
        return value < HALF * baseline if figure.rises else value * HALF > baseline

    @property
    def is_weak(self) -> bool:
        """Return whether the rows are too few to distinguish any two models."""
        differences = (*self.among, *self.against)
        return bool(differences) and not any(one.smallest < SURE for one in differences)

    def of(self, label: str) -> tuple[Difference, ...]:
        """Return what tests say of a model against the reference."""
        return tuple(difference for difference in self.against if difference.first == label)


def choice_of(section: Section) -> Choice:
    """Return what a section comes to."""
    figure = section.main
    others = [model for model in section.models if section.kind.peers or not model.reference]
    # a model whose size is unknown may be small: it is left out only where it is known to be none
    small = [model for model in others if model.size_ratio is None or model.size_ratio > 1]
    candidates = others if section.kind.peers else small or others
    judged = {model.label: _judged(model, figure) for model in section.models}
    unusable = {label: verdict for label, verdict in judged.items() if verdict is not None}
    usable = [model for model in candidates if model.label not in unusable]
    best = max(usable, key=lambda model: rank(model, figure), default=None)
    among = compared([(best, one) for one in usable if one is not best], figure, section.sets) if best else ()
    equals = tuple(model for model in usable if model is best or _equal(model, among))
    against = compared([(one, section.reference) for one in others if not one.reference], figure, section.sets)
    chosen = smallest_of(equals, figure)
    return Choice(section, tuple(candidates), unusable, best, equals, chosen, among, against)


def _equal(model: Measured, among: Sequence[Difference]) -> bool:
    """Return whether no test distinguishes a model from the best, though one could have."""
    own = [difference for difference in among if difference.second == model.label]
    return bool(own) and not any(one.is_sure for one in own) and any(one.smallest < SURE for one in own)


def smallest_of(models: Sequence[Measured], figure: Figure) -> Measured | None:
    """Return the model that deploys smallest; of those of about the same size, the one with the best figure."""
    sizes = [model.bytes or math.inf for model in models]
    if not models:
        return None
    alike = [model for model, size in zip(models, sizes, strict=True) if size <= ALIKE * min(sizes)]
    return max(alike, key=lambda model: rank(model, figure))


def rank(model: Measured, figure: Figure) -> tuple[float, float]:
    """Return what models are ordered by: the figure, then the size."""
    mean = model.mean(figure)
    worth = -math.inf if mean is None else mean if figure.rises else -mean
    return worth, model.size_ratio or 0.0


def _judged(model: Measured, figure: Figure) -> Verdict | None:
    """Return why a model is not usable: it is on no test set; `None` if it is on one."""
    verdicts = [_judged_on(model, name, figure) for name in model.sets]
    if not all(verdicts):
        return None
    # what was only not shown weighs more than what was shown to be nothing: the words must hold for both
    return next((one for one in verdicts if one and not one.is_shown), verdicts[0])


def _judged_on(model: Measured, name: str, figure: Figure) -> Verdict | None:
    """Return why a model is not usable on one test set."""
    scores = model.sets[name]
    value, shown = figure.of(scores), f"{figure.shown(figure.of(scores))} {figure.in_text} on {name}"
    if value is None:
        return Verdict(f"no finite {figure.in_text} on {name}", True)
    if figure.is_nothing(value) or (figure is GRADES.main and value == number(scores, "low")):
        return Verdict(shown, True)
    chance, low = number(scores, "chance"), number(scores, f"{figure.name}_low")
    if chance is not None and value <= chance:
        return Verdict(f"{shown}, where picking at random has {figure.shown(chance)}", True)
    if chance is not None and low is not None and low <= chance:
        return Verdict(f"{shown}, not shown to be more than the {figure.shown(chance)} of picking at random", False)
    common, p = number(scores, "majority"), number(scores, "majority_p")
    if common is not None and value <= common:
        return Verdict(f"{shown}, where always giving the most common answer has {figure.shown(common)}", True)
    if common is not None and p is not None and p >= SURE:
        text = f"{shown}, not shown to be more than the {figure.shown(common)} of always giving the most common answer"
        return Verdict(text, False)
    classes = number(model.metrics, "classes")
    if common is None and figure.name == "accuracy" and classes and value <= 1 / classes:
        return Verdict(f"{shown}, no more than a guess among {classes:.0f} classes", True)
    return None
