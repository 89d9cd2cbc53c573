"""What became of the data: rows kept and lost by reason, tokens and money, and how much of a teacher was kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.engine.context import Ancestor
from potstill.engine.lost_rows import counted, reasons_in
from potstill.reporting.kinds import number
from potstill.reporting.number_formats import NONE, count, cut, decimal, percent, seconds
from potstill.reporting.others import Table

EXAMPLES = 3
"""Lost rows of a reason that the page shows."""
LONGEST = 240
"""Letters of such a row's detail."""
USAGE = ("calls", "cached", "errors", "prompt_tokens", "completion_tokens")
"""What steps note of what they asked."""


@dataclass(frozen=True)
class Loss:
    """Rows that one step dropped for one reason."""

    reason: str
    """Why they were dropped."""
    count: int
    """How many."""
    failed: bool
    """Whether they failed, rather than being filtered on purpose."""
    examples: tuple[tuple[str, str], ...] = ()
    """Some of them: the row and what is said of it."""


@dataclass(frozen=True)
class Flow:
    """What became of the rows that went into one step."""

    name: str
    """Name of the step."""
    type: str
    """Class of the step."""
    kept: int
    """Rows that the step put out."""
    losses: tuple[Loss, ...]
    """Rows that it dropped, the most frequent reason first."""

    @property
    def total(self) -> int:
        """Return all rows that the step saw the end of."""
        return self.kept + sum(loss.count for loss in self.losses)

    @property
    def has_examples(self) -> bool:
        """Return whether any lost row can be shown."""
        return any(loss.examples for loss in self.losses)


def flows_of(lineage: Iterable[Ancestor]) -> list[Flow]:
    """Return what became of the rows of all steps that make some."""
    return [flow for flow in map(_flow, lineage) if flow is not None]


def _flow(ancestor: Ancestor) -> Flow | None:
    """Return what became of a step's rows; none for a step that makes no rows."""
    counts = ancestor.manifest.get("counts") or {}
    filtered = counts.get("filtered") or {}
    failed = counts.get("failed") or {state: counts[state] for state in ("retryable", "permanent") if counts.get(state)}
    rows = ancestor.manifest.get("rows")
    if rows is None and not filtered and not failed:
        return None
    examples = _examples(ancestor, counts)
    losses = [
        Loss(str(reason), int(lost), is_failed, examples.get(str(reason), ()))
        for reasons, is_failed in ((filtered, False), (failed, True))
        for reason, lost in reasons.items()
    ]
    remaining = int(counts.get("kept") or rows or 0)
    return Flow(ancestor.name, ancestor.type, remaining, tuple(sorted(losses, key=lambda loss: -loss.count)))


def _examples(ancestor: Ancestor, counts: Mapping[str, Any]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return some lost rows of a step by reason."""
    if ancestor.folder is None:
        return {}
    return {
        one.reason: tuple((example["row"], cut(example["detail"], LONGEST)) for example in one.examples)
        for one in reasons_in(ancestor.folder, EXAMPLES, counted(counts))
    }


def effort(lineage: Sequence[Ancestor]) -> Table | None:
    """Return what the steps asked of teachers and trained on: calls, tokens, money, time; `None` where nothing did."""
    lines, money = [], [_usage(ancestor).get("cost") for ancestor in lineage]
    has_money = any(money)
    total = dict.fromkeys(USAGE, 0.0)
    for ancestor in lineage:
        usage = _usage(ancestor)
        trained = number(ancestor.manifest.get("notes"), "target tokens")
        if not usage and trained is None:
            continue
        for name in USAGE:
            total[name] += usage.get(name, 0.0)
        lines.append(
            (
                ancestor.name,
                *(_count(usage.get(name)) for name in USAGE),
                *([_dollars(usage.get("cost"))] if has_money else []),
                _count(trained),
                seconds(ancestor.manifest.get("seconds")),
            )
        )
    if not lines:
        return None
    spent = [_dollars(sum(one or 0.0 for one in money))] if has_money else []
    took = seconds(sum(ancestor.manifest.get("seconds") or 0.0 for ancestor in lineage))
    lines.append(("all steps", *(_count(total[name] or None) for name in USAGE), *spent, NONE, took))
    heads = ("Step", "Requests", "From the journal", "Failed", "Tokens read", "Tokens written")
    return Table(
        "Tokens, money and time", (*heads, *(["Price"] if has_money else []), "Tokens learned", "Time"), tuple(lines)
    )


def captured(lineage: Iterable[Ancestor]) -> list[str]:
    """Return how much of a teacher's probability the kept soft labels hold, in a sentence a step."""
    sentences = []
    for ancestor in lineage:
        mass = number(ancestor.manifest.get("notes"), "captured_mass")
        if mass is not None:
            parameters = ancestor.manifest.get("params") or {}
            top = f", the {parameters['top_k']} most probable tokens," if parameters.get("top_k") else ""
            sentences.append(
                f"The soft labels of {ancestor.name}{top} hold {percent(mass, 2)} of the teacher's probability."
            )
    return sentences


def _usage(ancestor: Ancestor) -> dict[str, float]:
    """Return what a step noted of what it asked, as numbers."""
    usage = (ancestor.manifest.get("notes") or {}).get("usage")
    named = {str(name): number(usage, str(name)) for name in usage} if isinstance(usage, Mapping) else {}
    return {name: value for name, value in named.items() if value is not None}


def _count(value: float | None) -> str:
    """Return a count as text."""
    return NONE if value is None else count(int(value))


def _dollars(value: float | None) -> str:
    """Return an amount as text."""
    return NONE if not value else f"${decimal(value)}"
