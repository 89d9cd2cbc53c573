"""A section of the report in a few sentences and headline figures; it never praises what is not shown to be good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from potstill.reporting.choice import Choice
from potstill.reporting.comparing import Difference
from potstill.reporting.judged import judge_notes
from potstill.reporting.kinds import number
from potstill.reporting.measures import measure_faults
from potstill.reporting.model_table import Measured, Section
from potstill.reporting.number_formats import decimal, listing, percent, size, times
from potstill.reporting.ruling import runtime_of


@dataclass(frozen=True)
class Tile:
    """One headline figure."""

    name: str
    value: str
    note: str


def praise(choice: Choice) -> str:
    """Return what the chosen model is called; a model whose size can't be compared is not called small."""
    chosen = choice.chosen
    if chosen is None or choice.is_far:
        return ""
    of_all = "of the models" if choice.section.kind.peers else "of the other models"
    kind = "small model" if chosen.smaller else of_all
    if len(choice.equals) > 1:
        return f"smallest of {len(choice.equals)} equal models" if chosen.bytes else "one of several equal models"
    return f"best {kind}"


def summary(choice: Choice) -> list[str]:
    """Return the section's first paragraph, sentence by sentence."""
    section, chosen = choice.section, choice.chosen
    reference = section.reference
    if len(section.models) == 1:
        figures = scores(reference, section)
        alone = "" if section.kind.peers else "; there is no smaller model to compare it with"
        sentence = f"{reference.label} reaches {figures}{alone}."
        return [sentence, *_unusable(choice, [reference])]
    if chosen is None:
        return _nothing(choice)
    sentences = [*_named(choice), *_smaller(chosen, reference), *_against(choice)]
    if choice.is_weak:
        rows = max((section.count(name) or 0 for name in section.sets), default=0)
        sentences.append(f"With {rows} {section.kind.unit} no test could tell any two of these models apart.")
    elif not choice.against and not choice.among:
        sentences.append("What was kept of these models does not allow a test of whether their differences are chance.")
    return [*sentences, *_smallest(choice), *_unusable(choice, section.models)]


def tiles(choice: Choice) -> list[Tile]:
    """Return the headline figures of the chosen model."""
    section, chosen = choice.section, choice.chosen
    if chosen is None or not praise(choice) or len(section.models) == 1:
        return []
    reference, figure = section.reference, section.main
    result = [
        Tile(
            f"{figure.title}, {name}",
            figure.shown(chosen.value(figure, name)),
            f"{reference.label}: {figure.shown(reference.value(figure, name))}",
        )
        for name in section.sets
    ]
    if chosen.size_ratio:
        result.append(
            Tile("Smaller", times(chosen.size_ratio), f"{size(chosen.bytes)} instead of {size(reference.bytes)}")
        )
    # speeds of two runtimes say nothing of the models
    for speed in section.kind.speeds[:1] if runtime_of(chosen) == runtime_of(reference) else ():
        speed_here, speed_there = chosen.figure(speed.name), reference.figure(speed.name)
        if speed_here and speed_there:
            name = speed.title.replace("/s", " a second")
            result.append(
                Tile(name, times(speed_here / speed_there), f"{decimal(speed_here)} instead of {decimal(speed_there)}")
            )
    return result


def caveats(section: Section) -> list[str]:
    """Return what a reader might otherwise take for granted."""
    models = section.models
    sentences = []
    sparse = [model for model in models if model.sparse]
    if sparse:
        listed = listing(f"{model.label} ({percent(model.zeros, 0)} zeros)" for model in sparse)
        sentences.append(
            f"Unstructured sparsity brings neither size nor speed here. The pruned weights of {listed} are stored as "
            "ordinary zeros, and the kernels multiply them like any other number: what the pruning shows is how much "
            "can be left out, not a smaller or faster model."
        )
    larger = [model.label for model in models if not model.reference and model.size_ratio and model.size_ratio <= 1]
    if larger:
        sentences.append(f"Not smaller than the reference: {', '.join(larger)}.")
    if any(model.figure("peak_memory_bytes") for model in models):
        sentences.append(
            "Peak memory is that of the whole serving process. Its libraries and its cache for keys and values make up "
            "most of it, so models of a few megabytes hardly differ."
        )
    failed = [(model, sum(number(own, "errors") or 0 for own in model.sets.values())) for model in models]
    sentences += [
        f"{count:.0f} requests to {model.label} failed and count as wrong." for model, count in failed if count
    ]
    sentences += judge_notes(section)
    return sentences + list(measure_faults((model.label, model.sets) for model in models))


def scores(model: Measured, section: Section, reference: Measured | None = None) -> str:
    """Return e.g. `95.0 % exact match on test (teacher: 97.1 %) and 71.0 % on handwritten (teacher: 73.0 %)`."""
    figure, parts = section.main, []
    some = section.by_teacher if not section.by_teacher.issuperset(section.sets) else frozenset()
    for place, name in enumerate(model.sets):
        baseline = None if reference is None else reference.value(figure, name)
        other = "" if reference is None or baseline is None else f" ({reference.label}: {figure.shown(baseline)})"
        called = f" {figure.in_text}" if place == 0 else ""
        whose = ", a teacher's answers" if name in some else ""
        parts.append(f"{figure.shown(model.value(figure, name))}{called} on {name}{whose}{other}")
    return listing(parts) or "nothing"


def _named(choice: Choice) -> list[str]:
    """Return which model was chosen, and among which equals."""
    section, chosen = choice.section, choice.chosen
    assert chosen is not None  # only asked for then
    figures = scores(chosen, section, None if chosen.reference else section.reference)
    if section.reference.label in choice.unusable and not section.kind.peers:
        # the sentences behind it say why
        named = f"{section.reference.label} itself is not usable, so that being near to it says nothing"
        return [f"{named}: of the other models, {chosen.label} has {figures}."]
    if choice.is_far:
        nearest = f"the nearest, {chosen.label}, has {figures}"
        return [f"No model comes near what {section.reference.label} does: {nearest}."]
    if len(choice.equals) == 1:
        return [f"The {praise(choice)} is {chosen.label}: {figures}."]
    listed = listing(model.label for model in choice.equals)
    tests = listing(sorted({difference.by for difference in choice.among}))
    equal = f"{listed} count as equal: their differences may be chance ({tests})."
    if chosen.bytes is None:
        return [equal, f"Their sizes are unknown; {chosen.label} has the best figure: {figures}."]
    return [equal, f"The smallest of them is {chosen.label}: {figures}."]


def _smaller(chosen: Measured, reference: Measured) -> list[str]:
    """Return how much smaller the chosen model is."""
    if not chosen.size_ratio or chosen.reference:
        return []
    if not chosen.smaller:
        return [f"It is not smaller than {reference.label}: {size(chosen.bytes)} and {size(reference.bytes)}."]
    weights = f"{size(chosen.bytes)} of weights instead of {size(reference.bytes)}"
    return [f"It is {times(chosen.size_ratio)} smaller than {reference.label}: {weights}."]


def _against(choice: Choice) -> list[str]:
    """Return what tests say of the chosen model against the reference."""
    assert choice.chosen is not None  # only asked for then
    own, reference = choice.of(choice.chosen.label), choice.section.reference.label
    sure = [one for one in own if one.is_sure]
    sentences = [
        f"On {one.set} it is {'better' if one.gain > 0 else 'worse'} than {reference} by more than chance "
        f"({one.by}, {p_value(one)})."
        for one in sure
    ]
    unsure = [one for one in own if not one.is_sure]
    if unsure:
        tests = listing(sorted({one.by for one in unsure}))
        sentences.append(
            f"On {listing(one.set for one in unsure)} its difference from {reference} may be chance ({tests})."
        )
    return sentences


def p_value(difference: Difference) -> str:
    """Return a p-value as text."""
    return "p < 0.001" if difference.p < 0.001 else f"p = {difference.p:.2g}"


def _smallest(choice: Choice) -> list[str]:
    """Return what the smallest usable model does, if it is another than the chosen one."""
    usable = [model for model in choice.candidates if model.label not in choice.unusable and model.smaller]
    least = max(usable, key=lambda model: model.size_ratio or 0.0, default=None)
    if least is None or choice.chosen is None or (least.size_ratio or 0) <= (choice.chosen.size_ratio or 0):
        return []
    figures = scores(least, choice.section)
    return [f"The smallest is {least.label}, {times(least.size_ratio)} smaller, with {figures}."]


def _nothing(choice: Choice) -> list[str]:
    """Return that no model can be chosen, and why."""
    reference = choice.section.reference
    verdicts = [(model.label, choice.unusable[model.label]) for model in choice.candidates]
    shown = all(verdict.is_shown for _, verdict in verdicts)
    reasons = "; ".join(f"{label} has {verdict.text}" for label, verdict in verdicts)
    own = choice.unusable.get(reference.label)
    whose = "No model" if own else "No student"
    sentences = [f"{whose} is {'usable' if shown else 'shown to be usable'}: {reasons}."]
    if own is None:
        return [*sentences, f"{reference.label} has {scores(reference, choice.section)}."]
    if not own.is_shown:
        return [*sentences, f"Nor is {reference.label}, which has {own.text}: give more test rows."]
    text = f"{reference.label} itself has {own.text}: look at prompt, test rows and longest answer before the students."
    return [*sentences, text]


def _unusable(choice: Choice, models: Sequence[Measured]) -> list[str]:
    """Return which of the models are not usable, and why."""
    verdicts = [(model.label, choice.unusable[model.label]) for model in models if model.label in choice.unusable]
    return [
        f"{label} is {'not usable' if verdict.is_shown else 'not shown to be usable'}: {verdict.text}."
        for label, verdict in verdicts
    ]
