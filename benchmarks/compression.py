"""What compression costs a language model: quantization and pruning methods by one protocol, in one run.

The model is that of `real/language_model.py` (12.6 million parameters, trained on P3) unless `--model` names another;
every method is calibrated on training texts, and measured on P3's held-out texts and the test text of WikiText-2.
Whether the orders that the papers claim appear is said below the table: GPTQ and AWQ before rounding (Frantar et al.
2022; Lin et al. 2023), Wanda and SparseGPT before magnitude (Sun et al. 2023; Frantar and Alistarh 2023), width before
depth at equal size, with recovery by distillation (Minitron, Muralidharan et al. 2024). Run as
`python benchmarks/compression.py --store STORE` with the store of that pipeline; what is in it isn't computed again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "real"))
import language_model as trained
from p3 import DATA
from packed import packed

from potstill import Pipeline, Step
from potstill.steps.compression.base import CalibratedStep
from potstill.steps.compression.cast_half import CastHalf
from potstill.steps.compression.low_rank import LowRank
from potstill.steps.evaluation.perplexity import EvaluatePerplexity
from potstill.steps.pruning.bonsai import BonsaiPrune
from potstill.steps.pruning.depth import DepthPrune
from potstill.steps.pruning.magnitude import MagnitudePrune
from potstill.steps.pruning.sparsegpt import SparseGPTPrune
from potstill.steps.pruning.wanda import WandaPrune
from potstill.steps.pruning.width import WidthPrune
from potstill.steps.quantization.gobo import GOBO
from potstill.steps.quantization.int4 import QuantizeInt4
from potstill.steps.quantization.int8 import QuantizeInt8
from potstill.steps.quantization.layerwise_distill import LayerwiseDistill
from potstill.steps.quantization.mixed_precision import MixedPrecision
from potstill.steps.quantization.nf4 import NF4
from potstill.steps.rows.sort_sample import Take
from potstill.trainers.compressed.binary import Binary
from potstill.trainers.compressed.ternary import Ternary
from potstill.trainers.language_models.soft_label import SoftLabel

Methods = Mapping[str, tuple[type[Step], Mapping[str, Any]]]
"""By name: the step, and its fields besides model and calibration texts."""
QUANTIZED: Methods = {
    "float16": (CastHalf, {"dtype": "float16"}),
    "int8, W8A8": (QuantizeInt8, {"smoothquant": None, "wide": 0.0}),
    "int8, SmoothQuant": (QuantizeInt8, {"smoothquant": 0.5, "wide": 0.0}),
    "int4-128, rounded": (QuantizeInt4, {"group_size": 128, "method": "rtn"}),
    "int4-128, GPTQ": (QuantizeInt4, {"group_size": 128}),
    "int4-128, AWQ": (QuantizeInt4, {"group_size": 128, "method": "awq"}),
    "int4-32, rounded": (QuantizeInt4, {"method": "rtn"}),
    "int4-32, GPTQ": (QuantizeInt4, {}),
    "int4-32, layerwise": (LayerwiseDistill, {"samples": 32}),
    "int4 and int8, 6 bits": (MixedPrecision, {"bits": 6.0}),
    "NF4": (NF4, {}),
    "GOBO, 3 bits": (GOBO, {}),
}
PRUNED: Methods = {
    f"{label}, {name}": (kind, {**form, **more})
    for label, form in (
        ("20 %", {"sparsity": 0.2}),
        ("40 %", {"sparsity": 0.4}),
        ("50 %", {"sparsity": 0.5}),
        ("2:4", {"pattern": "2:4"}),
    )
    for name, kind, more in (
        ("magnitude", MagnitudePrune, {"scope": "layer"}),
        ("Wanda", WandaPrune, {}),
        ("SparseGPT", SparseGPTPrune, {}),
    )
}
CUT: Methods = {
    "units 1024 -> 832, width": (WidthPrune, {"intermediate_size": 832}),
    "units 1024 -> 640, width": (WidthPrune, {"intermediate_size": 640}),
    "units 1024 -> 512, width": (WidthPrune, {"intermediate_size": 512}),
    "units 1024 -> 512, Bonsai": (BonsaiPrune, {"intermediate_size": 512, "submodels": 60, "step": 0.125}),
    "units 1024 -> 640, Bonsai": (BonsaiPrune, {"intermediate_size": 640, "submodels": 60, "step": 0.125}),
    "units 1024 -> 640, Wanda's score": (BonsaiPrune, {"intermediate_size": 640, "submodels": 0, "step": 0.125}),
    "units 1024 -> 512, Wanda's score": (BonsaiPrune, {"intermediate_size": 512, "submodels": 0, "step": 0.125}),
    "layers 6 -> 5, influence": (DepthPrune, {"layers": 5}),
    "layers 6 -> 4, influence": (DepthPrune, {"layers": 4}),
    "rank for 80 %, whitened": (LowRank, {"budget": 0.8}),
    "rank for 80 %, plain": (LowRank, {"budget": 0.8, "method": "plain"}),
}
EQUAL: Methods = {
    "smaller by width": (WidthPrune, {"intermediate_size": 576}),
    "smaller by width, evenly": (WidthPrune, {"hidden_size": 320, "intermediate_size": 832}),
    "smaller by depth": (DepthPrune, {"layers": 4}),
}
"""Of nearly the same size: 1024 to 576 units leave out 3.1 million weights, 384 to 320 channels and 1024 to 832 units
3.2, 2 of 6 layers 3.15."""
LOW_BITS = {"1.58 bits, trained": Ternary, "1 bit, trained": Binary}
ORDERS = (
    ("int4-128, GPTQ", "int4-128, rounded"),
    ("int4-128, AWQ", "int4-128, rounded"),
    ("50 %, Wanda", "50 %, magnitude"),
    ("50 %, SparseGPT", "50 %, magnitude"),
    ("2:4, Wanda", "2:4, magnitude"),
    ("2:4, SparseGPT", "2:4, Wanda"),
    ("units 1024 -> 640, Bonsai", "units 1024 -> 640, Wanda's score"),
    ("units 1024 -> 512, Bonsai", "units 1024 -> 512, Wanda's score"),
    ("rank for 80 %, whitened", "rank for 80 %, plain"),
    ("smaller by width", "smaller by depth"),
    ("smaller by width, recovered", "smaller by depth, recovered"),
    ("smaller by width, evenly, recovered", "smaller by depth, recovered"),
)
"""What the papers claim to be better, and than what."""
WITHIN = 1.001
"""W8A8's perplexity is to be at most so many times that of 16 bits."""


def main() -> None:
    """Compress, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a causal model's folder, in place of the trained one")
    parser.add_argument("--groups", nargs="+", default=["quantized", "pruned", "cut", "trained"])
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--test", type=int, default=10**9, help="test texts of each set, at most")
    parser.add_argument("--epochs", type=float, default=0.15, help="of recovery and of training in low bits")
    parser.add_argument("--store", default=os.environ.get("POTSTILL_STORE", ".potstill"))
    given = parser.parse_args()
    if not (DATA / "p3-50k").exists():
        print(f"skipped: no folder {DATA / 'p3-50k'}")
        return
    model = given.model or trained.model
    sets = {"p3": Take(trained.texts.test, given.test), "wikitext": Take(trained.wikitext, given.test)}
    groups = {"quantized": QUANTIZED, "pruned": PRUNED, "cut": CUT}
    methods = {name: method for group in given.groups for name, method in groups.get(group, {}).items()}
    result: dict[str, Any] = {"as trained": model}
    result |= {name: compressed(kind, fields, model, trained.texts.train) for name, (kind, fields) in methods.items()}
    if "trained" in given.groups:
        result |= with_training(model, trained.texts.train, given.epochs)
    scores = {name: EvaluatePerplexity(one, sets, window=given.window) for name, one in result.items()}
    models = {f"{name}, model": one for name, one in result.items() if isinstance(one, Step)}
    run = Pipeline("compression", outputs={**scores, **models}).run(store=given.store)
    print(f"{platform.machine()}; windows of {given.window} tokens")
    print(
        table(
            {name: json.loads((run[name].path / "metrics.json").read_text(encoding="utf-8")) for name in scores},
            {name: notes(run, name) for name in scores},
        )
    )


def compressed(kind: type[Step], fields: Mapping[str, Any], model: Any, texts: Any) -> Step:
    """Return the step that compresses `model`, with calibration texts where it takes some."""
    takes = issubclass(kind, CalibratedStep) or "smoothquant" in fields
    return kind(model, **fields, **({"calibration": texts, "text": "text"} if takes else {}))  # type: ignore[call-arg]


def with_training(model: Any, texts: Any, epochs: float) -> dict[str, Step]:
    """Return the models that learn after they are compressed, or in between."""
    how: dict[str, Any] = {"prompt": trained.PROMPT, "epochs": epochs, "batch_size": 16, "learning_rate": 1e-3}
    recover = SoftLabel(texts, student=model, teacher=model, alpha=1.0, **how)
    result: dict[str, Step] = {}
    for name, (kind, fields) in EQUAL.items():
        result[name] = compressed(kind, fields, model, texts)
        result[f"{name}, recovered"] = dataclasses.replace(result[name], recover=recover)  # type: ignore[call-arg]
    return result | {name: kind(texts, student=model, **how) for name, kind in LOW_BITS.items()}


def notes(run: Any, name: str) -> Mapping[str, Any]:
    """Return what the step that made a model noted, if a step made it."""
    try:
        return dict(run[f"{name}, model"].manifest.get("notes", {}), seconds=run[f"{name}, model"].manifest["seconds"])
    except KeyError:
        return {}


def table(scores: Mapping[str, Any], told: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table, and which claims hold."""
    lines = [
        f"{'':36}{'MB':>8}{'packed':>8}{'nonzero':>9}{'P3':>9}{'±':>6}{'WikiText':>10}{'±':>8}"
        f"{'tokens/s':>10}{'seconds':>9}"
    ]
    for name, one in scores.items():
        nonzero = one["nonzero_parameters"]
        share = f"{nonzero / one['parameters']:.0%}" if nonzero is not None else "?"
        cells = ""
        for name_of_set, width, room in (("p3", 9, 6), ("wikitext", 10, 8)):
            figures = one["sets"][name_of_set]
            spread = (figures["perplexity_high"] - figures["perplexity_low"]) / 2
            cells += f"{figures['perplexity']:>{width}.2f}{spread:>{room}.2f}"
        seconds = told[name].get("seconds")
        sizes = f"{one['weights_bytes'] / 1e6:>8.2f}{packed(one, told[name]) / 1e6:>8.2f}"
        lines.append(
            f"{name:36}{sizes}{share:>9}{cells}{one['tokens_per_s']:>10.0f}"
            f"{'' if seconds is None else format(seconds, '.1f'):>9}"
        )
    actual = {name: one["sets"]["p3"]["perplexity"] for name, one in scores.items()}
    for better, worse in ORDERS:
        if better in actual and worse in actual:
            holds = "holds" if actual[better] < actual[worse] else "does NOT hold"
            lines.append(f"{better} ({actual[better]:.3f}) before {worse} ({actual[worse]:.3f}): {holds}")
    if "int8, W8A8" in actual:
        ratio = actual["int8, W8A8"] / actual["as trained"]
        lines.append(f"W8A8 beside 16 bits: {ratio:.5f} (at most {WITHIN}: {'holds' if ratio <= WITHIN else 'NOT'})")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
