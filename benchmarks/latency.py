"""How fast compressed language models are in vLLM: first token, tokens a second, memory, by one protocol.

Those methods of `compression.py` whose folders vLLM loads, on prompts of P3's held-out texts, one model after another
on a machine that does nothing else. Run as `python benchmarks/latency.py --store STORE` with the store of that script,
whose models are taken from there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "real"))
from compression import CUT, QUANTIZED, Methods, compressed
from language_model import model, texts
from p3 import DATA

from potstill import Pipeline, Rows, Step
from potstill.steps.evaluation.language_model import Evaluate
from potstill.steps.pruning.width import WidthPrune
from potstill.steps.rows.sort_sample import Take

HALF = "half of units and heads"
METHODS: Methods = {**QUANTIZED, **CUT, HALF: (WidthPrune, {"intermediate_size": 512, "heads": 6})}
SERVED = (
    "float16",
    "int8, W8A8",
    "int4-128, GPTQ",
    "int4 and int8, 6 bits",
    "units 1024 -> 832, width",
    "units 1024 -> 640, width",
    "units 1024 -> 512, width",
    "layers 6 -> 5, influence",
    "layers 6 -> 4, influence",
    HALF,
)
"""What vLLM loads; the others are read by other runtimes, or are as fast as the model that they were made from."""


class Prompts(Step):
    """The beginning of each text as an instruction; there is no right answer to it."""

    rows: Rows
    """`text`."""
    words: int = 100
    """Words that are kept."""
    makes = "rows"

    def run(self, rows: Any) -> Iterator[dict[str, str]]:
        """Return the rows."""
        for row in rows:
            words = row["text"].split()
            if len(words) >= self.words // 2:
                yield {"instruction": " ".join(words[: self.words]), "output": ""}


def main() -> None:
    """Serve, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=SERVED, choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=32, help="of an answer, at most")
    parser.add_argument("--store", default=os.environ.get("POTSTILL_STORE", ".potstill"))
    given = parser.parse_args()
    if not (DATA / "p3-50k").exists():
        print(f"skipped: no folder {DATA / 'p3-50k'}")
        return
    result: dict[str, Any] = {"as trained": model}
    for name in given.methods:
        kind, fields = METHODS[name]
        result[name] = compressed(kind, fields, model, texts.train)
    prompts = Take(Prompts(texts.test), given.prompts)
    scores = {
        name: Evaluate(one, prompts, prompt="{{ instruction }}", max_tokens=given.tokens, latency_requests=40)
        for name, one in result.items()
    }
    run = Pipeline("latency", outputs=scores).run(store=given.store)
    print(f"{platform.machine()}; vLLM; {given.prompts} prompts, answers of at most {given.tokens} tokens")
    print(table({name: json.loads((run[name].path / "metrics.json").read_text(encoding="utf-8")) for name in scores}))


def table(figures: Mapping[str, Any]) -> str:
    """Return the table; times as fast are of tokens a second, and of the median first token."""
    first = figures["as trained"]
    lines = [
        f"{'':28}{'MB':>8}{'first token, ms':>17}{'95th':>7}{'faster':>8}{'tokens/s':>10}{'faster':>8}{'peak MB':>9}"
    ]
    for name, one in figures.items():
        latency, speed = one["first_token_ms_p50"], one["tokens_per_s"]
        lines.append(
            f"{name:28}{one['weights_bytes'] / 1e6:>8.2f}{latency:>17.1f}{one['first_token_ms_p95']:>7.1f}"
            f"{first['first_token_ms_p50'] / latency:>8.2f}{speed:>10.1f}{speed / first['tokens_per_s']:>8.2f}"
            f"{one['peak_memory_bytes'] / 1e6:>9.0f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
