"""The report: one page that shows the measured models, how they came about and what that rests on.

Writes `index.html` (self-contained: no script, nothing loaded from elsewhere), `metrics.csv` (one row a model and test
set) and `metrics.json` (everything that was measured).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.errors import Problem
from potstill.step import Metrics, Step

if TYPE_CHECKING:
    from potstill.context import Context
    from potstill.reporting.page import Page

TEMPLATE = "report.html.jinja"


class Report(Step):
    """Write a page that compares the evaluated models, with plot, graph, data counts and lineage.

    >>> answer = '{"device":"light","room":"kitchen","action":"on","value":null}'
    >>> rows = LoadRows([{"instruction": "turn on the light in the kitchen", "output": answer}])
    >>> show(Report({"home": Evaluate(teacher, rows, prompt="home.jinja")}, title="A home assistant"))
    ['index.html', 'metrics.csv', 'metrics.json']
    """

    evaluations: Sequence[Metrics] | Mapping[str, Metrics]
    """Steps that measured models; a dict gives the models' labels, otherwise they are called after their steps."""
    title: str = ""
    """Heading; by default it names the reference."""
    reference: str = ""
    """Label of the model that the others are held against; by default the first, usually the teacher."""

    makes: ClassVar[str] = "report"
    wants_lineage: ClassVar[bool] = True

    def check(self) -> Iterable[Problem]:
        """Yield a problem if there is nothing to report."""
        if not self.evaluations:
            yield Problem("", "evaluations", "no evaluations in []: give at least one Evaluate step")

    def run(self, evaluations: Sequence[dict[str, Any]] | Mapping[str, dict[str, Any]], context: Context) -> Path:
        """Write the page and the tables."""
        from potstill.reporting.models import as_csv, flat, measured
        from potstill.reporting.page import page

        models = measured(evaluations, context.inputs["evaluations"], context.lineage, self.reference)
        made = page(self.title, models, context.lineage)
        table = {"title": made.title, "models": [model.plain() for model in models]}
        _write(context.out / "metrics.json", json.dumps(table, indent=1) + "\n")
        _write(context.out / "metrics.csv", as_csv(flat(models)))
        _write(context.out / "index.html", html(made))
        return context.out


def html(page: Page) -> str:
    """Return the page as HTML; the template escapes every text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from potstill.reporting import formats

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    names = ("percent", "size", "count", "short_count", "decimal", "times", "seconds", "cut")
    environment.filters |= {name: getattr(formats, name) for name in names}
    environment.globals["interval"] = formats.interval
    return environment.get_template(TEMPLATE).render(page=page)


def _write(path: Path, text: str) -> None:
    """Write UTF-8; a lone surrogate, which a model may write, becomes a question mark."""
    path.write_bytes(text.encode("utf-8", "replace"))
