"""Encoder-decoder models, such as T5, BART and Marian: plain text in, plain text out, without a chat template.

One convention for training, decoding and evaluation: the encoder reads the messages of a prompt, joined by empty lines,
with the special tokens that the tokenizer puts around a text; the decoder writes the answer and the end token.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput
from potstill.models.loading import config_of, pretrained

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel
    from potstill.models.chat import Messages
    from potstill.models.protocols import Tokenizer

COUNTS = {
    "encoder": ("encoder_layers", "num_layers", "num_hidden_layers"),
    "decoder": ("decoder_layers", "num_decoder_layers"),
}
"""Fields of configs that count the layers of each half."""


def is_encoder_decoder(folder: str | Path) -> bool:
    """Return whether the model in `folder` is an encoder-decoder rather than a causal model."""
    return bool(getattr(config_of(folder), "is_encoder_decoder", False))


def model_class(folder: str | Path) -> Any:
    """Return the class of transformers that loads the language model in `folder`."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    return AutoModelForSeq2SeqLM if is_encoder_decoder(folder) else AutoModelForCausalLM


def load(folder: str | Path, use: str, options: Mapping[str, Any]) -> PretrainedModel:
    """Load the language model in `folder`, causal or encoder-decoder; see `loading.pretrained`.

    Raises:
        BadInput: it is none, or lacks weights.
    """
    return pretrained(model_class(folder), folder, use, options)


def stacks(model: PretrainedModel) -> list[str]:
    """Return the paths of the lists of layers of an encoder-decoder: the encoder's, then the decoder's."""
    import torch

    lists = [name for name, module in model.named_modules() if isinstance(module, torch.nn.ModuleList)]
    # the first below each is that of layers; others lie within one
    return [next(name for name in lists if f".{side}." in f".{name}") for side in COUNTS]


def count_layers(config: Any, path: str, count: int) -> None:
    """Write the number of layers of the list at `path`, one of `stacks`, into a config."""
    side = "decoder" if ".decoder." in f".{path}" else "encoder"
    for name in COUNTS[side]:
        if hasattr(config, name):
            setattr(config, name, count)


def check_tokenizer(tokenizer: Tokenizer) -> None:
    """Make sure that `tokenizer` can end a text.

    Raises:
        BadInput: it has no end-of-sequence token.
    """
    if getattr(tokenizer, "eos_token_id", None) is None:
        name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
        raise BadInput(f"the tokenizer of {name} has no eos_token: name the end token in tokenizer_config.json")


def source_text(messages: Messages) -> str:
    r"""Return what an encoder reads of a prompt.

    >>> source_text([{"role": "system", "content": "Translate."}, {"role": "user", "content": "a cat"}])
    'Translate.\n\na cat'
    """
    return "\n\n".join(message["content"] for message in messages)


def source_ids(tokenizer: Tokenizer, messages: Messages) -> list[int]:
    """Return the encoder's tokens for a prompt."""
    return list(tokenizer(source_text(messages))["input_ids"])


def encode(tokenizer: Tokenizer, messages: Messages, output: str) -> tuple[list[int], int]:
    """Return the encoder's tokens followed by the decoder's targets, and how many are the encoder's.

    Raises:
        BadInput: the tokenizer names no end token.
    """
    check_tokenizer(tokenizer)
    source = source_ids(tokenizer, messages)
    # Marian and mBART write another vocabulary or language than they read
    target = list(tokenizer(text_target=output)["input_ids"])
    # T5's tokenizer appends the end token itself, others don't
    if not target or target[-1] != tokenizer.eos_token_id:
        target.append(tokenizer.eos_token_id)
    return [*source, *target], len(source)
