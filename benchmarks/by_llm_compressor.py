"""llm-compressor's side of `llm_compressor.py`: runs in an environment of its own, so it knows nothing of Potstill.

Reads a request as JSON, writes the compressed folder, and prints as its last line what it took, as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any


def main() -> None:
    """Compress as the request says."""
    request = json.loads(sys.argv[1])
    import torch
    from datasets import Dataset
    from llmcompressor import oneshot
    from llmcompressor.pipelines.cache import IntermediatesCache
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(request["threads"])
    if not torch.cuda.is_available():
        IntermediatesCache.pin_memory = lambda *_, **__: None  # it fails without an accelerator (0.14, AWQ)
    model = AutoModelForCausalLM.from_pretrained(request["model"], dtype=torch.bfloat16)
    with open(request["tokens"], encoding="utf-8") as file:  # noqa: PTH123 # nothing more to do with it
        ids = json.load(file)
    rows = Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * len(one) for one in ids]})
    data = (
        {}
        if request["case"] == "W8A8"
        else {
            "dataset": rows,
            "num_calibration_samples": len(ids),
            "max_seq_length": max(map(len, ids)),
            "batch_size": request["batch"],
            "shuffle_calibration_samples": False,
        }
    )
    started = time.process_time()
    oneshot(model=model, recipe=recipe(request["case"], request["group"]), **data)
    compressed = time.process_time() - started
    model.save_pretrained(request["out"], save_compressed=True)
    AutoTokenizer.from_pretrained(request["model"]).save_pretrained(request["out"])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({"compression": compressed, "whole": time.process_time(), "memory": memory}))


def recipe(case: str, group: int) -> Any:
    """Return llm-compressor's modifiers for a case."""
    from compressed_tensors.quantization import preset_name_to_scheme
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from llmcompressor.modifiers.transform.awq import AWQModifier
    from llmcompressor.modifiers.transform.smoothquant import SmoothQuantModifier

    name = {"GPTQ": "W4A16", "GPTQ, zero points": "W4A16_ASYM", "AWQ": "W4A16_ASYM"}.get(case, "W8A8")
    scheme = preset_name_to_scheme(name, ["Linear"])
    if name != "W8A8":
        scheme.weights.group_size = group
    fields = {"config_groups": {"group_0": scheme}, "ignore": ["lm_head"]}
    result = {
        "W8A8": [QuantizationModifier(**fields)],
        "W8A8, SmoothQuant": [SmoothQuantModifier(smoothing_strength=0.5), QuantizationModifier(**fields)],
        "GPTQ": [GPTQModifier(**fields)],
        "GPTQ, zero points": [GPTQModifier(**fields)],
        "AWQ": [AWQModifier(), QuantizationModifier(**fields)],
    }
    return result[case]


if __name__ == "__main__":
    main()
