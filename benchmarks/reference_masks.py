"""Wanda's and SparseGPT's masks beside those of Wanda's own repository, on the same weights and calibration texts.

`--reference FOLDER` is a checkout of github.com/locuslab/wanda, whose `lib/` also holds SparseGPT's code by its
authors. Its `prune_wanda` and `prune_sparsegpt` are run as they are: each takes the model block by block, on the
outputs of the blocks pruned before. What is given to them in place of what they were written for: calibration windows
instead of C4, positions as today's transformers wants them, and no CUDA to wait for where there is none. Agreement is
the share of weights that both keep or both prune. SparseGPT's choices hang on inverted Hessians, so that noise of the
last bit grows from block to block; where the agreement is below the bar, the reference is run again with the texts in
reverse order, to see how far it agrees with itself, and each layer is pruned by both from the same inputs. Run as
`python benchmarks/reference_masks.py --reference FOLDER --store STORE`: some minutes for 12.6 million parameters.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import importlib
import io
import logging
import platform
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import calibrated
from asking import context_in

from potstill.compression.pruning.nm_pattern import parse
from potstill.steps.compression.base import draw
from potstill.steps.pruning.sparsegpt import SparseGPTPrune
from potstill.steps.pruning.unstructured import LayerwisePrune
from potstill.steps.pruning.wanda import WandaPrune

BAR = 0.999
"""Least agreement."""
METHODS: Mapping[str, tuple[type[LayerwisePrune], str]] = {
    "Wanda": (WandaPrune, "prune_wanda"),
    "SparseGPT": (SparseGPTPrune, "prune_sparsegpt"),
}
"""By name: Potstill's step, and the reference's function."""
PATTERNS = ("unstructured", "2:4")
"""Both prune half of the weights."""


@dataclass(frozen=True)
class Masks:
    """What a side keeps, and what it took."""

    kept: Mapping[str, Any]
    """Bool [O, I] by layer."""
    seconds: float
    """Of the pruning, after the model was loaded (ours: with loading, measuring and saving)."""


def main() -> None:
    """Prune with both, and print how far they agree."""
    parser = calibrated.parser(__doc__)
    parser.add_argument("--reference", type=Path, required=True, help="a checkout of github.com/locuslab/wanda")
    parser.add_argument("--dtype", default="auto", help="type that weights are taken in, such as float32")
    given = parser.parse_args()
    if not calibrated.DATA.exists():
        print(f"skipped: no folder {calibrated.DATA}")
        return
    import torch
    from transformers.utils import logging as noise

    noise.disable_progress_bar()
    torch.set_num_threads(given.threads)
    inputs = calibrated.inputs(given)
    reference = reference_functions(given.reference)
    with tempfile.TemporaryDirectory() as folder:
        model = in_type(inputs.model, given.dtype, Path(folder) / "model")
        print(
            f"{platform.machine()}; {inputs.model.name} as {given.dtype}; "
            f"{given.calibration} texts of {given.length} tokens"
        )
        print(f"{'':24}{'agreement':>10}{'least':>10} {'layer':34}{'zeros':>9}{'theirs':>9}{'s':>8}{'theirs':>8}")
        for name, (kind, function) in METHODS.items():
            for pattern in PATTERNS:
                step = kind(
                    str(model),
                    calibration=inputs.calibration,
                    text="text",
                    samples=given.calibration,
                    max_length=given.length,
                    pattern=pattern,
                )
                ours = by_potstill(step, model, inputs.calibration, Path(folder) / f"{name} {pattern}")
                prune = getattr(reference, function)
                theirs = by_reference(prune, step, model, inputs.calibration)
                print(line(f"{name}, {'50 %' if parse(pattern) is None else pattern}", ours, theirs), flush=True)
                if agreement(ours, theirs)[0] < BAR:
                    again = by_reference(prune, step, model, inputs.calibration, reverse=True)
                    print(f"{'  beside itself':24}{agreement(theirs, again)[0]:>10.3%}  (reference, texts in reverse)")
                    alike = layer_by_layer(reference.SparseGPT, step, model, inputs.calibration)
                    print(f"{'  from the same inputs':24}{alike:>10.3%}  {verdict(alike)}", flush=True)


def in_type(model: Path, dtype: str, folder: Path) -> Path:
    """Return a folder of `model` with weights of `dtype`; its own if that is `auto`."""
    if dtype == "auto":
        return model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoModelForCausalLM.from_pretrained(model, dtype=dtype).save_pretrained(folder)
    AutoTokenizer.from_pretrained(model).save_pretrained(folder)
    return folder


def by_potstill(step: Any, model: Path, rows: Any, folder: Path) -> Masks:
    """Return what the `step` leaves."""
    from potstill.models import folder as checkpoint

    folder.mkdir()
    logging.getLogger("benchmark").setLevel(logging.ERROR)
    started = time.perf_counter()
    result = step.run(model=model, calibration=rows, context=context_in(folder, "masks"))
    seconds = time.perf_counter() - started
    return Masks(kept_by(checkpoint.load(result).model), seconds)


def by_reference(prune: Any, step: Any, model: Path, rows: Any, *, reverse: bool = False) -> Masks:
    """Return what the reference's function leaves of the model on the calibration texts that `step` draws."""
    from potstill.models import folder as checkpoint

    loaded = checkpoint.load(model)
    drawn = [ids for ids, _ in draw(step, loaded, rows).texts]
    drawn = drawn[::-1] if reverse else drawn
    ready = as_expected(loaded.model, len(drawn[0]))
    sys.modules[prune.__module__].get_loaders = lambda *_, **__: ([(ids[None],) for ids in drawn], None)  # type: ignore[attr-defined]
    arguments = argparse.Namespace(nsamples=len(drawn), seed=0, sparsity_ratio=step.sparsity, use_variant=False)
    pattern = parse(step.pattern)
    zeros, group = (pattern.group - pattern.kept, pattern.group) if pattern else (0, 0)
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        prune(arguments, ready, None, ready.device, zeros, group)
    return Masks(kept_by(ready), time.perf_counter() - started)


def as_expected(model: Any, length: int) -> Any:
    """Return `model` with what the reference reads of it, and positions where its blocks are called without."""

    def positions(_: Any, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if "position_embeddings" not in named:
            named["position_embeddings"] = model.model.rotary_emb(args[0], named["position_ids"])
        return args, named

    for block in model.model.layers:
        block.register_forward_pre_hook(positions, with_kwargs=True)
    model.seqlen, model.hf_device_map = length, {}
    return model


def reference_functions(folder: Path) -> Any:
    """Return the reference's module of pruning functions."""
    import torch

    if not (folder / "lib" / "prune.py").exists():
        raise SystemExit(f"no lib/prune.py in {folder}: give a checkout of github.com/locuslab/wanda")
    sys.path.insert(0, str(folder))
    if not torch.cuda.is_available():
        torch.cuda.synchronize = lambda device=None: None  # it waits for a GPU
    return importlib.import_module("lib.prune")


def kept_by(model: Any) -> dict[str, Any]:
    """Return which weights of the blocks' layers are other than 0."""
    from potstill.compression.layerwise import block_layers

    return {path: layer.weight.data != 0 for path, layer in block_layers(model).items()}


@dataclass
class Both:
    """What both sides keep of the same inputs, as `walk.Statistic`."""

    ours: Any
    """Potstill's Hessian."""
    theirs: Any
    """The reference's object of the first layer that reads these inputs."""

    def add(self, inputs: Any) -> None:
        """Take in the `inputs` [N, I] of one text."""
        self.ours.add(inputs)
        self.theirs.add_batch(inputs, None)


def layer_by_layer(kind: Any, step: Any, model: Path, rows: Any) -> float:
    """Return the agreement of SparseGPT's masks where each layer is pruned by both from the same weights and inputs."""
    from potstill.compression.layerwise import walk
    from potstill.compression.pruning.sparsegpt import prune_layer
    from potstill.compression.quantization.gptq import Hessian
    from potstill.models import folder as checkpoint

    loaded = checkpoint.load(model)
    same = weights = 0
    pattern = parse(step.pattern)
    for block in walk(loaded.model, [ids[None] for ids, _ in draw(step, loaded, rows).texts]):
        seen = block.record(lambda layer: Both(Hessian(layer.in_features, layer.weight.device), kind(layer)))
        for path, layer in block.layers.items():
            other = kind(copy.deepcopy(layer))
            other.H = seen[path].theirs.H.clone()
            other.fasterprune(step.sparsity, *((pattern.group - pattern.kept, pattern.group) if pattern else ()))
            result = prune_layer(layer.weight.data, seen[path].ours, step.sparsity, pattern, step.damping, None)
            layer.weight.data.copy_(result.weight)
            same += int(((layer.weight.data != 0) == (other.layer.weight.data != 0)).sum())
            weights += layer.weight.numel()
    return same / weights


def agreement(one: Masks, other: Masks) -> tuple[float, str, float]:
    """Return the share of weights that both keep or both prune, the worst layer, and that layer's share."""
    same = {path: (kept == other.kept[path]) for path, kept in one.kept.items()}
    worst = min(same, key=lambda path: float(same[path].float().mean()))
    weights = sum(each.numel() for each in same.values())
    return sum(int(each.sum()) for each in same.values()) / weights, worst, float(same[worst].float().mean())


def zeros_of(masks: Masks) -> float:
    """Return the share of pruned weights."""
    kept = sum(int(each.sum()) for each in masks.kept.values())
    return float(1 - kept / sum(each.numel() for each in masks.kept.values()))


def line(name: str, ours: Masks, theirs: Masks) -> str:
    """Return the table's line."""
    share, worst, least = agreement(ours, theirs)
    return (
        f"{name:24}{share:>10.3%}{least:>10.3%} {worst:34}{zeros_of(ours):>9.3%}{zeros_of(theirs):>9.3%}"
        f"{ours.seconds:>8.1f}{theirs.seconds:>8.1f}  {verdict(share)}"
    )


def verdict(share: float) -> str:
    """Return how an agreement stands to the bar."""
    return f"(bar {BAR:.1%}: {'reached' if share >= BAR else 'NOT reached'})"


if __name__ == "__main__":
    main()
