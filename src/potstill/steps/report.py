"""The report: one page that shows the measured models, how they came about and what that rests on.

Writes `index.html` (self-contained: it loads nothing, and is complete without its script), `report.md` (the same in
short), `metrics.csv` (one row a model and test set), `metrics.json` (everything that was measured) and `samples.jsonl`
(every test row with all answers).
"""

from __future__ import annotations

import difflib
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Interval

from potstill.engine.step import Metrics, Output, Rows, Step
from potstill.errors import BadInput, Problem
from potstill.publishing.trackers import send

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.reporting.choice import Choice
    from potstill.reporting.page import Page
    from potstill.reporting.ruling import Ruling

TEMPLATE = "report.html.jinja"
SCRIPT = "report.js.jinja"
"""What sorts, searches and unfolds; the page names its hash, so that a browser runs nothing else."""
SIZES = frozenset({"stage", "bytes"})
"""Columns by which a table of sizes is known."""
MOST_ROWS = 1_000
"""Rows of a table that are taken into a report."""


class Report(Step):
    """Write a page that compares what was measured, with plots, samples, graph, data counts and lineage.

    Models that were measured in the same way stand in one section: answers, choices, classes, spans, translations,
    perplexities, grades, agreement, the harness's tasks. Preferences of judges and costs have tables of their own; what
    `MeasureCost` measured of all models of a section stands in for the speeds beside their evaluations.
    The verdict comes first: the smallest and the fastest model that are proven to lose at most `within` against the
    teacher, or what is missing for a proof. In each section, a model that does nothing useful is named as such,
    those whose differences may be chance count as equal, and of equals the one that deploys smallest is chosen.
    Tables of sizes and any other figures are shown as they are. Where a step that measures fails, the others are
    reported, and why it failed stands in its place; without the reference there is no verdict.

    >>> answer = '{"device":"light","room":"kitchen","action":"on","value":null}'
    >>> rows = LoadRows([{"instruction": "turn on the light in the kitchen", "output": answer}])
    >>> show(Report({"home": Evaluate(teacher, rows, prompt="home.jinja")}, title="A home assistant"))
    ['index.html', 'metrics.csv', 'metrics.json', 'report.md', 'samples.jsonl']
    """

    evaluations: Sequence[Metrics | Rows] | Mapping[str, Metrics | Rows]
    """Steps that measured models, in any mix, and tables of sizes; a dict gives the models' labels, otherwise they are
    called after their steps. A dict of figures in place of a step is shown as it is: what others published."""
    title: str = ""
    """Heading; by default it names the reference."""
    reference: str = ""
    """Label of the model that the others are held against; by default the first, usually the teacher."""
    within: Annotated[float, Interval(ge=0, lt=1)] = 0.02
    """What a model may lose against the teacher for the verdict: 0.02 is 2 points of a share, 2 points of chrF, or 2 %
    of perplexity. The smallest and the fastest model that are proven to lose no more are named."""

    makes: ClassVar[str] = "report"
    may_lack: ClassVar[frozenset[str]] = frozenset({"evaluations"})
    wants_lineage: ClassVar[bool] = True
    send_results = send
    # a verdict, differences with intervals, leaks (3); samples, slices, curves, origins (4); judges, costs, tasks; a
    # few rows that are all alike prove no loss within a bound (5); figures of two ways are parted, seeds of one student
    # are ruled on together, spans tested by exchanging texts, costs in metrics.csv (6);
    # right answers that stand beside a teacher's labels are not taken for the teacher's (7)
    version: ClassVar[int] = 7
    unkeyed_defaults: ClassVar[frozenset[str]] = frozenset({"within"})

    def check(self) -> Iterable[Problem]:
        """Yield a problem if there is nothing to report, or no such reference."""
        if isinstance(self.evaluations, (Step, Output)):
            text = f"is one step: give a list or a dict of steps, [{self.evaluations!r}] or {{'a name': ...}}"
            yield Problem("", "evaluations", text)
            return
        if not self.evaluations:
            yield Problem("", "evaluations", "no evaluations in []: give at least one Evaluate step")
        for label, value in _held(self.evaluations):
            if not isinstance(value, (Step, Output, Mapping)):
                text = f"[{label}] is {value!r:.60}: give a step that measures, or a dict of figures"
                yield Problem("", "evaluations", text)
        labels = [str(label) for label in self.evaluations] if isinstance(self.evaluations, Mapping) else []
        if labels and self.reference and self.reference not in labels:
            near = difflib.get_close_matches(self.reference, labels, n=1)
            hint = f": did you mean {near[0]}?" if near else f": give one of {', '.join(labels)}"
            yield Problem("", "reference", f"{self.reference!r} is no model of the report{hint}")

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> None:
        """Check that rows which are given are a table of sizes.

        Raises:
            BadInput: some are other rows; all of them together.
        """
        problems = []
        for place, columns in inputs.items():
            if columns is not None and place != "evaluations" and not columns.issuperset(SIZES):
                text = f"{place} makes rows ({', '.join(sorted(columns)) or 'no columns'}) and no figures: give a step "
                problems.append(Problem("", "evaluations", f"{text}that measures, such as Evaluate, or a SizeTable"))
        if problems:
            raise BadInput(*problems)

    def run(self, evaluations: Sequence[Any] | Mapping[str, Any], context: Context) -> Path:
        """Write the page and the tables."""
        from potstill.reporting import cost_tables, diversity, harness_tasks, judged
        from potstill.reporting.choice import choice_of
        from potstill.reporting.failures import failure_warnings, failures_of
        from potstill.reporting.leaks import NOT_DONE, leak_tables, parted
        from potstill.reporting.markdown import markdown
        from potstill.reporting.model_table import evaluations_of, sections_of
        from potstill.reporting.others import own_figures, row_tables
        from potstill.reporting.page import page
        from potstill.reporting.samples import lines_of, samples_of
        from potstill.reporting.tables import as_csv, flat, plain, ruled, summarized

        names = self._names(evaluations, context.inputs.get("evaluations", []))
        every = evaluations_of(_figures(evaluations), names, context.lineage)
        costs, others = cost_tables.parted(every)
        sections = sections_of(others, self.reference, context.lineage, cost_tables.costs_of_all(costs))
        folders = {ancestor.name: ancestor.folder for ancestor in context.lineage}
        samples = [samples_of(one, folders) for one in sections]
        choices = [choice_of(one) for one in sections]
        # a model that takes the place of a reference that failed is none: nothing is proven against it
        failed, reference = failures_of(every), self.reference or every[0].label
        ruled_on = [
            (one, None if reference in failed else self._ruling(one, context), rows)
            for one, rows in zip(choices, samples, strict=True)
        ]
        by_harness, others = harness_tasks.parted(others)
        pairs, others = judged.parted(others)
        leaks, others = parted(others)
        varied, others = diversity.parted(others)
        held = [
            judged.pairs_table(pairs, context.lineage),
            harness_tasks.harness_table(by_harness),
            *cost_tables.cost_tables(costs),
            *leak_tables(leaks),
            diversity.diversity_table(varied),
            *row_tables(others),
            own_figures([one for one in others if one.label not in failed]),
        ]
        tables = [table for table in held if table is not None]
        written = page(self.title, every, ruled_on, tables, context.lineage)
        missing = [
            NOT_DONE if sections and not leaks else "",
            diversity.unmeasured(varied, context.lineage),
        ]
        notes = [*failure_warnings(failed, reference), *written.warnings]
        written = replace(written, missing=" ".join(filter(None, missing)), warnings=notes)
        models = [plain(model) for section in sections for model in section.models]
        models += [{"model": one.label, "step": one.step, "figures": one.metrics} for one in every if one.kind is None]
        summaries = [
            summarized(choice) | {"verdict": ruled(ruling, view.ruling)}
            for (choice, ruling, _), view in zip(ruled_on, written.views, strict=True)
        ]
        table = {"title": written.title, "models": models, "sections": summaries}
        _write(context.out / "metrics.json", json.dumps(finite(table), indent=1) + "\n")
        _write(context.out / "metrics.csv", as_csv(flat(sections, cost_tables.costs_of_all(costs))))
        _write(context.out / "index.html", html(written))
        _write(context.out / "report.md", markdown(written))
        with (context.out / "samples.jsonl").open("wb") as file:
            file.writelines(_line(row) for row in lines_of(samples))
        return context.out

    def _ruling(self, choice: Choice, context: Context) -> Ruling | None:
        """Return what a section comes to under the bound."""
        from potstill.reporting.ruling import ruling_of

        return ruling_of(choice, self.within, self.reference, context.lineage)

    def _names(self, evaluations: Sequence[Any] | Mapping[str, Any], steps: Sequence[str]) -> list[str]:
        """Return the names of what was given: of the `steps` in their order, and none for figures that no step made."""
        from potstill.engine.context import NOT_MADE

        rest = iter(steps)
        pairs = zip(_held(self.evaluations), _held(evaluations), strict=True)
        return [
            str(figures["step"])
            if isinstance(figures, Mapping) and NOT_MADE in figures
            else ""
            if isinstance(value, Mapping)
            else next(rest)
            for (_, value), (_, figures) in pairs
        ]


def _held(evaluations: Sequence[Any] | Mapping[str, Any]) -> Iterable[tuple[Any, Any]]:
    """Return what was given, each with its label or its number."""
    return evaluations.items() if isinstance(evaluations, Mapping) else enumerate(evaluations)


def _figures(evaluations: Sequence[Any] | Mapping[str, Any]) -> list[Any] | dict[str, Any]:
    """Return what the steps made, rows as lists of dicts; a folder, which only shows when it was made, as a word."""
    if isinstance(evaluations, Mapping):
        return {str(label): _figure(value) for label, value in evaluations.items()}
    return [_figure(value) for value in evaluations]


def _figure(value: Mapping[str, Any] | Path | Iterable[Mapping[str, Any]]) -> Any:
    """Return what one step made as plain data."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return {"no figures": "the step made a folder"}
    return [dict(row) for row in itertools.islice(value, MOST_ROWS)]


def finite(value: object) -> Any:
    """Return JSON data with None for numbers that JSON lacks."""
    if isinstance(value, Mapping):
        return {str(name): finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def html(page: Page) -> str:
    """Return the page as HTML; the template escapes every text."""
    return str(_template().render(page=page))


def _line(row: Mapping[str, object]) -> bytes:
    """Return one row of `samples.jsonl`."""
    return f"{json.dumps(row, ensure_ascii=False)}\n".encode("utf-8", "replace")


@lru_cache(maxsize=1)
def _template() -> Any:
    """Return the compiled template."""
    import base64
    import hashlib

    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from potstill import reporting
    from potstill.reporting import number_formats

    environment = Environment(
        loader=FileSystemLoader(Path(reporting.__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    names = ("count", "seconds", "cut")
    environment.filters |= {name: getattr(number_formats, name) for name in names}
    script = environment.get_template(SCRIPT).render()
    environment.globals["script_hash"] = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(TEMPLATE)


def _write(path: Path, text: str) -> None:
    """Write UTF-8; a lone surrogate, which a model may write, becomes a question mark."""
    path.write_bytes(text.encode("utf-8", "replace"))
