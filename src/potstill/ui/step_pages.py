"""Pages on one step: what it made, its log, its rows, what it lost, its report."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from potstill.engine.inventory import complete_key, description, read_metrics, whole_artifact
from potstill.engine.logs import printed
from potstill.engine.lost_rows import counted
from potstill.engine.store.artifacts import KEPT, Artifact, Store
from potstill.engine.store.run_history import histories
from potstill.errors import RequestError
from potstill.looking.lost import losses
from potstill.looking.paging import OPERATORS, Filter, Query, whole_row
from potstill.looking.paging import page as row_page
from potstill.ui import live
from potstill.ui.run_pages import store_of
from potstill.ui.templating import page
from potstill.ui.views import FIGURES, curves_of, figures_of
from potstill.web.events import stream
from potstill.web.rendering import HALVES, Values

REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
)
"""What a report may do in its frame: run its own script, load nothing, reach no page here."""
EXAMPLES = 20
"""Lost rows that are shown for each reason."""
DETAIL = 600
"""Letters of a lost row's detail."""
SIZES = (25, 50, 100, 250)
"""Rows a page."""


def step(request: Request) -> Response:
    """Show one step: finished, running or failed."""
    store, key = _key(request)
    lookup = store.lookup(key)
    if lookup.artifact is None:
        return page("step_open.html.jinja", **_open_step(store, key), damage=lookup.damage)
    entry = description(store, key)
    figures = list(islice(figures_of(read_metrics(lookup.artifact.path / "metrics.json")), FIGURES + 1))
    return page(
        "step.html.jinja",
        entry=entry,
        artifact=lookup.artifact,
        figures=figures[:FIGURES],
        more_figures=len(figures) > FIGURES,
        curves=curves_of(entry["notes"]),
        notes=list(islice(figures_of({k: v for k, v in entry["notes"].items() if k != "curve"}), 60)),
        tables=tables_of(lookup.artifact),
        lost=sum(counted(entry["counts"]).values()),
        runs=[run for run in histories(store.root) if any(one.key == key for one in run.steps)][:5],
        blemishes=lookup.blemishes,
    )


def tables_of(artifact: Artifact) -> list[tuple[str, str]]:
    """Return (output, title) of each set of rows that an artifact holds."""
    outputs = [str(name) for name in artifact.manifest["outputs"]]
    if outputs:
        return [(name, name) for name in outputs]
    if KEPT in artifact.manifest["files"]:
        return [("", "rows it measured")]
    return [("", "rows")] if artifact.parts() else []


def log(request: Request) -> Response:
    """Show a step's log, as it grows."""
    store, key = _key(request)
    path, over = log_path(store, key)
    text, at, _ = live.read_on(path, -1)
    cut, place = max(0, at - len(text.encode("utf-8", "replace"))), f"{live.inode(path)}.{max(at, 0)}"
    return page("log.html.jinja", key=key, text=text, at=place, cut=cut, over=over, name=name_of(store, key))


def log_live(request: Request) -> Response:
    """Send what is added to a step's log."""
    store, key = _key(request)
    return stream(live.tail(request, lambda: log_path(store, key)))


def log_path(store: Store, key: str) -> tuple[Path | None, bool]:
    """Return the log of a step, and whether nothing more will come: it is done, or nobody runs it."""
    finished = store.root / "artifacts" / key / "log.txt"
    if finished.is_file():
        return finished, True
    own, output = store.root / "work" / key / "payload" / "log.txt", printed(store.root, key)
    running = any(step.key == key and step.state == "running" for run in histories(store.root) for step in run.steps)
    # what the step's process prints goes into a file of its own until the step ends
    is_silent = not own.is_file() or not own.stat().st_size
    shown = output if running and is_silent else own
    return (shown if shown.is_file() else None), not running


def rows(request: Request) -> Response:
    """Show a page of rows."""
    store, key = _key(request)
    artifact = whole_artifact(store, key)
    output, query = request.query_params.get("output", ""), query_of(request)
    problems: list[str] = []
    try:
        shown = row_page(artifact, output, query)
    except RequestError as error:
        problems = [str(problem) for problem in error.problems]
        shown = row_page(artifact, output, Query(limit=query.limit))  # a filter that can't be used hides nothing
    filters = [*query.filters, Filter("", "contains")]
    return page(
        "rows.html.jinja",
        400 if problems else 200,
        artifact=artifact,
        output=output,
        tables=tables_of(artifact),
        query=query,
        filters=filters,
        shown=shown,
        problems=problems,
        operators=OPERATORS,
        sizes=SIZES,
        link=lambda **changes: link_of(request, changes),
    )


def row(request: Request) -> Response:
    """Show one row in full."""
    store, key = _key(request)
    artifact, output = whole_artifact(store, key), request.query_params.get("output", "")
    number = whole_number(request.query_params.get("n", ""), 0)
    columns, shown, total = whole_row(artifact, output, number)
    return page("row.html.jinja", artifact=artifact, output=output, columns=columns, row=shown, total=total)


def lost(request: Request) -> Response:
    """Show what a step lost, by reason."""
    store, key = _key(request)
    lost_rows = losses(store, key, EXAMPLES)
    return page("lost.html.jinja", losses=lost_rows, examples=EXAMPLES, longest=DETAIL)


def report(request: Request) -> Response:
    """Show a report in its frame."""
    store, key = _key(request)
    artifact = whole_artifact(store, key)
    _report_text(artifact)
    return page("report_frame.html.jinja", artifact=artifact)


def report_page(request: Request) -> Response:
    """Return the report itself; its headers keep it to itself."""
    store, key = _key(request)
    headers = {"content-security-policy": REPORT_POLICY, "x-frame-options": "SAMEORIGIN"}
    return Response(_report_text(whole_artifact(store, key)), media_type="text/html", headers=headers)


def query_of(request: Request) -> Query:
    """Return what the address asks for: filters by three equally long lists of parameters."""
    asked = request.query_params
    each = zip(asked.getlist("column"), asked.getlist("is"), asked.getlist("value"), strict=False)
    filters = [Filter(column, operator, value) for column, operator, value in each if column]
    size = whole_number(asked.get("size", ""), SIZES[1])
    return Query(
        filters=filters,
        search=asked.get("search", ""),
        sort=asked.get("sort", ""),
        descending=asked.get("order") == "down",
        offset=whole_number(asked.get("from", ""), 0),
        limit=size if size in SIZES else SIZES[1],
    )


def link_of(request: Request, changes: Mapping[str, object]) -> str:
    """Return the present address with some parameters changed, at the first page unless the page is what changes."""
    names = {name.rstrip("_") for name in changes} | {"from"}
    unchanged = [(name, value) for name, value in request.query_params.multi_items() if name not in names]
    more = [(name.rstrip("_"), str(value)) for name, value in changes.items() if value not in ("", None)]
    return "?" + urlencode([*unchanged, *more], errors="replace")


def name_of(store: Store, key: str) -> str:
    """Return the name of a step, whether it is done or not."""
    artifact = store.lookup(key).artifact
    if artifact is not None:
        return str(artifact.manifest["name"])
    return next((step.name for run in histories(store.root) for step in run.steps if step.key == key), key[:12])


def _key(request: Request) -> tuple[Store, str]:
    """Return the store and the whole key that the address begins.

    Raises:
        RequestError: there is no such key.
    """
    store = store_of(request)
    start = request.path_params["key"]
    return store, complete_key(store, start)


def _open_step(store: Store, key: str) -> Values:
    """Return what is known of a step without a whole artifact."""
    runs = [run for run in histories(store.root) if any(one.key == key for one in run.steps)]
    last = next((one for run in runs for one in run.steps if one.key == key), None)
    return {"key": key, "name": last.name if last else key[:12], "last": last, "runs": runs[:5]}


def _report_text(artifact: Artifact) -> bytes:
    """Return a report's page.

    Raises:
        RequestError: the artifact is none.
    """
    if artifact.manifest["makes"] != "report" or "index.html" not in artifact.manifest["files"]:
        raise RequestError(f"{artifact.manifest['name']} made {artifact.manifest['makes']}, which is no report")
    text = (artifact.path / "index.html").read_text(encoding="utf-8", errors="replace")
    return HALVES.sub("\ufffd", text).encode()


def whole_number(text: str, default: int) -> int:
    """Return a whole number that is not negative, or the default."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else default
