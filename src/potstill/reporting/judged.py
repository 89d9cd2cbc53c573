"""What goes with figures that a judge, a teacher or a choice gave: whose they are, and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from potstill.engine.context import Ancestor
from potstill.reporting.kinds import AGREEMENT, CHOICES, GRADES, number
from potstill.reporting.model_table import Evaluation, Section
from potstill.reporting.number_formats import NONE, count, decimal, interval, percent, signed
from potstill.reporting.others import Table

BLIND = 0.6
"""Share of pairs with a right and a wrong answer below which a judge hardly tells them apart; 0.5 is a guess."""
CONTRADICTS = 0.3
"""Share of pairs on which a judge contradicts itself above which its verdicts are mostly about the order."""
PAIRS = (
    "Answers",
    "Pairs",
    "Win rate of the first",
    "Won",
    "Ties",
    "Lost",
    "Contradicted",
    "Longer one wins",
    "First is longer by",
    "Right one wins",
    "People say so",
    "Win rate by people",
)
"""Columns of preferences."""


def judge_notes(section: Section) -> list[str]:
    """Return what a reader must know of a section's figures, where they are not simply right or wrong."""
    if section.kind is AGREEMENT:
        return list(_agreement(section))
    if section.kind is GRADES:
        return list(_grades(section))
    return list(_choices(section)) if section.kind is CHOICES else []


def parted(evaluations: Sequence[Evaluation]) -> tuple[list[Evaluation], list[Evaluation]]:
    """Return the preferences of judges, and all other evaluations."""
    return [one for one in evaluations if _pairs(one)], [one for one in evaluations if not _pairs(one)]


def pairs_table(judged: Sequence[Evaluation], lineage: Sequence[Ancestor]) -> Table | None:
    """Return what judges preferred, a line for each test set, with what follows in words; `None` of nothing."""
    if not judged:
        return None
    inputs = {one.name: one.manifest.get("inputs") or {} for one in lineage}
    lines: list[tuple[str, ...]] = []
    notes: list[str] = []
    for one in judged:
        sides = [
            str(name) for side in ("first", "second") for name in (inputs.get(one.step, {}).get(side) or ["?"])[:1]
        ]
        first, second = sides if "?" not in sides else ("the first", "the second")
        for name, scores in _pairs(one).items():
            called = f"{one.label}: {first} against {second}" + (f", {name}" if len(_pairs(one)) > 1 else "")
            lines.append(_pair_line(called, scores))
            notes += _preferred(one, first, second, scores)
    caption = (
        "Small ranges are 95\u202f% intervals over questions. Each pair was judged in both orders; a judge that "
        "contradicts itself counts as a tie. “Longer one wins” and “Right one wins” say what else its verdicts go by."
    )
    return Table("Preferences of a judge", PAIRS, tuple(lines), notes=tuple(notes), caption=caption)


def _pairs(evaluation: Evaluation) -> dict[str, Mapping[str, Any]]:
    """Return preferences by test set; none of an evaluation of something else."""
    metrics: Any = evaluation.metrics
    sets = metrics.get("sets") if evaluation.kind is None and isinstance(metrics, Mapping) else None
    if not isinstance(sets, Mapping) or not sets:
        return {}
    held = {str(name): scores for name, scores in sets.items() if isinstance(scores, Mapping)}
    has_all = all({"win_rate", "contradicted", "ties"} <= set(scores) for scores in held.values())
    return held if has_all and len(held) == len(sets) else {}


def _pair_line(called: str, scores: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one line of preferences."""
    rows, longer, pairs = number(scores, "n"), number(scores, "longer_by"), number(scores, "gold_pairs")
    right = _share(scores, "gold_agreement")
    people = number(scores, "human_labels")
    return (
        called,
        count(None if rows is None else int(rows)),
        _with_ends(scores, "win_rate"),
        *(_share(scores, name) for name in ("wins", "ties", "losses", "contradicted", "longer_wins")),
        NONE if longer is None else f"{signed(longer)} letters",
        f"{right} of {pairs:.0f}" if pairs else right,
        NONE if people is None else f"{_share(scores, 'human_agreement')} of {people:.0f}",
        _with_ends(scores, "human_estimate"),
    )


def _preferred(judged: Evaluation, first: str, second: str, scores: Mapping[str, Any]) -> Iterator[str]:
    """Yield in words which answers are preferred, and what speaks against the judge."""
    judge = str(judged.metrics.get("judge") or "The judge")
    low, high = number(scores, "win_rate_low"), number(scores, "win_rate_high")
    rate = f"{_with_ends(scores, 'win_rate')} of {number(scores, 'n') or 0:.0f} pairs, a tie counting half"
    if low is None or high is None:
        yield f"{judge} gives {first} {rate}: so few pairs, or such even ones, show no preference."
    elif low > 0.5 or high < 0.5:
        better, other = (first, second) if low > 0.5 else (second, first)
        yield f"{judge} prefers {better} to {other} by more than chance: it gives {first} {rate}."
    else:
        yield f"{judge} is not shown to prefer {first} or {second}: it gives {first} {rate}."
    contradicted, right = number(scores, "contradicted"), number(scores, "gold_agreement")
    if contradicted is not None and contradicted > CONTRADICTS:
        yield f"It contradicts itself on {percent(contradicted)} of them when the order is turned: do not rest on it."
    if right is not None and right < BLIND:
        yield f"Where just one answer is right, it prefers that in {percent(right)}: a guess would in 50\u202f%."
    lost = number(scores, "lost") or 0
    if lost:
        yield f"Without a verdict, and left out: {lost:.0f} pairs."
    if number(scores, "human_labels") is None:
        yield "No person was asked: a judge alone is not evidence."


def _agreement(section: Section) -> Iterator[str]:
    """Yield what agreement is, and with whom."""
    teachers = list(dict.fromkeys(str(model.metrics.get("teacher") or "") for model in section.models))
    named = ", ".join(filter(None, teachers))
    yield (
        f"Agreement{f' with {named}' if named else ''} says how often a student does what its teacher does, right or "
        "wrong. The divergence is a lower bound, over the most probable tokens and the rest together; a student that "
        "reads other tokens has none."
    )
    if len(teachers) > 1:
        yield "The students were compared with different teachers: their figures say nothing of each other."


def _grades(section: Section) -> Iterator[str]:
    """Yield whose grades they are, and how far that judge can be trusted."""
    judges = list(dict.fromkeys(str(model.metrics.get("judge") or "") for model in section.models))
    scales = {(number(one, "low"), number(one, "high")) for model in section.models for one in model.sets.values()}
    ends = " or ".join(sorted(f"{decimal(low)} (worst) to {decimal(high)} (best)" for low, high in scales))
    yield f"Grades were given by {', '.join(filter(None, judges)) or 'a judge'}, from {ends}."
    if len(judges) > 1 or len(scales) > 1:
        yield "Grades of different judges or scales say nothing of each other."
    for model in section.models:
        for name, scores in model.sets.items():
            right, lost = number(scores, "gold_auc"), number(scores, "lost") or 0
            if right is not None and right < BLIND:
                yield (
                    f"Of a right and a wrong answer of {model.label} on {name}, the judge gives the right one the "
                    f"better grade in {percent(right)}: a guess would in 50\u202f%."
                )
            if lost:
                yield f"Without a grade, and left out: {lost:.0f} of the answers of {model.label} on {name}."
    if not any(number(one, "human_labels") for model in section.models for one in model.sets.values()):
        yield "No person graded any of the answers: a judge alone is not evidence."


def _choices(section: Section) -> Iterator[str]:
    """Yield by what choices were compared."""
    by: dict[str, list[str]] = {}
    for model in section.models:
        engine = model.metrics.get("engine")
        by.setdefault(str(engine.get("by") or "sum") if isinstance(engine, Mapping) else "sum", []).append(model.label)
    words = {"sum": "as they are", "token": "divided by their tokens", "byte": "divided by their bytes"}
    named = "; ".join(f"{words.get(how, how)} ({', '.join(labels)})" for how, labels in by.items())
    how = words.get(next(iter(by)), "") if len(by) == 1 else named
    yield f"Accuracy compares the log-probabilities of the choices {how}; of equally likely ones none is chosen."


def _share(scores: Mapping[str, Any], name: str) -> str:
    return percent(number(scores, name))


def _with_ends(scores: Mapping[str, Any], name: str) -> str:
    """Return a share with its interval."""
    low, high = number(scores, f"{name}_low"), number(scores, f"{name}_high")
    ends = "" if low is None or high is None else f" ({interval(low, high)})"
    return f"{_share(scores, name)}{ends}"
