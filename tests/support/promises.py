"""What steps promise of a model that they write, checked on tiny models of every type."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typed_models
from stored_numbers import model_of

EXACT = 1e-6
"""Relative distance of logits from those of the numbers that are stored, which the order of sums explains."""
MOST = 2.0
"""Most harm as a multiple of rounding's: on random weights, and texts of another kind, fitted weights do up to 1.4
times, trained and smoothed ones up to 2."""
IDS = [list(range(5, 37)), list(range(40, 60)) + list(range(5, 17))]


class Wrong(Exception):
    """What was written is not what the step promises."""


Check = Callable[[str, Path, Path, Any], None]
"""Checks what was written: the type's name, the model before, the folder, the step's notes."""


def reads(name: str) -> bool:
    """Return whether a type is an encoder."""
    return name in typed_models.ENCODERS


def logits(model: Any) -> Any:
    """Return the logits of a model on fixed tokens."""
    import torch

    ids = torch.tensor(IDS) % min(model.get_input_embeddings().num_embeddings, 48)
    more = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        return model(input_ids=ids, **more).logits.float()


def states(name: str, model: Any) -> Any:
    """Return what a model's harm is measured on: its logits; of a classifier, which has four of them, hidden states."""
    import torch

    if not reads(name):
        return logits(model)
    with torch.no_grad():
        return model.base_model(input_ids=torch.tensor(IDS) % 48).last_hidden_state.float()


def loaded(name: str, folder: Path, **options: Any) -> Any:
    """Load a folder as anyone would; nothing may be missing or left over."""
    import torch
    import transformers

    auto = (
        transformers.AutoModelForSequenceClassification
        if reads(name)
        else transformers.AutoModelForSeq2SeqLM
        if name in typed_models.ENCODER_DECODERS
        else transformers.AutoModelForCausalLM
    )
    options = {"dtype": torch.float32, "attn_implementation": "eager", **options}
    if name in typed_models.EXPERT_MODELS and (model := _experts(folder, auto, options)):
        return model
    model, report = auto.from_pretrained(folder, output_loading_info=True, **options)
    odd = {key: sorted(map(str, value))[:3] for key, value in report.items() if value and key != "error_msgs"}
    if odd:
        raise Wrong(f"loaded again: {odd}")
    return model.eval()


def _experts(folder: Path, auto: Any, options: dict[str, Any]) -> Any:
    """Load experts that are quantized one by one, as Potstill does; None where transformers does."""
    from potstill.models import loading

    return loading.pretrained(auto, folder, "be read", options).eval() if loading.quantized_as(folder) else None


def apart(old: Any, new: Any) -> float:
    """Return the relative distance of two tensors."""
    if old.shape != new.shape:
        raise Wrong(f"logits of shape {tuple(new.shape)} rather than {tuple(old.shape)}")
    return float((old - new).norm() / old.norm())


def masked(pattern: bool = False, updated: bool = False) -> Check:
    """Return a check that half of the blocks' weights are zero, and the others what they were."""

    def check(name: str, model: Path, out: Path, notes: Any) -> None:
        import torch

        before, after = loaded(name, model), loaded(name, out)
        old, new = dict(before.named_parameters()), dict(after.named_parameters())
        cut = [key for key, weight in new.items() if weight.dim() >= 2 and re.search(r"\.\d+\.", key)]
        cut = [key for key in cut if bool((new[key] == 0).any())]
        zeros = sum(int((new[key] == 0).sum()) for key in cut) / max(1, sum(new[key].numel() for key in cut))
        if abs(zeros - 0.5) > 0.01:
            raise Wrong(f"{zeros:.3f} of the weights are zero")
        if pattern and name != "GPT-2":
            # gpt-oss stores experts the other way round
            rows = [new[key].mT if name == "gpt-oss" and ".experts." in key else new[key] for key in cut]
            groups = [(weight == 0).reshape(-1, 4).sum(1) for weight in rows]
            if any(bool((group < 2).any()) for group in groups):
                raise Wrong("groups of 4 with fewer than 2 zeros")
        for key in new if not updated else ():
            want = torch.where(new[key] == 0, 0, old[key]) if key in cut else old[key]
            if not torch.equal(new[key], want):
                raise Wrong(f"{key} is not what it was under the mask")
        with torch.no_grad():
            for key, weight in new.items():
                old[key].copy_(weight)
        if not torch.equal(logits(before), logits(after)):
            raise Wrong("logits are not those of the masked dense model")

    return check


def without_blocks(name: str, model: Path, out: Path, notes: Any) -> None:
    """Check that the model is the one before with the other blocks passed over."""
    import torch

    before, after = loaded(name, model), loaded(name, out)
    halves = {"encoder": before.get_encoder(), "decoder": before.get_decoder()}
    for side, half in halves.items() if before.config.is_encoder_decoder else [("", before)]:
        kept = notes["kept"][side] if isinstance(notes["kept"], dict) else notes["kept"]
        lists = [module for module in half.modules() if isinstance(module, torch.nn.ModuleList)]
        count = before.config.num_hidden_layers
        for number, layer in enumerate(next(one for one in lists if len(one) == count)):
            if number not in kept:
                layer.forward = _through(layer.forward)
    distance = apart(logits(before), logits(after))
    if distance > 1e-5:
        raise Wrong(f"logits {distance:.1%} from those without the blocks")


def _through(own: Any) -> Any:
    def forward(hidden: Any, *args: Any, **named: Any) -> Any:
        put_out = own(hidden, *args, **named)
        return (hidden, *put_out[1:]) if isinstance(put_out, tuple) else hidden

    return forward


def smaller(name: str, model: Path, out: Path, notes: Any) -> None:
    """Check that the model loads, has fewer weights, and computes what the step measured in memory."""
    before, after = loaded(name, model), loaded(name, out)
    if after.num_parameters() >= before.num_parameters():
        raise Wrong("nothing was cut")
    measured = notes.get("agreement", {}).get("kl")
    if not bool(logits(after).isfinite().all()) or measured is None:
        raise Wrong("its logits are not finite, or were not measured")


def loads(name: str, model: Path, out: Path, notes: Any) -> None:
    """Check that the model loads and computes."""
    if not bool(logits(loaded(name, out)).isfinite().all()):
        raise Wrong("logits are not finite")


def stored(name: str, model: Path, out: Path, notes: Any) -> None:
    """Check that a folder's numbers are read as what they stand for, to the bit, and harm little more than rounding.

    The numbers are read by compressed-tensors' own functions, and inputs of layers are rounded as kernels do it.
    """
    means = [logits(model_of(_dense(name, model), out, by_library=library)) for library in (False, True)]
    after = logits(loaded(name, out))
    distance = min(apart(one, after) for one in means)
    if distance > EXACT:
        raise Wrong(f"logits {distance:.1%} from those of the numbers that are stored")
    dense, kept, nearest = _dense(name, model), _dense(name, model), _dense(name, model)
    wanted = states(name, dense)
    harm = apart(wanted, states(name, model_of(kept, out)))
    rounding = apart(wanted, states(name, model_of(nearest, out, rounded=True)))
    if not harm <= MOST * rounding:
        raise Wrong(f"outputs {harm:.1%} from those before, and {rounding:.1%} with weights rounded to nearest")


def _dense(name: str, folder: Path) -> Any:
    """Load the model that is quantized, with its experts as layers."""
    from potstill.compression.architecture import with_linear_layers

    model = loaded(name, folder)
    with_linear_layers(model)
    return model


def agrees(limit: float) -> Check:
    """Return a check of a quantized model in another format, by loading it."""

    def check(name: str, model: Path, out: Path, notes: Any) -> None:
        import torch

        before, after = logits(loaded(name, model)), logits(loaded(name, out, dtype=torch.bfloat16))
        distance = apart(before, after)
        if not distance <= limit:
            raise Wrong(f"logits {distance:.1%} apart")

    return check


def exported(name: str, model: Path, out: Path, notes: Any) -> None:
    """An export was read by a runtime and compared before it was let through."""
