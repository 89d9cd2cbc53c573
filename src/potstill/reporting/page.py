"""Everything that the template shows, put together from the measured models and the lineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.context import Ancestor
from potstill.reporting.formats import plain
from potstill.reporting.layers import Layers, Node, layers
from potstill.reporting.models import Measured, set_names
from potstill.reporting.scatter import Point, Scatter, scatter
from potstill.reporting.words import Tile, best_small, caveats, praise, summary, tiles


@dataclass(frozen=True)
class Plot:
    """The quality-against-size plot of one test set."""

    set: str
    drawing: Scatter
    unplaced: tuple[str, ...]
    """Models without a known size."""


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
    summary: Sequence[str]
    tiles: Sequence[Tile]
    caveats: Sequence[str]
    models: Sequence[Measured]
    best: str
    """Label of the best small model, or empty."""
    praise: str
    """What that one is: the best small model, or the best of the others where sizes are unknown."""
    sets: Sequence[str]
    counts: Mapping[str, int]
    """Rows of each test set."""
    plots: Sequence[Plot]
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


def page(title: str, models: Sequence[Measured], lineage: Sequence[Ancestor]) -> Page:
    """Put the page together."""
    reference = next(model for model in models if model.reference)
    best = best_small(models)
    flows = [flow for flow in map(_flow, lineage) if flow]
    return Page(
        title=title or _title(reference, best),
        summary=summary(models),
        tiles=tiles(models),
        caveats=caveats(models),
        models=models,
        best=best.label if best else "",
        praise=praise(best) if best else "",
        sets=set_names(models),
        counts={name: scores["n"] for model in models for name, scores in model.metrics["sets"].items()},
        plots=[plot for plot in (_plot(name, models) for name in set_names(models)) if plot],
        graph=_graph(models, lineage),
        flows=flows,
        failures=any(loss.failed for flow in flows for loss in flow.losses),
        lineage=lineage,
        digests={ancestor.name: _digests(ancestor) for ancestor in lineage},
        parameters={ancestor.name: _parameters(ancestor) for ancestor in lineage},
        versions=_versions(lineage),
        machines=sorted({_machine(ancestor.manifest.get("host") or {}) for ancestor in lineage} - {""}),
    )


def _title(reference: Measured, best: Measured | None) -> str:
    """Return the heading of a report that was given none."""
    if best is None:
        return f"How good {reference.label} is"
    return f"{'Small models from' if best.size_ratio else 'Models beside'} {reference.label}"


def _plot(name: str, models: Sequence[Measured]) -> Plot | None:
    """Return the plot of one test set; none if no model there has a known size."""
    there = [model for model in models if name in model.metrics["sets"]]
    sized = [model for model in there if model.metrics.get("weights_bytes")]
    if not sized:
        return None
    points = []
    for model in sized:
        scores = model.metrics["sets"][name]
        interval = (scores["exact_match"], scores["exact_match_low"], scores["exact_match_high"])
        points.append(Point(model.label, model.metrics["weights_bytes"], *interval, model.reference))
    return Plot(name, scatter(points), tuple(model.label for model in there if model not in sized))


def _graph(models: Sequence[Measured], lineage: Sequence[Ancestor]) -> Layers:
    """Return the drawing of the lineage, with the measured models marked."""
    marked = {model.label for model in models}
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
    kept = int(counts.get("kept") or rows or 0)
    return Flow(ancestor.name, ancestor.type, kept, tuple(sorted(losses, key=lambda loss: -loss.count)))


def _digests(ancestor: Ancestor) -> list[tuple[str, str]]:
    """Return the content digests of a step's outputs by name."""
    return [(str(output), str(digest)) for output, digest in (ancestor.manifest.get("digests") or {}).items()]


def _parameters(ancestor: Ancestor) -> list[tuple[str, str]]:
    """Return the parameters of a step as text; those that were left out say nothing."""
    given = ancestor.manifest.get("params") or {}
    return [(str(name), plain(value)) for name, value in given.items() if value not in (None, "")]


def _versions(lineage: Sequence[Ancestor]) -> list[tuple[str, str]]:
    """Return the versions that the steps were made with; several of one package where they differ."""
    found: dict[str, dict[str, None]] = {}
    for ancestor in lineage:
        for package, version in (ancestor.manifest.get("versions") or {}).items():
            found.setdefault(str(package), {})[str(version)] = None
    return [(package, ", ".join(versions)) for package, versions in found.items()]


def _machine(host: Mapping[str, Any]) -> str:
    """Return platform and processors; the machine's name is no one else's business."""
    parts = [str(host.get("platform") or ""), f"{host['cpus']} CPUs" if host.get("cpus") else ""]
    return ", ".join(part for part in parts if part)
