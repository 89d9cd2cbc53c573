"""Everything that the template shows, put together from the measured models and the lineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from potstill.engine.context import Ancestor
from potstill.reporting.choice import Choice
from potstill.reporting.curves import Curve, curves_of
from potstill.reporting.data_flow import Flow, captured, effort, flows_of
from potstill.reporting.graph_folding import folded
from potstill.reporting.graph_layout import Layers, Node, layers
from potstill.reporting.model_table import Evaluation, Section
from potstill.reporting.number_formats import plain, seconds
from potstill.reporting.origins import Origins, origins_of
from potstill.reporting.others import Table
from potstill.reporting.ruling import Ruling
from potstill.reporting.sample_blob import Blob, blob_of
from potstill.reporting.samples import Samples
from potstill.reporting.step_warnings import StepWarning, warnings_of
from potstill.reporting.views import View, view_of


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
    curves: Sequence[Curve]
    """Curves of the trainings."""
    effort: Table | None
    """Tokens, money and time; `None` where nothing was asked or trained."""
    captured: Sequence[str]
    """How much of a teacher's probability soft labels hold."""
    origins: Origins
    """Versions, machines, seeds and licences."""
    blob: Blob
    """The samples, for the script."""
    warnings: Sequence[StepWarning]
    """What steps warned of."""
    missing: str = ""
    """What was not looked at, in a sentence."""

    @property
    def numbers(self) -> Mapping[str, int]:
        """Return the number of each step in the lineage, to which links lead."""
        return {ancestor.name: number for number, ancestor in enumerate(self.lineage, start=1)}


def page(
    title: str,
    evaluations: Sequence[Evaluation],
    sections: Sequence[tuple[Choice, Ruling | None, Samples]],
    tables: Sequence[Table],
    lineage: Sequence[Ancestor],
) -> Page:
    """Put the page together.

    Args:
        title: its heading; empty makes one.
        evaluations: all that the report is about.
        sections: what those of known kinds come to, and under the bound of the report, with the rows that were kept.
        tables: the others.
        lineage: all steps behind them.
    """
    views = [view_of(choice, ruling, lineage, samples) for choice, ruling, samples in sections]
    flows = flows_of(lineage)
    return Page(
        title=title or _title([choice.section for choice, _, _ in sections], views),
        views=views,
        tables=tables,
        graph=_graph({one.label for one in evaluations}, lineage),
        flows=flows,
        failures=any(loss.failed for flow in flows for loss in flow.losses),
        lineage=lineage,
        digests={ancestor.name: _digests(ancestor) for ancestor in lineage},
        parameters={ancestor.name: _parameters(ancestor) for ancestor in lineage},
        curves=curves_of(lineage),
        effort=effort(lineage),
        captured=captured(lineage),
        origins=origins_of(lineage),
        warnings=warnings_of(evaluations, lineage),
        blob=blob_of([samples for _, _, samples in sections]),
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
        folded(
            [
                Node(
                    ancestor.name,
                    ancestor.type,
                    tuple(ancestor.inputs),
                    ancestor.name in marked,
                    seconds(took) if (took := ancestor.manifest.get("seconds")) is not None else "",
                )
                for ancestor in lineage
            ]
        )
    )


def _digests(ancestor: Ancestor) -> list[tuple[str, str]]:
    """Return the content digests of a step's outputs by name."""
    return [(str(output), str(digest)) for output, digest in (ancestor.manifest.get("digests") or {}).items()]


def _parameters(ancestor: Ancestor) -> list[tuple[str, str]]:
    """Return the parameters of a step as text; those that were left out say nothing."""
    params = ancestor.manifest.get("params") or {}
    return [(str(name), plain(value)) for name, value in params.items() if value not in (None, "")]
