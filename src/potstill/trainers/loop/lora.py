"""Low-rank adapters on a frozen student, in full precision (LoRA) or on 4-bit weights (QLoRA), merged or not."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Interval

from potstill.errors import BadInput

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from potstill.compression.pretrained import PretrainedModel

ALL_LINEAR = "all-linear"
"""Target that stands for every linear layer but the output one."""


@dataclass(frozen=True)
class LoRA:
    """Low-rank adapters: W + alpha / rank * B A, where only A and B are trained.

    Hu et al. 2021 (arXiv 2106.09685), section 4.1.
    """

    rank: Annotated[int, Ge(1)] = 16
    """Rank of the update."""
    alpha: Annotated[float, Ge(0)] = 32.0
    """Scale of the update, divided by the rank; twice the rank is common practice."""
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """Share of the adapters' inputs that is dropped."""
    targets: str | tuple[str, ...] = ALL_LINEAR
    """Names of the layers that get an adapter, or a regular expression of them; `all-linear` is every linear layer but
    the output one (QLoRA, section 4)."""
    merge: bool = True
    """Whether the adapters are merged into the weights at the end, which costs nothing at inference (section 4.1).
    Otherwise the step makes an adapter's folder, for `VLLM(model, lora=step)`."""


@dataclass(frozen=True)
class QLoRA(LoRA):
    """Adapters over a base that is held in 4 bits: a large student on a small machine.

    Dettmers et al. 2023 (arXiv 2305.14314), section 3: NF4 weights, with their scales quantized once more.
    """

    double_quantization: bool = True
    """Whether the scales are quantized too, which saves 0.37 bits a parameter."""


def load_base(student: str | Path, adapter: LoRA, dtype: torch.dtype) -> Any:
    """Load the frozen model that the adapters are attached to: in 4 bits for `QLoRA`, otherwise as float32."""
    import torch
    from transformers import BitsAndBytesConfig

    from potstill.models.encoder_decoder import model_class

    if not isinstance(adapter, QLoRA):
        return model_class(student).from_pretrained(str(student), dtype=torch.float32, use_safetensors=True)
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=adapter.double_quantization,
        bnb_4bit_compute_dtype=dtype,
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model_class(student).from_pretrained(
        str(student), dtype=torch.float32, use_safetensors=True, quantization_config=quantization, device_map=device
    )


def attach(base: PretrainedModel, adapter: LoRA, task: str = "CAUSAL_LM") -> Any:
    """Return `base` frozen, with new float32 adapters (drawn from torch's generator); `task` is peft's name of it.

    Raises:
        BadInput: the model has none of the layers that are to get one.
    """
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    check_targets(base, adapter)
    if isinstance(adapter, QLoRA):
        # casts the layers that stay unquantized, such as norms, to float32
        base = prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=adapter.targets if isinstance(adapter.targets, str) else list(adapter.targets),
        task_type=task,
    )
    return get_peft_model(base, config)


def check_targets(base: nn.Module, adapter: LoRA) -> None:
    """Check that `base` has every layer that is to get an adapter.

    Raises:
        BadInput: it lacks one; the message lists what it has.
    """
    if adapter.targets == ALL_LINEAR:
        return
    layers = linear_layers(base)
    if isinstance(adapter.targets, str):
        missing = [] if any(re.fullmatch(adapter.targets, layer) for layer in layers) else [adapter.targets]
    else:
        missing = [name for name in adapter.targets if not any(f".{layer}".endswith(f".{name}") for layer in layers)]
    if missing or not adapter.targets:
        have = ", ".join(sorted({layer.rpartition(".")[2] for layer in layers}))
        raise BadInput(
            f"targets {', '.join(map(repr, missing)) or 'are empty'}: the model has no such layer; its linear layers "
            f"are {have}; name some of these, or take {ALL_LINEAR!r}"
        )


def linear_layers(model: nn.Module) -> list[str]:
    """Return the names of the layers that an adapter can go onto."""
    import torch
    from transformers.pytorch_utils import Conv1D

    kinds = (torch.nn.Linear, Conv1D)
    return [name for name, module in model.named_modules() if isinstance(module, kinds)]


def why_no_zeros(adapter: LoRA) -> str:
    """Return why weights that are zero can't stay zero with these adapters; empty if they can."""
    if isinstance(adapter, QLoRA):
        return "zeros of 4-bit weights can't be distinguished from small ones: take lora, or train all weights"
    if adapter.dropout:
        return "adapters with dropout can't be kept off the zeros: set it to 0"
    return "" if adapter.merge else "adapters that stay apart fill the zeros again: merge them"


def hold_zero_weights(model: nn.Module) -> int:
    """Keep the adapters of `model` from changing frozen weights that are exactly zero; return how many these are.

    Each layer then computes with W + mask * (alpha / rank * B A), just what `merge` writes: what an adapter adds at a
    zero is subtracted from its output again.
    """
    from peft.tuners.lora import LoraLayer

    held = 0
    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            zeros = layer.get_base_layer().weight == 0
            held += int(zeros.sum())
            layer.register_forward_hook(_without(zeros))
    return held


def _without(zeros: Tensor) -> Callable[[Any, tuple[Tensor, ...], Tensor], Tensor]:
    """Return a hook that subtracts from an adapted layer's output what the adapter adds to the weights at `zeros`.

    It needs the whole update B A, a matrix as large as the weight, at every pass.
    """

    def hook(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        excess = layer.get_delta_weight(layer.active_adapter[0]) * zeros.to(output.device)
        # Conv1D, GPT-2's layer, stores its weight as [inputs, outputs]
        surplus: Tensor = inputs[0].to(excess.dtype) @ (excess if layer.fan_in_fan_out else excess.T)
        return output - surplus

    return hook


def merge(student: str | Path, adapter_folder: Path, hold_zeros: bool = False) -> Any:
    """Return the student with the adapters of `adapter_folder` merged into its weights, in float32.

    With `hold_zeros` weights of linear layers that are zero stay zero.

    The base is loaded again, unquantized. Merging into the 4-bit model that was trained would round the update away,
    and bitsandbytes repacks a 4-bit model's weights in place at its first evaluation on a CPU, after which merging,
    dequantizing and saving it give wrong weights without an error.
    """
    import torch
    from peft import PeftModel

    from potstill.models.encoder_decoder import model_class

    base = model_class(student).from_pretrained(str(student), dtype=torch.float32, use_safetensors=True)
    layers = linear_layers(base) if hold_zeros else []
    zeros = {name: base.get_submodule(name).weight == 0 for name in layers}
    merged = PeftModel.from_pretrained(base, str(adapter_folder)).merge_and_unload(safe_merge=True)
    # the sum of a zero and an update is none: masked after merging, as the hooks did in training
    for name, places in zeros.items():
        merged.get_submodule(name).weight.data[places] = 0
    return merged


def keep_apart(adapter_folder: Path, out: Path, base: str) -> None:
    """Write the adapters of `adapter_folder` to `out`, to be loaded on the model named `base`."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(adapter_folder / "adapter_model.safetensors", out / "adapter_model.safetensors")
    config = json.loads((adapter_folder / "adapter_config.json").read_text(encoding="utf-8"))
    # peft notes the folder that the base was loaded from, which exists on this machine only
    config["base_model_name_or_path"] = base
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (out / "adapter_config.json").write_text(text, encoding="utf-8")
