"""Everything that the template shows, put together from the measured models and the lineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.engine.context import Ancestor
from potstill.reporting.choice import Choice
from potstill.reporting.graph_layout import Layers, Node, layers
from potstill.reporting.model_table import Evaluation, Section
from potstill.reporting.number_formats import plain
from potstill.reporting.others import Table
from potstill.reporting.ruling import Ruling
from potstill.reporting.views import View, view_of


@dataclass(frozen=True)
class Loss:
    """Rows that one step dropped for one reason."""

    reason: str
    count: int
    failed: bool
    """Whether they failed, rather than being filtered on purpose."""


@dataclass(frozen=True)
class Flow:
    """What became of the rows that went into one step."""

    name: str
    type: str
    kept: int
    losses: tuple[Loss, ...]

    @property
    def total(self) -> int:
        """Return all rows that the step saw the end of."""
        return self.kept + sum(loss.count for loss in self.losses)


@dataclass(frozen=True)
class Page:
    """The report, ready to be written as a page."""

    title: str
    views: Sequence[View]
    """The models, by how they were measured."""
    tables: Sequence[Table]
    """What else was given, as it is."""
    graph: Layers
    flows: Sequence[Flow]
    lineage: Sequence[Ancestor]
    digests: Mapping[str, Sequence[tuple[str, str]]]
    """By step: the content digest of each output; the only one has no name."""
    parameters: Mapping[str, Sequence[tuple[str, str]]]
    """By step: its parameters as text."""
    failures: bool
    """Whether any step lost rows that failed."""
    versions: Sequence[tuple[str, str]]
    machines: Sequence[str]
    missing: str = ""
    """What was not looked at, in a sentence."""


def page(
    title: str,
    evaluations: Sequence[Evaluation],
    sections: Sequence[tuple[Choice, Ruling | None]],
    tables: Sequence[Table],
    lineage: Sequence[Ancestor],
) -> Page:
    """Put the page together.

    Args:
        title: its heading; empty makes one.
        evaluations: all that the report is about.
        sections: what those of known kinds come to, and under the bound of the report.
        tables: the others.
        lineage: all steps behind them.
    """
    views = [view_of(choice, ruling, lineage) for choice, ruling in sections]
    flows = [flow for flow in map(_flow, lineage) if flow]
    return Page(
        title=title or _title([choice.section for choice, _ in sections], views),
        views=views,
        tables=tables,
        graph=_graph({one.label for one in evaluations}, lineage),
        flows=flows,
        failures=any(loss.failed for flow in flows for loss in flow.losses),
        lineage=lineage,
        digests={ancestor.name: _digests(ancestor) for ancestor in lineage},
        parameters={ancestor.name: _parameters(ancestor) for ancestor in lineage},
        versions=_versions(lineage),
        machines=sorted({_machine(ancestor.manifest.get("host") or {}) for ancestor in lineage} - {""}),
    )


def _title(sections: Sequence[Section], views: Sequence[View]) -> str:
    """Return the heading of a report that was given none."""
    if not sections:
        return "What was measured"
    reference = sections[0].reference.label
    if len(sections[0].models) == 1:
        return f"How good {reference} is"
    smaller = any(model.smaller for model in sections[0].models if model.label == views[0].best)
    return f"{'Small models from' if smaller else 'Models beside'} {reference}"


def _graph(marked: set[str], lineage: Sequence[Ancestor]) -> Layers:
    """Return the drawing of the lineage, with the measured models marked."""
    return layers(
        [Node(ancestor.name, ancestor.type, tuple(ancestor.inputs), ancestor.name in marked) for ancestor in lineage]
    )


def _flow(ancestor: Ancestor) -> Flow | None:
    """Return what became of a step's rows; none for a step that makes no rows."""
    counts = ancestor.manifest.get("counts") or {}
    filtered = counts.get("filtered") or {}
    failed = counts.get("failed") or {state: counts[state] for state in ("retryable", "permanent") if counts.get(state)}
    rows = ancestor.manifest.get("rows")
    if rows is None and not filtered and not failed:
        return None
    losses = [Loss(str(reason), int(count), False) for reason, count in filtered.items()]
    losses += [Loss(str(reason), int(count), True) for reason, count in failed.items()]
    remaining = int(counts.get("kept") or rows or 0)
    return Flow(ancestor.name, ancestor.type, remaining, tuple(sorted(losses, key=lambda loss: -loss.count)))


def _digests(ancestor: Ancestor) -> list[tuple[str, str]]:
    """Return the content digests of a step's outputs by name."""
    return [(str(output), str(digest)) for output, digest in (ancestor.manifest.get("digests") or {}).items()]


def _parameters(ancestor: Ancestor) -> list[tuple[str, str]]:
    """Return the parameters of a step as text; those that were left out say nothing."""
    params = ancestor.manifest.get("params") or {}
    return [(str(name), plain(value)) for name, value in params.items() if value not in (None, "")]


def _versions(lineage: Sequence[Ancestor]) -> list[tuple[str, str]]:
    """Return the versions that the steps were made with; several of one package where they differ."""
    packages: dict[str, dict[str, None]] = {}
    for ancestor in lineage:
        for package, version in (ancestor.manifest.get("versions") or {}).items():
            packages.setdefault(str(package), {})[str(version)] = None
    return [(package, ", ".join(versions)) for package, versions in packages.items()]


def _machine(host: Mapping[str, Any]) -> str:
    """Return platform and processors; the machine's name is no one else's business."""
    parts = [str(host.get("platform") or ""), f"{host['cpus']} CPUs" if host.get("cpus") else ""]
    return ", ".join(part for part in parts if part)
