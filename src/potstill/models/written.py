"""A check behind every step that writes a model: that its folder loads as the model that was written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput, PotstillError
from potstill.models.loading import config_of, lacking, outside_pooler, pretrained, quantized_as, some
from potstill.models.weights import weight_files

if TYPE_CHECKING:
    from torch import Tensor, nn

    from potstill.compression.pretrained import ModelConfig, PretrainedModel

SMALL = 2**26
"""Bytes of weights up to which a whole model is loaded once more to be compared; above, its first block alone is."""
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
    """Check that the model in `folder` computes what `model` does, from which it was written.

    A large model would take its memory and minutes once more: both compute with their first block alone, which is read
    from the folder as a server reads it. Of kinds whose first block can't stand alone, only small ones are compared.

    Args:
        model: in memory, of the same class, with the weights that those in the folder stand for.
        folder: where it was written.
        limit: distance of the logits, relative to their norm, that rounding explains.

    Raises:
        PotstillError: it computes something else: the step has a bug, or the format is read otherwise than written.
    """
    import torch

    from potstill.compression.architecture import architecture_of
    from potstill.compression.pruning.depth import left_out

    config, skipped = config_of(folder), []
    if sum(file.stat().st_size for file in weight_files(folder)) > SMALL:
        try:
            skipped = _cut_to_one_block(config, model)
        except BadInput:
            return
    kind: Any = type(model)
    attention = getattr(model.config, "_attn_implementation", None)
    options = {"config": config, "dtype": model.dtype, "attn_implementation": attention}
    with _quiet():  # of the weights of other blocks, which are left over
        again: Any = pretrained(kind, folder, "be loaded again", options)
    with torch.no_grad(), ExitStack() as shortened:
        for block in skipped:
            shortened.enter_context(left_out(block, architecture_of(model)))
        ours, theirs = (_answers(one.eval()) for one in (model, again.to(model.device)))
    distance = float((ours - theirs).norm() / ours.norm().clamp_min(1e-9))
    if not distance <= limit and bool(ours.isfinite().all()):
        raise PotstillError(
            f"the {kind.__name__} that was written computes something else when it is loaded again: its logits are "
            f"{distance:.1%} apart (up to {limit:.1%} are rounding)"
        )


def _cut_to_one_block(config: ModelConfig, model: PretrainedModel) -> list[nn.Module]:
    """Leave one block in the `config` of a folder; return the blocks that `model` has beyond it.

    Raises:
        BadInput: its blocks are tied to others or one that is run several times, or there are two lists of them.
    """
    from potstill.compression.architecture import architecture_of, blocks_of
    from potstill.compression.layer_kinds import cut_config

    architecture = architecture_of(model)
    if architecture.is_repeated:
        raise BadInput(f"a model of type {model.config.model_type!r} runs one block several times")
    if architecture.has_experts and getattr(config, "quantization_config", None):
        raise BadInput("quantized experts are read with all blocks")
    blocks = list(blocks_of(model)[1])
    cut_config(config.get_text_config(), [0], len(blocks))
    return blocks[1:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from logging anything but errors while the context is open."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _answers(model: PretrainedModel) -> Tensor:
    """Return logits, or hidden states where there are none, on the first tokens of the vocabulary."""
    import torch

    ids = torch.arange(READ, device=model.device)[None] % model.get_input_embeddings().num_embeddings
    more = {"decoder_input_ids": ids} if getattr(model.config, "is_encoder_decoder", False) else {}
    output = model(input_ids=ids, **more)
    answers: Tensor = output.logits if "logits" in output else output.last_hidden_state
    return answers.float()
