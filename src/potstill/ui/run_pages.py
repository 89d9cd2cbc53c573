"""Pages on the runs of a store: all of them, one, two compared."""

from __future__ import annotations

import functools

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from potstill.engine.inventory import listing
from potstill.engine.lost_rows import counted
from potstill.engine.store.artifacts import Store
from potstill.engine.store.run_history import RunHistory
from potstill.errors import BadInput, StoreError
from potstill.looking.all_runs import RECORDED, all_runs, run_of, steps_with_artifacts
from potstill.looking.diff import difference, paired
from potstill.looking.runs import steps_of
from potstill.looking.samples import answers_of
from potstill.ui import live
from potstill.ui.chat_models import models_of
from potstill.ui.templating import page, rendered
from potstill.ui.views import WORDS, graph_of, note_of, progress_of, share_of
from potstill.web.events import stream
from potstill.web.rendering import Values


def store_of(request: Request) -> Store:
    """Return the store that is shown."""
    store: Store = request.app.state.store
    return store


def runs(request: Request) -> Response:
    """Show all runs."""
    store = store_of(request)
    return page("runs.html.jinja", store=str(store.root), exists=store.root.is_dir(), **_runs(store))


def runs_live(request: Request) -> Response:
    """Send the list of runs whenever it changes."""
    store = store_of(request)
    return stream(live.changes(request, lambda: (rendered("runs_table.html.jinja", _runs(store)), False)))


def artifacts(request: Request) -> Response:
    """Show all artifacts."""
    store = store_of(request)
    return page("artifacts.html.jinja", store=str(store.root), artifacts=listing(store))


def run(request: Request) -> Response:
    """Show one run."""
    store = store_of(request)
    history = run_of(store, request.path_params["run"])
    steps = steps_with_artifacts(store, history)
    others = [one for one in all_runs(store) if one.origin.pipeline == history.origin.pipeline and one.id != history.id]
    results = {step.history.name: step.artifact for step in steps if step.artifact is not None}
    reports = [artifact for artifact in results.values() if artifact.manifest["makes"] == "report"]
    comparable = [one for one in others if _has_history(one)] if _has_history(history) else []
    return page(
        "run.html.jinja",
        run=history,
        earlier=next((one for one in comparable if one.began < history.began), None),
        samples=bool(answers_of(results)),
        chat=bool(models_of(steps)),
        reports=reports,
        **_run(store, history),
    )


def run_live(request: Request) -> Response:
    """Send the graph and the steps of a run whenever they change."""
    store, name = store_of(request), request.path_params["run"]

    def fragment() -> tuple[str, bool]:
        history = run_of(store, name)
        return rendered("run_steps.html.jinja", {"run": history, **_run(store, history)}), history.state != "running"

    return stream(live.changes(request, fragment))


async def diff(request: Request) -> Response:
    """Show what differs between two runs, or two keys."""
    wanted = request.query_params.getlist("run")
    if len(wanted) != 2:
        raise BadInput(f"two runs are compared, and {len(wanted)} were chosen: choose two")
    return await run_in_threadpool(_diff, store_of(request), *wanted)


def _diff(store: Store, first: str, second: str) -> Response:
    steps = paired(steps_of(store, first), steps_of(store, second))
    return page(
        "diff.html.jinja",
        first=first,
        second=second,
        steps=[step for step in steps if step.state != "same"],
        same=[step for step in steps if step.state == "same"],
        difference=difference,
    )


def _has_history(history: RunHistory) -> bool:
    """Return whether more is known of a run than what it used."""
    return not history.id.startswith(RECORDED)


def _runs(store: Store) -> Values:
    """Return what the list of runs shows."""
    try:
        return {"runs": all_runs(store), "words": WORDS, "problem": "", "has_history": _has_history}
    except (StoreError, OSError) as error:
        return {"runs": [], "words": WORDS, "problem": str(error), "has_history": _has_history}


def _run(store: Store, history: RunHistory) -> Values:
    """Return what the changing part of a run's page shows."""
    return {
        "graph": graph_of(history),
        "words": WORDS,
        "note_of": note_of,
        "progress_of": progress_of,
        "share_of": share_of,
        "lost": functools.partial(_lost, store),
    }


def _lost(store: Store, key: str) -> int | None:
    """Return how many rows a finished step lost; None where nothing is known."""
    artifact = store.lookup(key).artifact if key else None
    if artifact is None:
        return None
    return sum(counted(artifact.manifest["counts"]).values())


def back(path: str) -> Response:
    """Return the answer to a button: the browser asks for a page again."""
    return RedirectResponse(path, status_code=303)
