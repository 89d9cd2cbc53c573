"""Model folders as compression steps read and write them: load, carry the rest of the folder over."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.errors import BadInput
from potstill.models import folder_of

CARRIED = (
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "*.jinja",
    "*.model",
    "generation_config.json",
    "LICENSE*",
    "LICENCE*",
    "NOTICE*",
)
"""Files that a compressed model shares with the model that it was made from."""


@dataclass
class Loaded:
    """A model in memory, with the folder that it came from."""

    folder: Path
    """Where it was loaded from."""
    model: Any
    """`transformers.PreTrainedModel`, in evaluation mode, on the GPU if there is one."""
    tokenizer: Any
    """Its tokenizer."""

    def carry(self, out: Path) -> None:
        """Copy tokenizer, chat template, generation config and licences to `out` unchanged."""
        for path in sorted({path for pattern in CARRIED for path in self.folder.glob(pattern)}):
            if path.is_file():
                shutil.copyfile(path, out / path.name)


def load(model: Any, *, half: bool = False) -> Loaded:
    """Load `model`, a folder, a Hub id or a teacher that names one.

    Args:
        model: what a step's model field holds when it runs.
        half: whether float32 weights are taken as bfloat16, because they will serve 16-bit activations.

    Raises:
        BadInput: it is no model folder, an adapter, quantized already, or of an architecture that can't be compressed.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from potstill.compression.walk import check_architecture

    folder = folder_of(model)
    config = AutoConfig.from_pretrained(folder)
    method = (getattr(config, "quantization_config", None) or {}).get("quant_method")
    if method:
        raise BadInput(
            f"the model {folder} is quantized already ({method}): compress the 16-bit model it was made from"
        )
    check_architecture(config.model_type)
    dtype = torch.bfloat16 if half and getattr(config, "dtype", None) in (None, torch.float32) else "auto"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True).to(device).eval()
    return Loaded(folder, loaded, AutoTokenizer.from_pretrained(folder))
