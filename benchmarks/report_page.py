"""Size and first paint of a report of many models and rows, in headless Chromium.

`python benchmarks/report_page.py`; needs Chromium (`apt-get install chromium`). Prints the bytes of each file, how long
writing took, and of five loads the median time to the first paint and until the samples can be searched.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

MODELS, ROWS, LOADS = 20, 1_000, 5


def main() -> None:
    """Write the report and load it."""
    # the made-up measurements and the browser are those of the tests
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    reports: Any = import_module("reports")
    browser: Any = import_module("browser")
    with tempfile.TemporaryDirectory() as name:
        started = time.perf_counter()
        folder: Path = reports.classifiers(Path(name), MODELS, ROWS)
        print(f"{MODELS} models, {ROWS:,} rows: made up and written in {time.perf_counter() - started:.1f} s")
        for file in sorted(folder.iterdir()):
            print(f"  {file.name:14} {file.stat().st_size / 1e6:6.2f} MB")
        paints, ready = [], []
        with browser.opened() as page:
            page.look_like()
            for _ in range(LOADS):
                page.open(folder / "index.html")
                page.wait("!!document.querySelector('#sample-tools label')")
                ready.append(page.run("performance.now()"))
                paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
                paints.append(page.run(paint))
        print(
            f"  first paint {statistics.median(paints):.0f} ms, samples ready within {statistics.median(ready):.0f} ms"
        )


if __name__ == "__main__":
    main()
