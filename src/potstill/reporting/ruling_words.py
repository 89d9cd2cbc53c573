"""The verdict in words: what to deploy under a bound, with figures and the way to serve it, or what is missing."""

from __future__ import annotations

from collections.abc import Sequence

from potstill.engine.context import Ancestor
from potstill.reporting.alike import makers
from potstill.reporting.gains import gain_text, margin_of, margin_text
from potstill.reporting.kinds import ANSWERS
from potstill.reporting.model_table import Measured, Section
from potstill.reporting.number_formats import count, decimal, listing, size, times
from potstill.reporting.ruling import Missing, Ruling, Student, runtime_of

EXPORTS = frozenset({"Export", "ExportEncoder"})
"""Types of steps that write a folder for a runtime, with its commands."""


def ruling_words(ruling: Ruling, section: Section, lineage: Sequence[Ancestor]) -> list[str]:
    """Return the verdict, sentence by sentence."""
    baseline, bound = ruling.baseline.label, margin_text(ruling.figure, margin_of(ruling.figure, ruling.within))
    start = (
        [] if ruling.has_teacher else [f"No teacher is among these models: losses are against {baseline}, the best."]
    )
    if ruling.proven:
        return [*start, *_proven(ruling, section, bound, lineage), *_others(ruling), *_unpaired(ruling)]
    sentences = [f"No model is proven to lose at most {bound} against {baseline}."]
    if not ruling.is_usable:
        return [*start, *sentences, f"{baseline} itself is not usable, so that losing little against it says nothing."]
    if ruling.missing is None and not any(one.gains for one in ruling.students):
        sentences.append(
            "What was kept of them allows no such test: measure them on the same rows, of several sources."
        )
        return [*start, *sentences]
    return [*start, *sentences, *_nearest(ruling), *_worse(ruling), *_needed(ruling), *_unpaired(ruling)]


def _proven(ruling: Ruling, section: Section, bound: str, lineage: Sequence[Ancestor]) -> list[str]:
    """Return which models are proven to keep the bound, the smallest, the fastest, and how they are served."""
    labels = [one.model.label for one in ruling.proven]
    named = f"{listing(labels)} {'is' if len(labels) == 1 else 'are'}"
    sentences = [f"{named} proven to lose at most {bound} against {ruling.baseline.label}."]
    several = " of them" if len(labels) > 1 else ""
    shown: dict[str, Measured] = {}
    if ruling.smallest is None:
        sentences.append(f"{'Their sizes are' if several else 'Its size is'} unknown.")
    else:
        shown[ruling.smallest.label] = ruling.smallest
        text = _described(ruling.smallest, ruling, section)
        also = " and the fastest" if several and _is_only_fastest(ruling) else ""
        sentences.append(f"The smallest{also}{several} is {text}." if several else f"{text}.")
    for runtime, model in ruling.fastest:
        by = f" by {runtime}" if len(ruling.fastest) > 1 else ""
        if model.label in shown and not by:
            continue
        speed = _speed(model, section)
        is_shown = model.label in shown
        text = f"{model.label}, {speed}" if is_shown else _described(model, ruling, section)
        sentences.append(f"The fastest{several}{by} is {text}." if several else f"{text}.")
        shown[model.label] = model
    if not shown:
        shown = {one.model.label: one.model for one in ruling.proven[:1]}
        sentences.append(f"{_described(ruling.proven[0].model, ruling, section)}.")
    return [*sentences, *(text for model in shown.values() if (text := _served(model, section, lineage)))]


def _is_only_fastest(ruling: Ruling) -> bool:
    """Return whether the smallest is also the fastest, of all and not by one runtime of several."""
    return len(ruling.fastest) == 1 and ruling.fastest[0][1] is ruling.smallest


def _described(model: Measured, ruling: Ruling, section: Section) -> str:
    """Return a model with its size, speed and figures."""
    parts = []
    baseline = ruling.baseline
    if model.bytes:
        ratio = baseline.bytes / model.bytes if baseline.bytes else None
        less = f" instead of {size(baseline.bytes)}" if baseline.bytes else ""
        how = "" if ratio is None else f", {times(ratio)} smaller" if ratio > 1 else ", not smaller"
        parts.append(f"{size(model.bytes)} of weights{less}{how}")
    parts += [speed] if (speed := _speed(model, section)) else []
    student = next(one for one in ruling.students if one.model is model)
    return f"{model.label}: {'; '.join([*parts, *_figures(student, ruling)])}"


def _figures(student: Student, ruling: Ruling) -> list[str]:
    """Return a model's figure on each test set, with its interval, and the difference with its own."""
    figure, texts = ruling.figure, []
    for gain in student.gains:
        scores = student.model.sets[gain.set]
        own = figure.range(scores)
        value = f"{figure.shown(figure.of(scores))} {figure.in_text} on {gain.set}{f' ({own})' if own else ''}"
        over = f" over {gain.seeds} seeds" if gain.seeds > 1 else ""
        texts.append(f"{value}, against {ruling.baseline.label} {gain_text(gain, figure)}{over}")
    return texts


def _speed(model: Measured, section: Section) -> str:
    """Return how fast a model is, and what ran it."""
    speed = next(iter(section.kind.speeds), None)
    value = model.figure(speed.name) if speed else None
    if speed is None or value is None:
        return ""
    runtime = runtime_of(model)
    title = speed.in_text.replace("/s", " a second")
    return f"{decimal(value)} {title}{f' by {runtime}' if runtime else ''}"


def _served(model: Measured, section: Section, lineage: Sequence[Ancestor]) -> str:
    """Return how to serve a model; nothing of one that no step made."""
    ancestors = {ancestor.name: ancestor for ancestor in lineage}
    maker = next((ancestors[name] for name in makers(ancestors.get(model.step)) if name in ancestors), None)
    if maker is None:
        return ""
    where = f"the folder of step {maker.name} (key {maker.key[:12]})"
    if maker.type in EXPORTS:
        gguf = (maker.manifest.get("params") or {}).get("format") == "gguf"
        command = "llama-server --model model.gguf --jinja --port 8080; more is in SERVE.md" if gguf else "see SERVE.md"
        return f"To serve {model.label}, in {where}: {command}."
    if section.kind is ANSWERS:
        return f"To serve {model.label}: vllm serve FOLDER, with {where}; Export makes one for other runtimes."
    return f"To use {model.label}: README.md in {where} says how it is loaded."


def _others(ruling: Ruling) -> list[str]:
    """Return what is not known of the models that are not proven to keep the bound."""
    open_ones = [one.model.label for one in ruling.students if not one.is_proven and not one.is_worse and one.gains]
    sentences = [f"Of {listing(open_ones)} it is not proven."] if open_ones else []
    untested = [one.model.label for one in ruling.students if not one.gains]
    if untested:
        sentences.append(f"{listing(untested)} could not be tested: there are no rows of both, or of one source.")
    return [*sentences, *_worse(ruling)]


def _worse(ruling: Ruling) -> list[str]:
    """Return which models are proven to lose more."""
    labels = [one.model.label for one in ruling.students if one.is_worse]
    return [f"{listing(labels)} {'is' if len(labels) == 1 else 'are'} proven to lose more."] if labels else []


def _nearest(ruling: Ruling) -> list[str]:
    """Return the figures of the student that comes nearest."""
    candidates = [one for one in ruling.students if one.gains and not one.is_worse]
    if ruling.missing is None or not candidates:
        return []
    nearest = min(candidates, key=lambda one: one.p)
    return [f"The nearest is {nearest.model.label}: {'; '.join(_figures(nearest, ruling))}."]


def _needed(ruling: Ruling) -> list[str]:
    """Return what these rows could have shown, and how many would be enough."""
    missing: Missing | None = ruling.missing
    if missing is None:
        return []
    gain, unit = missing.gain, "windows" if ruling.figure.name in ("perplexity", "bits_per_byte") else "rows"
    bound = margin_text(ruling.figure, missing.smallest)
    seeds = f" and {gain.seeds} seeds" if gain.seeds > 1 else ""
    if gain.rows < gain.least:
        return [
            f"The {count(gain.rows)} {unit} of {gain.set} prove nothing, as they are too few: a loss of more than "
            f"{margin_text(ruling.figure, gain.margin)} may not show on any of them. At least {count(gain.least)} are "
            f"needed, about {count(missing.rows or gain.least)} where models differ as here."
        ]
    text = (
        f"With the {count(gain.rows)} {unit} of {gain.set}{seeds}, a model that loses nothing is proven, four times of "
        f"five, to lose at most {bound}"
    )
    if missing.rows is None:
        more = ": more seeds narrow the interval, more rows only as far as seeds agree" if seeds else ""
        return [f"{text}{more}."]
    return [f"{text}; for {margin_text(ruling.figure, gain.margin)}, about {count(missing.rows)} {unit} are needed."]


def _unpaired(ruling: Ruling) -> list[str]:
    """Return which models were compared by their shares alone."""
    labels = [one.model.label for one in ruling.students if any(not gain.is_paired for gain in one.gains)]
    if not labels:
        return []
    return [
        f"{listing(labels)} and {ruling.baseline.label} could not be paired row by row, because the rows of one were "
        "not kept: the interval of their difference is wider than it need be."
    ]
