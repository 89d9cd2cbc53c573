"""llama.cpp itself, where node and the npm package node-llama-cpp are: `npm install --ignore-scripts node-llama-cpp`.

NODE_LLAMA_CPP names the folder that the package was installed in.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_suffix(".mjs")


def why_not() -> str:
    """Return why it can't be asked here, or nothing."""
    folder = Path(os.environ.get("NODE_LLAMA_CPP") or "/nowhere")
    is_installed = shutil.which("node") and (folder / "node_modules" / "node-llama-cpp").is_dir()
    return (
        ""
        if is_installed
        else "NODE_LLAMA_CPP names no folder with the npm package node-llama-cpp, or there is no node"
    )


def ask(file: Path, texts: Sequence[Sequence[int]], words: Sequence[str] = (), context: int = 64) -> dict[str, Any]:
    """Return what llama.cpp says of a GGUF file: log p of tokens of `texts` (not the first), and tokens of `words`."""
    asked = json.dumps({"texts": [list(ids) for ids in texts], "words": list(words), "context": context})
    run = subprocess.run(["node", str(SCRIPT), str(file)], input=asked, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    answers: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    return answers
