"""Times of the local page on a million rows: each page as a browser asks for it, the median of five.

Beside the seconds that pass stand those of all processors, which say more on a machine that has other things to do.

`python benchmarks/ui.py [--rows N]`
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from potstill import Pipeline, Step
from potstill.engine.progress import Silent
from potstill.looking.cached_store import CachedStore
from potstill.ui.app import application
from potstill.web.guard import Tokens

BASE = "http://127.0.0.1:8765"
WORDS = [f"word{number}" for number in range(5_000)]
TRIES = 5


class Rows(Step):
    """Makes rows as a labelled dataset has them: two texts, an id, two numbers."""

    count: int

    def run(self) -> Iterator[dict[str, Any]]:
        """Return them one by one."""
        texts = [" ".join(WORDS[(place * 7919 + k * 104_729) % 5_000] for k in range(12)) for place in range(20_000)]
        return (
            {
                "id": f"r{number}",
                "instruction": f"{texts[number * 7919 % 20_000]} {number}",
                "output": texts[number * 104_729 % 20_000],
                "score": number * 2_654_435_761 % 2**32 / 2**32,
                "length": number % 500,
            }
            for number in range(self.count)
        )


def main() -> None:
    """Print a line for each page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        began = time.perf_counter()
        artifact = Pipeline("rows", outputs={"rows": Rows(count, name="rows")}).run(store=store, watcher=Silent())[
            "rows"
        ]
        print(f"{count:,} rows, {artifact.size / 1e6:.0f} MB, made in {time.perf_counter() - began:.0f} s")
        tokens = Tokens()
        with TestClient(application(CachedStore(store), tokens, "potstill"), base_url=BASE) as client:
            client.get("/", params={"token": tokens.token})
            for name, address in pages(artifact.key, count):
                times = [timed(client, address) for _ in range(TRIES)]
                passed, busy = (statistics.median(one) * 1000 for one in zip(*times, strict=True))
                print(f"{passed:7.0f} ms  {busy:7.0f} ms  {name}", flush=True)


def pages(key: str, count: int) -> Iterator[tuple[str, str]]:
    """Yield what is asked for, with its address."""
    rows = f"/step/{key}/rows"
    yield "runs", "/"
    yield "the step", f"/step/{key}"
    yield "first page", rows
    yield "a page in the middle", f"{rows}?from={count // 2}"
    yield "the last page", f"{rows}?from={count - 50}"
    yield "sorted by a number", f"{rows}?sort=score"
    yield "sorted by a text", f"{rows}?sort=output"
    yield "sorted by a text, in the middle", f"{rows}?sort=output&from={count // 2}"
    yield "two filters", f"{rows}?column=score&is=less&value=0.001&column=length&is=more&value=400"
    yield "a substring in all texts, many rows", f"{rows}?search=word77+"
    yield "a substring in all texts, no row", f"{rows}?search=nowhere"
    yield "a substring, sorted", f"{rows}?search=word77+&sort=score"
    yield "one row", f"/step/{key}/row?n={count // 2}"


def timed(client: TestClient, address: str) -> tuple[float, float]:
    """Return the seconds that a page takes, by the clock and of all processors."""
    began, busy = time.perf_counter(), time.process_time()
    answer = client.get(address)
    assert answer.status_code == 200, answer.text[:500]
    return time.perf_counter() - began, time.process_time() - busy


if __name__ == "__main__":
    main()
