"""Questions to a process of its own, which loads nothing but what was written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from potstill.errors import PotstillError

MARK = "POTSTILL-ANSWERS "
"""Start of the line that holds the answers: runtimes print what they like."""


def answer_of(
    module: str, arguments: Sequence[str], folder: Path, question: str, seconds: float, threads: int = 1
) -> str:
    """Return what `module`, run with `arguments` in `folder`, answers to `question` on its standard input.

    Raises:
        PotstillError: the process failed, or took longer than `seconds`.
    """
    # -P: a folder of the user's with the name of a package must not be taken for it
    command = [sys.executable, "-P", "-m", module, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "0"}
    runtime = arguments[0]
    try:
        ended = subprocess.run(
            command,
            input=question,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=environment,
            cwd=folder,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PotstillError(
            f"{runtime} did not answer within {seconds:.0f} s about {folder.name}: raise time_limit"
        ) from error
    # libraries print on standard output, too: the answer is the line with the mark
    lines = [line for line in ended.stdout.splitlines() if line.startswith(MARK)]
    if ended.returncode or not lines:
        printed = (ended.stderr or ended.stdout).strip()[-1500:]
        raise PotstillError(f"{runtime} can't load or run what was exported (exit code {ended.returncode}): {printed}")
    return lines[-1].removeprefix(MARK)
