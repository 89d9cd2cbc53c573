"""Novelty of candidates against a large pool: Potstill's `RougePool` against a plain loop over `rouge_score`.

Both sides judge the same texts in one run and one thread; the loop judges the first `--slow` candidates only, each
against the whole pool. Run as `python benchmarks/novelty.py TEXTS`, where TEXTS is a file of lines, or of JSON lines
(plain, .gz or .xz) of which `--field` is read.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import platform
import random
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from rouge_score.rouge_scorer import RougeScorer

from potstill.text.rouge_novelty import RougePool

Made = TypeVar("Made")
BAR = 50
"""How many times faster the pool must be."""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path, help="a file of texts, one a line")
    parser.add_argument("--field", default="prompt", help="field of a JSON line")
    parser.add_argument("--pool", type=int, default=52_000, help="texts in the pool")
    parser.add_argument("--candidates", type=int, default=2000, help="texts that the pool judges")
    parser.add_argument("--slow", type=int, default=3, help="texts that the loop judges too")
    parser.add_argument("--threshold", type=float, default=0.7)
    parser.add_argument("--words", type=int, nargs=2, default=(4, 150), help="fewest and most words of a text")
    given = parser.parse_args()
    if not given.texts.exists():
        print(f"skipped: no file {given.texts}")
        return
    texts = sorted(set(read(given.texts, given.field, *given.words)))
    random.Random(0).shuffle(texts)
    known, asked = texts[: given.pool], texts[given.pool :][: given.candidates]
    words = sorted(len(text.split()) for text in texts)
    print(
        f"{platform.machine()}, Python {platform.python_version()}; {len(texts)} different texts, words: "
        f"median {words[len(words) // 2]}, 9 in 10 below {words[len(words) * 9 // 10]}"
    )
    compare(known, asked, given.slow, given.threshold)


def read(path: Path, field: str, least: int, most: int) -> Iterator[str]:
    """Yield the texts of a file, cut into lines and those into pieces of at most `most` words."""
    openers: dict[str, Any] = {".xz": lzma.open, ".gz": gzip.open}
    with openers.get(path.suffix, open)(path, "rt", encoding="utf-8") as file:
        for line in file:
            text = str(json.loads(line)[field]) if line.startswith("{") else line
            for part in text.splitlines():
                words = part.split()[:most]
                if len(words) >= least:
                    yield " ".join(words)


def compare(known: list[str], asked: list[str], slow: int, threshold: float) -> None:
    """Print the seconds a candidate of both sides, whether they decide alike, and the memory of the pool."""
    pool = RougePool(threshold)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, building = timed(lambda: fill(pool, known))
    ours, fast = timed(lambda: [pool.nearest(text)[0] for text in asked])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    scorer = RougeScorer(["rougeL"], use_stemmer=False)

    def loop(text: str) -> float:
        return max(float(scorer.score(text, other)["rougeL"].fmeasure) for other in known)

    theirs, plain = timed(lambda: [loop(text) for text in asked[:slow]])
    same = all((a > threshold) == (b > threshold) and (a == b or b < threshold) for a, b in zip(ours, theirs))  # noqa: B905
    rows = [("rouge_score loop", plain / slow, slow), ("RougePool", fast / len(asked), len(asked))]
    print(f"{'':20}{'candidates':>12}{'ms each':>12}{'52,000 take':>14}")
    for name, seconds, count in rows:
        print(f"{name:20}{count:>12}{seconds * 1e3:>12.3f}{seconds * 52_000 / 3600:>12.2f} h")
    ratio = rows[0][1] / rows[1][1]
    print(
        f"{ratio:.0f} times faster (bar {BAR}); decisions and scores {'equal' if same else 'DIFFER'}; "
        f"{sum(score > threshold for score in ours)} of {len(asked)} not novel"
    )
    print(
        f"pool of {len(known)}: {pool.nbytes / 2**20:.1f} MiB counted, {peak / 2**10:.1f} MiB measured, "
        f"filled in {building:.1f} s"
    )
    if not same or ratio < BAR:
        raise SystemExit(1)


def fill(pool: RougePool, texts: list[str]) -> None:
    """Put texts into the pool."""
    for text in texts:
        pool.add(text)


def timed(work: Callable[[], Made]) -> tuple[Made, float]:
    """Return the result and the seconds of process time (waiting for a core does not count)."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


if __name__ == "__main__":
    main()
