"""The report in short as Markdown, for a repository or a merge request: what models wrote stays text there, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from potstill.reporting.number_formats import NONE
from potstill.reporting.page import Page
from potstill.reporting.views import View
from potstill.text.inert import plain_text


def markdown(page: Page) -> str:
    """Return the report as Markdown."""
    lines = [f"# {plain_text(page.title)}", ""]
    for warning in page.warnings:
        behind = f" (behind {', '.join(warning.models)})" if warning.models else ""
        lines += [f"**Warning of {plain_text(warning.step + behind)}.** {plain_text(warning.text)}", ""]
    for view in page.views:
        lines += _section(view, len(page.views) > 1)
    for table in page.tables:
        lines += [f"## {plain_text(table.title)}", "", *(f"{plain_text(note)}\n" for note in table.notes)]
        lines += [*_table(table.head, table.lines), ""]
    if page.missing:
        lines += [page.missing, ""]
    lines += _data(page)
    origins = page.origins
    lines += ["## What this rests on", ""]
    lines += [plain_text(origins.licences), ""]
    lines += [*_table(("What", "Name", "Licence", "Terms"), origins.sources), ""] if origins.sources else []
    lines += [plain_text(origins.seeds), ""] if origins.seeds else []
    lines += [", ".join(plain_text(f"{package} {version}") for package, version in origins.versions), ""]
    lines += [f"Made again by: {plain_text(origins.command)}", ""] if origins.command else []
    return "\n".join(lines)


def _section(view: View, several: bool) -> Iterator[str]:
    """Yield the lines of one section."""
    if several:
        yield from (f"## {plain_text(view.title)}", "")
    if view.ruling:
        yield from (f"**Verdict.** {_sentences(view.ruling)}", "")
    yield from (_sentences(view.summary), "")
    titles = [column.name for column in view.columns]
    rows = [[line.label, *("; ".join((cell.text, *cell.small)) for cell in line.cells)] for line in view.lines]
    yield from _table(("Model", *titles), rows)
    yield ""
    for caveat in view.caveats:
        yield from (plain_text(caveat), "")


def _data(page: Page) -> Iterator[str]:
    """Yield what became of the data."""
    if page.flows:
        yield from ("## What became of the data", "")
        rows = [
            (flow.name, f"{flow.kept:,}", "; ".join(f"{loss.reason}: {loss.count:,}" for loss in flow.losses) or NONE)
            for flow in page.flows
        ]
        yield from (*_table(("Step", "Rows made", "Left out"), rows), "")
    if page.effort:
        yield from (f"## {page.effort.title}", "", *_table(page.effort.head, page.effort.lines), "")
    for sentence in page.captured:
        yield from (plain_text(sentence), "")


def _sentences(sentences: Sequence[str]) -> str:
    return " ".join(map(plain_text, sentences))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table."""
    lines = [head, ["---"] * len(head)]
    return [
        f"| {' | '.join(row if number == 1 else map(plain_text, row))} |" for number, row in enumerate([*lines, *rows])
    ]
