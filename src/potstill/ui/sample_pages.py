"""The page on what several models of a run answered, side by side."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from potstill.errors import RequestError
from potstill.looking.all_runs import run_of, steps_with_artifacts
from potstill.looking.samples import SampleQuery, answers_of, marked, side_by_side
from potstill.ui.run_pages import store_of
from potstill.ui.step_pages import link_of, whole_number
from potstill.ui.templating import page

SIZES = (10, 25, 100)
"""Rows a page."""


def samples(request: Request) -> Response:
    """Show samples."""
    store = store_of(request)
    run = run_of(store, request.path_params["run"])
    steps = steps_with_artifacts(store, run)
    every = answers_of({step.history.name: step.artifact for step in steps if step.artifact is not None})
    if not every:
        raise RequestError("no step of this run kept answers: `Evaluate` and its relatives do, once they are done")
    asked = request.query_params
    chosen = [model for model in every if model.artifact.key in asked.getlist("model")] or every
    query = query_of(request)
    return page(
        "samples.html.jinja",
        run=run,
        every=every,
        chosen=[model.artifact.key for model in chosen],
        query=query,
        shown=side_by_side(chosen, query),
        sizes=SIZES,
        marked=marked,
        link=lambda **changes: link_of(request, changes),
    )


def query_of(request: Request) -> SampleQuery:
    """Return what the address asks for."""
    asked = request.query_params
    size = whole_number(asked.get("size", ""), SIZES[0])
    return SampleQuery(
        differing="differing" in asked,
        wrong="wrong" in asked,
        set=asked.get("set", ""),
        search=asked.get("search", ""),
        offset=whole_number(asked.get("from", ""), 0),
        limit=size if size in SIZES else SIZES[0],
    )
