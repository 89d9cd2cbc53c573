"""A map and a filter over 10,000 to 1,000,000 rows through a user's own steps: time and peak memory.

Run with `python benchmarks/rows.py`; prints its table. Memory must stay under 1 GB and flat, time linear.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIPELINE = """
from potstill import Pipeline, Rows, Step


class Numbers(Step):
    count: int = 10_000

    def run(self):
        return ({"id": str(i), "text": f"row number {i} with a few words in it"} for i in range(self.count))


class Shout(Step):
    rows: Rows

    def run(self, rows):
        return rows.map(lambda row: {"text": row["text"].upper()})


class Even(Step):
    rows: Rows

    def run(self, rows):
        return rows.filter(lambda row: int(row["id"]) % 2 == 0)


numbers = Numbers()
pipeline = Pipeline("rows", outputs={"even": Even(Shout(numbers))})
"""


def measure(folder: Path, count: int) -> tuple[float, float]:
    """Return seconds and peak memory in MB of one run."""
    (folder / "rows.py").write_text(PIPELINE)
    store = folder / f"store-{count}"
    command = [sys.executable, "-m", "potstill", "run", str(folder / "rows.py"), "--store", str(store)]
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--set", f"numbers.count={count}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the run over {count} rows failed: {' '.join(command)}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        print(f"{'rows':>10} {'seconds':>8} {'rows/s':>9} {'peak MB':>8}")
        for rows in (10_000, 30_000, 100_000, 300_000, 1_000_000):
            took, memory = measure(Path(temporary), rows)
            print(f"{rows:10,} {took:8.1f} {rows / took:9,.0f} {memory:8,.0f}", flush=True)
