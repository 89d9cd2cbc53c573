"""What is looked at again is not hashed again, and a change is seen all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, Step
from potstill.engine.progress import Silent
from potstill.engine.store import manifests
from potstill.looking.cached_store import CachedStore


class Make(Step):
    def run(self) -> Any:
        return [{"a": 1}]


def test_an_artifact_is_hashed_once_and_again_when_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = Pipeline("p", outputs={"made": Make(name="made")}).run(store=tmp_path, watcher=Silent())["made"]
    hashed, digest = [], manifests.file_digest
    monkeypatch.setattr(manifests, "file_digest", lambda path: hashed.append(path) or digest(path))
    store = CachedStore(tmp_path)
    assert store.lookup(artifact.key).artifact == store.lookup(artifact.key).artifact == artifact
    assert len(hashed) == len(set(hashed)) > 0
    part = artifact.path / "data" / artifact.parts()[0]
    content = part.read_bytes()
    part.write_bytes(content[:-1] + b"?")
    assert "was changed" in store.lookup(artifact.key).damage
    part.write_bytes(content)
    assert store.lookup(artifact.key).artifact == artifact
    (artifact.path / "manifest.json").unlink()
    assert store.lookup(artifact.key).artifact is None
    assert store.lookup("ff" * 16).damage == ""
