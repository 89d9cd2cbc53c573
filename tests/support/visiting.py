"""The local page over a store, asked by an HTTP client as a browser would ask it."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from potstill.engine.pipeline import open_store
from potstill.looking.all_runs import all_runs
from potstill.looking.cached_store import CachedStore
from potstill.ui.app import application
from potstill.web.guard import Tokens

BASE = "http://127.0.0.1:8765"


def stranger(store: Path | str, tokens: Tokens | None = None) -> TestClient:
    """Return a client that has no cookie."""
    app = application(CachedStore(Path(store)), tokens or Tokens(), "potstill-8765")
    return TestClient(app, base_url=BASE, raise_server_exceptions=False, follow_redirects=False)


def visitor(store: Path | str) -> TestClient:
    """Return a client that came with the token."""
    tokens = Tokens()
    client = stranger(store, tokens)
    assert client.get("/", params={"token": tokens.token}).status_code == 200
    return client


def key_of(store: Path, step: str) -> str:
    """Return the key of a step in the latest run of the pipeline `talk` that has it, else in the latest of another."""
    runs = sorted(all_runs(open_store(store)), key=lambda run: (run.origin.pipeline == "talk", run.began), reverse=True)
    return next(one.key for run in runs for one in run.steps if one.name == step and one.key)


def run_of(store: Path, pipeline: str = "talk") -> str:
    """Return the name of the latest run of a pipeline."""
    runs = sorted(all_runs(open_store(store)), key=lambda run: run.began, reverse=True)
    return next(run.id for run in runs if run.origin.pipeline == pipeline)
