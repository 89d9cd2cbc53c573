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

from potstill.compression.model_types import READ_BY_KERNELS
from potstill.errors import BadInput
from potstill.trainers.loop import experts
from potstill.trainers.loop.student_model import refuse_quantized

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from potstill.compression.pretrained import PretrainedModel

ALL_LINEAR = "all-linear"
"""Target that stands for every linear layer but the output one and routers, experts included."""


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
    the output one (QLoRA, section 4) and routers, and the weights of all experts."""
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
    """Load the frozen model that the adapters are attached to: in 4 bits for `QLoRA`, otherwise in its own type.

    It computes as if its weights (for `QLoRA` those that are not in 4 bits) were float32.

    Raises:
        BadInput: it can't be loaded, is quantized already, or is a mixture of experts that shall be held in 4 bits.
    """
    import torch
    from transformers import BitsAndBytesConfig

    from potstill.models import encoder_decoder
    from potstill.trainers.loop.frozen import hold_in_own_type, type_to_load

    # the adapters are merged into the 16-bit weights, which such a folder lacks
    refuse_quantized(student)
    if not isinstance(adapter, QLoRA):
        base = encoder_decoder.load(student, "be trained", {"dtype": type_to_load(student)})
        hold_in_own_type(base)
        return base
    experts.refuse_in_4_bits(student)
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=adapter.double_quantization,
        bnb_4bit_compute_dtype=dtype,
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options = {"dtype": type_to_load(student), "quantization_config": quantization, "device_map": device}
    base = encoder_decoder.load(student, "be trained in 4 bits", options)
    for module in base.modules():
        # 4-bit numbers times their scales are rounded to this type, which would otherwise be the stored weights'
        if (state := getattr(getattr(module, "weight", None), "quant_state", None)) is not None:
            state.dtype = torch.float32
    hold_in_own_type(base)
    return base


def attach(base: PretrainedModel, adapter: LoRA, task: str = "CAUSAL_LM") -> Any:
    """Return `base` frozen, with new float32 adapters (drawn from torch's generator); `task` is peft's name of it.

    Raises:
        BadInput: the model has none of the layers that are to get one, or one that can't.
    """
    from peft import LoraConfig, get_peft_model

    from potstill.trainers.loop.frozen import as_float32

    check_targets(base, adapter)
    targets = experts.targets_of(base, allowed_targets(base, adapter.targets))
    if targets.parameters and adapter.dropout:
        raise BadInput(
            "dropout: adapters of experts have none, as their inputs are not seen apart: set it to 0, or name the "
            f"targets without {', '.join(targets.parameters)}"
        )
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=targets.modules,
        target_parameters=targets.parameters or None,
        task_type=task,
    )
    with as_float32(base):
        return get_peft_model(base, config)


def allowed_targets(base: PretrainedModel, targets: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Return `targets` without the layers of state-space models that can't have an adapter.

    Mamba's kernels read the weights of its output projection themselves, so that an adapter on it has no effect.

    Raises:
        BadInput: they name such a layer.
    """
    past = READ_BY_KERNELS.get(base.config.model_type)
    if past is None:
        return targets
    layers = linear_layers(base)
    unfit = [name for name in layers if name.rpartition(".")[2] in past]
    if targets == ALL_LINEAR:
        head = base.get_output_embeddings()
        return tuple(name for name in layers if name not in unfit and base.get_submodule(name) is not head)
    named = sorted({name.rpartition(".")[2] for name in unfit if experts.matches(name, targets)})
    if named:
        raise BadInput(
            f"targets name {', '.join(named)}, which Mamba's kernels read past an adapter: leave it out, or take "
            f"{ALL_LINEAR!r}"
        )
    return targets


def check_targets(base: nn.Module, adapter: LoRA) -> None:
    """Check that `base` has every layer that is to get an adapter.

    Raises:
        BadInput: it lacks one, and the message lists what it has; or one shares its weights with another.
    """
    if adapter.targets == ALL_LINEAR:
        return
    _refuse_tied(base, adapter.targets)
    layers = [*linear_layers(base), *experts.weights(base)]
    if isinstance(adapter.targets, str):
        missing = [] if any(re.fullmatch(adapter.targets, layer) for layer in layers) else [adapter.targets]
    else:
        missing = [name for name in adapter.targets if not any(experts.matches(layer, (name,)) for layer in layers)]
    if missing or not adapter.targets:
        have = ", ".join(sorted({layer.rpartition(".")[2] for layer in layers}))
        raise BadInput(
            f"targets {', '.join(map(repr, missing)) or 'are empty'}: the model has no such layer; its linear layers "
            f"are {have}; name some of these, or take {ALL_LINEAR!r}"
        )


def _refuse_tied(base: nn.Module, targets: str | tuple[str, ...]) -> None:
    """Make sure that no target shares its weights with another module: merging would change that as well.

    Raises:
        BadInput: one does, such as the output layer of a model with tied embeddings.
    """
    by_weight: dict[int, list[str]] = {}
    for name, module in base.named_modules():
        weight = getattr(module, "weight", None)
        if weight is not None:
            by_weight.setdefault(id(weight), []).append(name)
    for names in by_weight.values():
        hit = [name for name in names if experts.matches(name, targets)]
        if hit and len(names) > 1:
            others = ", ".join(name for name in names if name != hit[0])
            raise BadInput(
                f"targets: {hit[0]} shares its weights with {others}, which an adapter merged into them would change "
                "as well: leave it out"
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

    Raises:
        BadInput: experts have adapters.
    """
    from peft.tuners.lora import LoraLayer
    from peft.tuners.lora.layer import ParamWrapper

    held = 0
    for layer in model.modules():
        if isinstance(layer, ParamWrapper):
            raise BadInput(
                "hold_zeros: zeros of experts can't be held under adapters: train all weights, or name targets outside "
                "of the experts"
            )
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
    """Return the student with the adapters of `adapter_folder` merged into its weights, in bfloat16.

    In memory is the student in its own type: a layer at a time is float32, and is rounded when it is merged. With
    `hold_zeros` weights of linear layers that are zero stay zero.

    The base is loaded again, unquantized. Merging into the 4-bit model that was trained would round the update away,
    and bitsandbytes repacks a 4-bit model's weights in place at its first evaluation on a CPU, after which merging,
    dequantizing and saving it give wrong weights without an error.
    """
    import torch
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    from potstill.models import encoder_decoder

    base = encoder_decoder.load(student, "be trained", {"dtype": "auto"})
    model = PeftModel.from_pretrained(base, str(adapter_folder))
    for layer in [module for module in model.modules() if isinstance(module, LoraLayer)]:
        own = layer.get_base_layer().float()
        zeros = own.weight == 0 if hold_zeros else None
        layer.merge(safe_merge=True)
        if zeros is not None:
            # the sum of a zero and an update is none: masked after merging, as the hooks did in training
            own.weight.data[zeros] = 0
        own.to(torch.bfloat16)
    return model.unload()


def keep_apart(adapter_folder: Path, out: Path, base: str) -> None:
    """Write the adapters of `adapter_folder` to `out`, to be loaded on the model named `base`."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(adapter_folder / "adapter_model.safetensors", out / "adapter_model.safetensors")
    config = json.loads((adapter_folder / "adapter_config.json").read_text(encoding="utf-8"))
    # peft notes the folder that the base was loaded from, which exists on this machine only
    config["base_model_name_or_path"] = base
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (out / "adapter_config.json").write_text(text, encoding="utf-8")
