"""What the engine itself costs: `potstill --help`, and a chain of 1,000 trivial steps planned, run, and run again.

Run with `python benchmarks/engine.py`; prints its table. The bounds are those that Potstill sets itself.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHAIN = """
from potstill import Pipeline, Rows, Step


class First(Step):
    def run(self):
        return [{"number": 0}]


class Next(Step):
    rows: Rows
    add: int = 1

    def run(self, rows):
        return [{"number": row["number"] + self.add} for row in rows]


step = First()
for _ in range(999):
    step = Next(step)
pipeline = Pipeline("chain", outputs={"last": step})
"""
REPEATS = 5


def seconds(command: list[str]) -> float:
    """Return how long a command takes, start of the process included."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def measure(folder: Path) -> list[tuple[str, float, float]]:
    """Return (what, seconds, bound)."""
    potstill = [sys.executable, "-m", "potstill"]
    (folder / "chain.py").write_text(CHAIN)
    here = [str(folder / "chain.py"), "--store", str(folder / "store")]
    return [
        ("potstill --help", statistics.median(seconds([*potstill, "--help"]) for _ in range(REPEATS)), 0.3),
        ("plan 1,000 steps", seconds([*potstill, "plan", *here]), 1.0),
        ("run 1,000 steps", seconds([*potstill, "run", *here]), 15.0),
        ("run again, all cached", statistics.median(seconds([*potstill, "run", *here]) for _ in range(REPEATS)), 2.0),
        ("plan again, all cached", statistics.median(seconds([*potstill, "plan", *here]) for _ in range(REPEATS)), 1.0),
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        print(f"{'what':24} {'seconds':>8} {'bound':>6}")
        for what, took, bound in measure(Path(temporary)):
            print(f"{what:24} {took:8.2f} {bound:6.1f}  {'ok' if took <= bound else 'OVER'}")
