"""A check behind every step that writes a model: that its folder loads as the model that was written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput, PotstillError
from potstill.models.loading import config_of, lacking, outside_pooler, pretrained, quantized_as, some
from potstill.models.weights import weight_files

if TYPE_CHECKING:
    from torch import Tensor

    from potstill.compression.pretrained import PretrainedModel

CHEAP = 2**28
"""Bytes of weights up to which a model is loaded once more to be compared; above, it would take minutes and memory."""
READ = 12
"""Tokens that it is compared on."""


def check_written(folder: Path, chosen: tuple[PretrainedModel, str] | None = None) -> None:
    """Check that the model which a step wrote to `folder` loads: no weight of it is missing or left over.

    Only the headers of its files are read. Quantized ones, whose names say how they are stored, are not checked.

    Args:
        folder: where it was written.
        chosen: of a model whose layers a user chose, what was written and the path of its list of layers, which are
            compared too: each must be of the same kind again.

    Raises:
        BadInput: the config does not say what the `chosen` layers are, so that some would be made up.
        PotstillError: another model does not load; the step has a bug, or its configuration does not fit what it wrote.
    """
    import transformers

    if not (folder / "config.json").is_file() or not weight_files(folder):
        return
    if not chosen and quantized_as(folder):
        return
    name = type(chosen[0]).__name__ if chosen else (config_of(folder).architectures or ["AutoModel"])[0]
    kind: Any = type(chosen[0]) if chosen else getattr(transformers, name, None)
    if kind is None:
        return
    problem = _difference(kind, folder, chosen)
    if problem and chosen:
        raise BadInput(
            f"a {name} of these layers can't be written, as its config says by a layer's number what the layer is: "
            f"loaded again, {problem}. Keep layers of the same kinds in the same places (the first ones, say)"
        )
    if problem:
        raise PotstillError(f"the {name} that was written can't be loaded as it is: {problem}")


def _difference(kind: Any, folder: Path, chosen: tuple[PretrainedModel, str] | None) -> str:
    """Return how the model in `folder`, loaded as a `kind`, differs from what was written; an empty text if not."""
    from potstill.compression.layer_kinds import differences

    try:
        # on the meta device nothing is loaded, but transformers compares all names, tied and renamed ones too
        again, report = kind.from_pretrained(folder, use_safetensors=True, output_loading_info=True, device_map="meta")
    except Exception as error:  # noqa: BLE001 - transformers checks configs with errors of its own, of many types
        return f"it is refused: {error}"
    missing, over = outside_pooler(lacking(report)), sorted(report["unexpected_keys"] or ())
    if missing or over:
        parts = [f"{what} {some(which)}" for what, which in (("lacks", missing), ("leaves over", over)) if which]
        return f"it {' and '.join(parts)}; its config.json doesn't fit its weights"
    if chosen:
        model, path = chosen
        pair = (list(each.get_submodule(path).children()) for each in (model, again))
        return f"its layers {apart} are of another kind" if (apart := differences(*pair)) else ""
    return ""


def check_answers(model: PretrainedModel, folder: Path, limit: float) -> None:
    """Check that the model in `folder` computes what `model` does, from which it was written; of a small model only.

    Args:
        model: in memory, of the same class, with the weights that those in the folder stand for.
        folder: where it was written.
        limit: distance of the logits, relative to their norm, that rounding explains.

    Raises:
        PotstillError: it computes something else: the step has a bug, or the format is read otherwise than written.
    """
    import torch

    if sum(file.stat().st_size for file in weight_files(folder)) > CHEAP:
        return
    kind: Any = type(model)
    options = {"dtype": model.dtype, "attn_implementation": getattr(model.config, "_attn_implementation", None)}
    again: Any = pretrained(kind, folder, "be loaded again", options)
    with torch.no_grad():
        ours, theirs = (_answers(one.eval()) for one in (model, again.to(model.device)))
    distance = float((ours - theirs).norm() / ours.norm().clamp_min(1e-9))
    if not distance <= limit and bool(ours.isfinite().all()):
        raise PotstillError(
            f"the {kind.__name__} that was written computes something else when it is loaded again: its logits are "
            f"{distance:.1%} apart (up to {limit:.1%} are rounding)"
        )


def _answers(model: PretrainedModel) -> Tensor:
    """Return logits, or hidden states where there are none, on the first tokens of the vocabulary."""
    import torch

    ids = torch.arange(READ, device=model.device)[None] % model.get_input_embeddings().num_embeddings
    more = {"decoder_input_ids": ids} if getattr(model.config, "is_encoder_decoder", False) else {}
    output = model(input_ids=ids, **more)
    answers: Tensor = output.logits if "logits" in output else output.last_hidden_state
    return answers.float()
