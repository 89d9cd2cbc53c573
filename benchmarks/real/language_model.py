"""A language model of 12.6 million parameters, trained on the text of P3, for the compression benchmarks.

Texts of 900 characters at most, a passage that recurs under several templates once; every fiftieth is held out. Run as
`potstill run benchmarks/real/language_model.py`: 47 minutes on one core for the 17,149 texts that there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from p3 import DATA, END, short

from potstill import Pipeline, Rows, RowsOutput, Step
from potstill.steps.evaluation.perplexity import EvaluatePerplexity
from potstill.steps.filtering.deduplicate import DeduplicateNear
from potstill.steps.filtering.filter import FilterRows
from potstill.steps.init_models import RandomModel, TrainTokenizer
from potstill.steps.loading.json_files import LoadJSON
from potstill.steps.loading.text_files import LoadText
from potstill.steps.rows.sort_sample import Shuffle
from potstill.trainers import HardLabel

HELD_OUT = 50
"""One text of so many is held out."""
PROMPT = "{{ user }}"


class Texts(Step):
    """P3's texts, prompt and completion together: `train` with `user` and `output`, and `test` with `text`."""

    rows: Rows
    """P3: `prompt`, `completion`."""
    count: int = 20_000
    """Texts to train on."""
    makes = "rows"
    train = RowsOutput()
    test = RowsOutput()

    def run(self, rows: Any) -> dict[str, Any]:
        """Return both."""
        texts = {f"{row['prompt'].strip()} {row['completion'].replace(END, '').strip()}".strip(): None for row in rows}
        # by its hash, so that a text stays on its side whatever else is chosen
        order = sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest())
        test = order[: len(order) // HELD_OUT]
        return {"train": lessons(order[len(test) : len(test) + self.count]), "test": ({"text": text} for text in test)}


def lessons(texts: list[str]) -> Iterator[dict[str, str]]:
    """Yield rows that a trainer of causal models reads."""
    return ({"user": "Text:", "output": text, "text": text} for text in texts)


everything = LoadJSON(DATA / "p3-50k" / "train.jsonl.xz")
rows = FilterRows(everything, keep=short, reason="longer than 900 characters, or empty")
texts = Texts(DeduplicateNear(Shuffle(rows), column="prompt", ngram=4, threshold=0.6))
tokenizer = TrainTokenizer(texts.train, prompt=PROMPT, vocab_size=8192)
start = RandomModel(tokenizer, hidden_size=384, layers=6, intermediate_size=1024, heads=12, kv_heads=4)
model = HardLabel(texts.train, student=start, prompt=PROMPT, epochs=1.5, batch_size=16, learning_rate=1.5e-3)
wikitext = LoadText(DATA / "wikitext-2" / "test.txt")
figures = EvaluatePerplexity(model, {"p3": texts.test, "wikitext": wikitext}, window=256)

pipeline = Pipeline("language_model", outputs={"model": model, "figures": figures})

if __name__ == "__main__":
    run = pipeline.run()
    print(run["model"].path)
    print((run["figures"].path / "metrics.json").read_text())
