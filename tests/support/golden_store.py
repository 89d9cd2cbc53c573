"""A small store that an earlier Potstill filled, in `kept_store`: what is in it must stay hits for the same pipeline.

Write it again, with what its pipeline makes now, where keys or the layout of stores are meant to change:

    cd tests/support && python -m golden_store --write
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from potstill.engine.store.manifests import read_manifest, sealed

KEPT = Path(__file__).with_name("kept_store")
"""The pipeline, its data, and `store`."""
NOWHERE = {"name": "anywhere", "platform": "any", "cpus": 1}
"""The machine that the manifests name."""


def copied(folder: Path) -> Path:
    """Return a copy of the pipeline and its store in `folder`."""
    return Path(shutil.copytree(KEPT, folder / "kept", ignore=shutil.ignore_patterns("__pycache__")))


def write() -> None:
    """Fill the store in a fresh process and an empty folder, and keep what is no trace of this machine."""
    with TemporaryDirectory() as folder:
        place = copied(Path(folder))
        shutil.rmtree(place / "store", ignore_errors=True)
        subprocess.run(
            [sys.executable, "-m", "potstill", "run", "pipe.py"],
            cwd=place,
            env={**os.environ, "POTSTILL_STORE": "store"},
            check=True,
        )
        shutil.rmtree(KEPT / "store", ignore_errors=True)
        (KEPT / "store").mkdir()
        shutil.copyfile(place / "store" / "journal.sqlite", KEPT / "store" / "journal.sqlite")
        shutil.copytree(place / "store" / "artifacts", KEPT / "store" / "artifacts")
    for artifact in (KEPT / "store" / "artifacts").iterdir():
        text = json.dumps(sealed({**read_manifest(artifact), "host": NOWHERE, "versions": {}}), indent=1)
        (artifact / "manifest.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if "--write" not in sys.argv[1:]:
        sys.exit("nothing is written without --write: an earlier version's results would be lost")
    write()
