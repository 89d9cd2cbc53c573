"""Loading and saving of students, and their zeros held in training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput
from potstill.models.chat import save_tokenizer
from potstill.models.encoder_decoder import model_class
from potstill.models.identity import folder_of as folder_of

if TYPE_CHECKING:
    from torch import Tensor


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer in `folder`.

    Raises:
        BadInput: it has none that can be loaded.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        text = str(error).strip().partition("\n")[0]
        raise BadInput(f"the model {folder} has no tokenizer that can be read: save one beside it ({text})") from error


def load_model(folder: Path, dtype: Any) -> Any:
    """Return the language model in `folder`, causal or encoder-decoder, as `dtype`.

    Raises:
        BadInput: it is quantized, so it can't be trained.
    """
    from transformers import AutoConfig

    method = (getattr(AutoConfig.from_pretrained(folder), "quantization_config", None) or {}).get("quant_method")
    if method:
        raise BadInput(f"the model {folder} is quantized ({method}): train the 16-bit one and quantize it afterwards")
    return model_class(folder).from_pretrained(folder, dtype=dtype, use_safetensors=True)


def trains_in_bf16() -> bool:
    """Return whether bfloat16 is the faster type here: on a GPU that has it, and on a CPU with AMX tiles.

    AVX-512 BF16 alone is not enough: measured on two cores that have it, matrix products took twice as long as in
    float32 and attention's backward pass five times as long.
    """
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def default_learning_rate(parameters: int) -> float:
    """Return the usual learning rate for training all weights of a model of this size.

    1e-3 up to a million parameters, then falling with the square root of the size: 3e-4 at 10 million, 4e-5 at 0.6
    billion, 1.2e-5 at 7 billion; a curve through common practice, not a law.
    """
    return float(min(1e-3, 1e-3 * (1e6 / max(parameters, 1)) ** 0.5))


def hold_zero_weights(model: Any) -> int:
    """Keep weights of linear layers that are exactly zero at zero while training; return how many they are.

    Their gradient is cut before it is clipped and used, so AdamW's update and weight decay of them are zero as well.
    The output layer is left out: it may share its weights with the embedding.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    # a SentenceTransformer wraps its model and has no output layer to ask for
    held, output = 0, model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    for layer in model.modules():
        if not isinstance(layer, (torch.nn.Linear, Conv1D)) or layer is output or not layer.weight.requires_grad:
            continue
        mask = layer.weight != 0
        zeros = int((~mask).sum())
        if zeros:
            held += zeros
            # a hook on the weight, not a mask in the forward pass: the weights stay plain for saving and merging
            layer.weight.register_hook(_masked_by(mask))
    return held


def _masked_by(mask: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a hook that sets a gradient to zero where `mask` is False."""
    return lambda gradient: gradient * mask.to(gradient.device)


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write `model` as bfloat16 safetensors with tokenizer, chat template and generation config."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    # rounded once, at the end: training keeps float32 weights, as small updates vanish in bfloat16
    model = model.to(torch.bfloat16)
    ends = model.generation_config.eos_token_id
    stops = [] if ends is None else ends if isinstance(ends, list) else [ends]
    if tokenizer.eos_token_id not in stops:
        # every training text ends with it, so the student must stop there
        model.generation_config.eos_token_id = tokenizer.eos_token_id
        model.config.eos_token_id = tokenizer.eos_token_id
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    model.generation_config.pad_token_id = pad
    model.config.pad_token_id = pad
    # the Trainer turns it off for training
    model.config.use_cache = True
    model.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
