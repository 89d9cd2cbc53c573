"""Loading and saving of students, and their zeros held in training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import BadInput
from potstill.models import encoder_decoder
from potstill.models.chat import end_of_turn, save_tokenizer
from potstill.models.folder import MXFP4
from potstill.models.identity import folder_of as folder_of
from potstill.models.loading import quantized_as, without_weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from potstill.compression.pretrained import PretrainedModel
    from potstill.models.protocols import Tokenizer


def load_tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer in `folder`.

    Raises:
        BadInput: it has none that can be loaded.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: Tokenizer = AutoTokenizer.from_pretrained(folder)
        return tokenizer
    except (OSError, ValueError) as error:
        text = str(error).strip().partition("\n")[0]
        raise BadInput(f"the model {folder} has no tokenizer that can be read: save one beside it ({text})") from error


def load_model(folder: Path, dtype: torch.dtype, *, split: bool = False) -> PretrainedModel:
    """Return the language model in `folder`, causal or encoder-decoder, as `dtype`.

    One that is to be `split` over processes has weights in process 0 alone.

    Raises:
        BadInput: it is quantized, so it can't be trained.
    """
    from potstill.trainers.loop.process_group import Group

    refuse_quantized(folder)
    if split and Group.current().rank:
        return without_weights(encoder_decoder.model_class(folder), folder, dtype)
    return encoder_decoder.load(folder, "be trained", {"dtype": dtype})


def refuse_quantized(folder: str | Path) -> None:
    """Make sure that the weights in `folder` are no quantized ones, on which adapters can't be merged either.

    Raises:
        BadInput: they are.
    """
    method = quantized_as(folder)
    if method == MXFP4:
        raise BadInput(
            f"the model {folder} is quantized ({method}): train what CastHalf(model) makes of it, in 16 bits"
        )
    if method:
        raise BadInput(f"the model {folder} is quantized ({method}): train the 16-bit one and quantize it afterwards")


def default_learning_rate(parameters: int) -> float:
    """Return the usual learning rate for training all weights of a model of this size.

    1e-3 up to a million parameters, then falling with the square root of the size: 3e-4 at 10 million, 4e-5 at 0.6
    billion, 1.2e-5 at 7 billion; a curve through common practice, not a law.
    """
    return float(min(1e-3, 1e-3 * (1e6 / max(parameters, 1)) ** 0.5))


def hold_zero_weights(model: nn.Module) -> int:
    """Keep weights of linear layers that are exactly zero at zero while training; return how many they are.

    Their gradient is cut before it is clipped and used, so AdamW's update and weight decay of them are zero as well.
    The output layer is left out: it may share its weights with the embedding.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    # a SentenceTransformer wraps its model and has no output layer to ask for
    head_of = getattr(model, "get_output_embeddings", None)
    held, output = 0, None if head_of is None else head_of()
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


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Have `model` in evaluation mode, but for its 4-bit layers; afterwards it is in the mode that it was in.

    At its first evaluation on a CPU bitsandbytes repacks a layer's weights in place, and refuses some shapes. What a
    4-bit layer computes does not depend on the mode otherwise.
    """
    mode = model.training
    model.eval()
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            module.training = True
    try:
        yield
    finally:
        model.train(mode)


def save(model: PretrainedModel, tokenizer: Tokenizer, folder: Path) -> None:
    """Write `model` as bfloat16 safetensors with tokenizer, chat template and generation config."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    # rounded once, at the end: training keeps float32 weights, as small updates vanish in bfloat16
    model = model.to(torch.bfloat16)
    ends = model.generation_config.eos_token_id
    stops = [] if ends is None else ends if isinstance(ends, list) else [ends]
    end = end_of_turn(tokenizer)
    if end not in stops:
        # every training text ends with it, so the student must stop there; the end of a text stays a stop
        more = list(dict.fromkeys([end, tokenizer.eos_token_id, *stops]))
        model.generation_config.eos_token_id = end if end == tokenizer.eos_token_id else more
        model.config.eos_token_id = model.generation_config.eos_token_id
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    model.generation_config.pad_token_id = pad
    model.config.pad_token_id = pad
    # gradient checkpointing has turned it off
    model.config.use_cache = True
    model.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
