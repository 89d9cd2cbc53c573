"""Sequence-level distillation on Multi30k, English to German: no distillation, word-level, sequence-level, and both.

After Kim and Rush 2016 (arXiv 1606.07947, table 1): teacher and student are encoder-decoders trained here from nothing
on the same sentences, with one tokenizer; the student learns the data's translations, the teacher's distributions over
them, or what the teacher writes by beam search. BLEU is sacrebleu's, on the Flickr test set of 2016, greedy and with
the teacher's beam. Run as `python benchmarks/sequence_level.py`; POTSTILL_DATASETS says where `multi30k-en-de` lies.
Everything is kept in `--store`, so a run that was stopped goes on, and another seed trains no teacher again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from potstill import Output, Pipeline, Step
from potstill.recipes.lessons import TrainCausal
from potstill.recipes.sequence_level import SequenceLevel
from potstill.steps.evaluation.translation import EvaluateTranslation
from potstill.steps.init_models import RandomSeq2Seq, TrainTokenizer
from potstill.steps.loading.text_files import LoadText
from potstill.steps.rows.concat_zip import Zip
from potstill.steps.rows.sort_sample import Take
from potstill.trainers.language_models.hard_label import HardLabel
from potstill.trainers.language_models.soft_label import SoftLabel

DATA = (
    Path(os.environ.get("POTSTILL_DATASETS", Path(__file__).resolve().parents[2] / "shared" / "datasets"))
    / "multi30k-en-de"
)
LANGUAGES = (("en", "instruction"), ("de", "output"))
SEARCHES: tuple[Literal["greedy", "beam"], ...] = ("greedy", "beam")
BAR = 1.0
"""BLEU, greedy, that sequence-level with word-level distillation is to gain on no distillation."""


@dataclass(frozen=True)
class Size:
    """A model's size."""

    hidden: int
    layers: int
    intermediate: int


def main() -> None:
    """Train all, print the table."""
    given = options()
    if not (DATA / "train.en.gz").exists():
        print(f"skipped: no file {DATA / 'train.en.gz'}")
        return
    models = trained(given)
    outputs = measured(given, models)
    run = Pipeline("sequence_level", outputs=outputs).run(store=given.store)
    metrics = {name: json.loads((run[name].path / "metrics.json").read_text(encoding="utf-8")) for name in outputs}
    print(
        table(
            {
                name: {
                    search: [metrics[f"{name}_{search}_{number}"] for number in range(len(models[name]))]
                    for search in SEARCHES
                }
                for name in models
            }
        )
    )


def options() -> argparse.Namespace:
    """Return the sizes of the run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path(".potstill"), help="where everything is kept")
    parser.add_argument("--train", type=int, default=29_000, help="sentences to learn from")
    parser.add_argument("--test", type=int, default=1000, help="sentences to translate")
    parser.add_argument("--seeds", type=int, default=1, help="students of each kind")
    parser.add_argument("--vocabulary", type=int, default=6000, help="tokens of both languages")
    parser.add_argument("--teacher", type=int, nargs=3, default=(128, 2, 512), help="hidden, layers, feed-forward")
    parser.add_argument("--student", type=int, nargs=3, default=(64, 1, 128), help="the same of the student")
    parser.add_argument("--teacher-epochs", type=float, default=7)
    parser.add_argument("--epochs", type=float, default=4, help="of the students")
    parser.add_argument("--batch", type=int, default=128, help="sentences a step")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--alpha", type=float, default=0.5, help="weight of the teacher's distributions")
    parser.add_argument("--beams", type=int, default=5)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--max-failed", type=float, default=0.01, help="share of sentences the teacher may not finish")
    parser.add_argument("--interpolate", action="store_true", help="also Kim and Rush's interpolation (section 3.3)")
    return parser.parse_args()


def pairs(name: str, count: int) -> Step:
    """Return captions and their translations."""
    sides: list[Step | Output] = [LoadText(DATA / f"{name}.{side}.gz", column=column) for side, column in LANGUAGES]
    return Take(Zip(sides), count)


def measured(given: argparse.Namespace, models: dict[str, list[Step]]) -> dict[str, Step]:
    """Return the measurement of each model by each search."""
    test = pairs("test_2016_flickr", given.test)
    settings: dict[str, Any] = {"beams": given.beams, "max_tokens": given.max_tokens}
    return {
        f"{name}_{search}_{number}": EvaluateTranslation(model, test, method=search, **settings)
        for name, own in models.items()
        for number, model in enumerate(own)
        for search in SEARCHES
    }


def trained(given: argparse.Namespace) -> dict[str, list[Step]]:
    """Return the teacher, and the students of each kind, one a seed."""
    rows = pairs("train", given.train)
    tokenizer = TrainTokenizer(rows, vocab_size=given.vocabulary)
    large, small = Size(*given.teacher), Size(*given.student)
    shared = {"batch_size": given.batch, "learning_rate": given.rate, "max_length": 2 * given.max_tokens}
    teacher = HardLabel(rows, student=start(tokenizer, large, given.dropout, 0), epochs=given.teacher_epochs, **shared)
    written: dict[str, Any] = {"teacher": teacher, "decode": "beam", "beams": given.beams}
    written |= {"max_tokens": given.max_tokens, "max_failed": given.max_failed}
    result: dict[str, list[Step]] = {"teacher": [teacher]}
    for seed in range(given.seeds):
        student = start(tokenizer, small, given.dropout, seed)
        train = TrainCausal(
            SoftLabel(rows, student=student, alpha=given.alpha, epochs=given.epochs, seed=seed, **shared)
        )
        own = {
            "none": train(rows, student, None),
            "word": train(rows, student, teacher),
            "sequence": SequenceLevel(rows, student=student, train=train, **written),
            "both": SequenceLevel(rows, student=student, train=train, word_level=given.alpha, **written),
        }
        if given.interpolate:
            own["interpolated"] = SequenceLevel(
                rows, student=student, train=train, word_level=given.alpha, interpolate=True, **written
            )
        for name, model in own.items():
            result.setdefault(name, []).append(model)
    return result


def start(tokenizer: Step, size: Size, dropout: float, seed: int) -> Step:
    """Return an untrained encoder-decoder."""
    return RandomSeq2Seq(
        tokenizer,
        hidden_size=size.hidden,
        layers=size.layers,
        intermediate_size=size.intermediate,
        dropout=dropout,
        seed=seed,
    )


WIDTHS = (12, 16, 16, 14, 10, 14)


def table(metrics: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    """Return the table of the metrics by model and search, and what follows from it."""
    heads = ("parameters", "greedy", "beam", "chrF, greedy", "tokens/s", "rows/s, beam")
    lines = [" " * 14 + "".join(f"{head:>{width}}" for head, width in zip(heads, WIDTHS, strict=True))]
    for name, own in metrics.items():
        bleu = {search: [result["sets"]["test"]["bleu"] for result in own[search]] for search in SEARCHES}
        chrf = statistics.fmean(result["sets"]["test"]["chrf"] for result in own["greedy"])
        tokens = statistics.fmean(result["tokens_per_s"] for result in own["greedy"])
        rows = statistics.fmean(result["rows_per_s"] for result in own["beam"])
        size = own["greedy"][0]["parameters"]
        lines.append(
            f"{name:14}{size:>12,}{spread(bleu['greedy']):>16}{spread(bleu['beam']):>16}{chrf:>14.1f}"
            f"{tokens:>10.0f}{rows:>14.1f}"
        )
    test = metrics["teacher"]["greedy"][0]["sets"]["test"]
    gain = greedy(metrics["both"]) - greedy(metrics["none"])
    lines.append(f"BLEU {test['signature']}, {test['n']} sentences")
    verdict = "reached" if gain >= BAR else "NOT reached"
    lines.append(f"both against none, greedy: {gain:+.2f} BLEU (bar {BAR:+.1f}: {verdict})")
    return "\n".join(lines)


def greedy(own: dict[str, list[dict[str, Any]]]) -> float:
    """Return a model's mean BLEU by greedy search."""
    return statistics.fmean(result["sets"]["test"]["bleu"] for result in own["greedy"])


def spread(values: list[float]) -> str:
    """Return the mean of some runs, and their deviation where there are several."""
    mean = f"{statistics.fmean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.2f}"


if __name__ == "__main__":
    main()
