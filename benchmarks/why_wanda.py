"""Why Wanda is ahead of magnitude by less here than in its paper: what the two differ in, on the model that is pruned.

Wanda's score is magnitude times the norm of the input (Sun et al. 2023, equation 1), so the two differ as far as norms
do. The paper traces its lead to a few features of large models that are a hundred times the others (Dettmers et al.
2022). Printed are how unequal norms are, how many weights the two masks disagree on, and the error of the layers'
outputs on the calibration texts. Run as `python benchmarks/why_wanda.py --store STORE` with the store of
`compression.py`.
"""

from __future__ import annotations

import platform
import statistics
from typing import Any

import calibrated

Figures = dict[str, list[float]]
FORMS = {"50 % of a row": None, "2:4": "2:4"}


def main() -> None:
    """Compare the masks of all layers, and print the table."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    given = calibrated.parser(__doc__).parse_args()
    if not calibrated.DATA.exists():
        print(f"skipped: no folder {calibrated.DATA}")
        return
    torch.set_num_threads(given.threads)
    inputs = calibrated.inputs(given)
    tokenizer = AutoTokenizer.from_pretrained(inputs.model)
    ids = [tokenizer(text)["input_ids"][: given.length] for text in inputs.calibration["text"]]
    model = AutoModelForCausalLM.from_pretrained(inputs.model, dtype=torch.float32).eval()
    actual = compared(model, list(torch.split(torch.tensor(ids), 16)))
    print(f"{platform.machine()}; {given.calibration} texts of {given.length} tokens; medians of the layers")
    for name, values in actual.items():
        print(f"{name:58}{statistics.median(values):>8.3f}  ({min(values):.3f} to {max(values):.3f})")


def compared(model: Any, batches: list[Any]) -> Figures:
    """Return the figures of every layer, whose inputs are those of the whole model."""
    from potstill.compression.layerwise import walk
    from potstill.compression.pruning.magnitude import pattern_mask, prune_masks
    from potstill.compression.pruning.nm_pattern import parse
    from potstill.compression.pruning.wanda import mask
    from potstill.compression.quantization.gptq import Hessian, layer_error

    actual: Figures = {}

    def note(name: str, value: Any) -> None:
        actual.setdefault(name, []).append(float(value))

    for block in walk(model, batches):
        for path, hessian in block.record(lambda layer: Hessian(layer.in_features)).items():
            weight, mean = block.layers[path].weight.data, hessian.mean()
            norms = mean.diagonal().sqrt().float()
            note("largest norm of an input over the median", norms.max() / norms.median())
            groups = norms.reshape(-1, 4)
            note("largest norm over the least of 4 neighbours, median", (groups.amax(1) / groups.amin(1)).median())
            for form, text in FORMS.items():
                pattern = parse(text) if text else None
                plain = pattern_mask(weight, pattern) if pattern else next(iter(prune_masks([weight], 0.5, "layer")))
                wanda = mask(weight, norms, 0.5, pattern)
                note(
                    f"{form}: weights that one of the masks keeps and the other drops", (plain != wanda).float().mean()
                )
                lost = [layer_error(weight, weight * kept, mean).sum() for kept in (plain, wanda)]
                note(f"{form}: error of the outputs, Wanda's over magnitude's", lost[1] / lost[0])
    return actual


if __name__ == "__main__":
    main()
