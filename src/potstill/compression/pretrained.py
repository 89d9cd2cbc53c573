"""Types of transformers' models and configurations, with the attributes that are read and changed here.

transformers' own classes say less: a layer or a field that only some models have is not declared there. Nothing here
exists to be made: `AutoModel.from_pretrained` and its like give objects of these types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from torch import nn


class ModelConfig(Protocol):
    """`transformers.PretrainedConfig`, with the fields that all models here have; others are read by `getattr`."""

    model_type: str
    """Such as `llama`."""
    architectures: list[str] | None
    """Names of the classes that the model was saved from."""
    dtype: torch.dtype | None
    """What the weights are loaded as."""
    quantization_config: Mapping[str, Any]
    """How the weights are stored, of a quantized model."""
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    """Heads that several queries share; not every model has the field."""
    intermediate_size: int
    """Feed-forward units; not every model has the field."""
    head_dim: int
    """Features of an attention head; not every model has the field."""
    max_position_embeddings: int
    """Tokens that the positions are made for; not every model has the field."""
    sliding_window: int
    """Tokens that a layer looks back on; not every model has the field."""
    rms_norm_eps: float
    """Added to the power in a norm; not every model has the field."""
    rope_parameters: dict[str, Any]
    """How positions are turned; not every model has the field."""
    tie_word_embeddings: bool
    """Whether the output layer is the table of embeddings."""
    use_cache: bool
    """Whether keys and values are kept from token to token."""
    bos_token_id: int | None
    eos_token_id: int | list[int] | None
    pad_token_id: int | None
    is_encoder_decoder: bool
    """Whether it reads one text and writes another."""
    decoder_start_token_id: int | None
    """What a decoder reads first, of an encoder-decoder."""
    d_model: int
    """`hidden_size` as encoder-decoders call it; not every model has the field."""
    num_labels: int
    """Classes, of a classifier."""
    id2label: dict[int, str]
    """Classes by number."""
    label2id: dict[str, int]
    """Numbers by class."""
    problem_type: str | None
    """What a classifier's loss is."""

    def get_text_config(self) -> ModelConfig:
        """Return the configuration of the part that reads text: this one, or one within."""

    def to_dict(self) -> dict[str, Any]:
        """Return all fields by name."""

    def save_pretrained(self, folder: Path, /) -> None:
        """Write `config.json` into a folder."""


class GenerationConfig(Protocol):
    """`transformers.GenerationConfig`: a model's default generation settings."""

    do_sample: bool | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    eos_token_id: int | list[int] | None
    pad_token_id: int | None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields by name."""

    def save_pretrained(self, folder: Path, /) -> None:
        """Write `generation_config.json` into a folder."""


class ModelOutput(Protocol):
    """`transformers.utils.ModelOutput`: what a model puts out; a field that it doesn't is not among its names."""

    logits: torch.Tensor
    """Of a model with a head."""
    last_hidden_state: torch.Tensor
    """[B, T, H], of a base model."""
    loss: torch.Tensor
    """Where labels were given."""
    hidden_states: tuple[torch.Tensor, ...]
    """[B, T, H] before the first block and behind each, where asked for."""
    attentions: tuple[torch.Tensor, ...]
    """[B, heads, T, T] of each block, where asked for."""

    past_key_values: Any
    """The cache of keys and values (`transformers.Cache`), where asked for."""

    def __contains__(self, name: object) -> bool:
        """Return whether the model puts out a field of this name."""


if TYPE_CHECKING:  # a Protocol can't derive from `nn.Module`, and torch must not be imported for types alone

    class PretrainedModel(nn.Module):
        """`transformers.PreTrainedModel`: a network with its configuration."""

        config: ModelConfig
        generation_config: GenerationConfig
        """Of a model that writes."""
        base_model_prefix: str
        """Path of the base model within one with a head."""
        __call__: Callable[..., ModelOutput]

        @property
        def base_model(self) -> nn.Module:
            """The network without its head; the model itself where it has none."""

        @property
        def device(self) -> torch.device:
            """Where the weights are."""

        @property
        def dtype(self) -> torch.dtype:
            """Type of the weights."""

        def get_encoder(self) -> PretrainedModel:
            """Return the half of an encoder-decoder that reads."""

        def get_decoder(self) -> PretrainedModel:
            """Return the half of an encoder-decoder that writes, without its output layer."""

        def get_input_embeddings(self) -> nn.Embedding:
            """Return the table of embeddings [V, H]."""

        def set_input_embeddings(self, value: nn.Module) -> None:
            """Replace the table of embeddings."""

        def get_output_embeddings(self) -> nn.Linear:
            """Return the output layer [V, H]; an encoder without a head for tokens has none, and gives None."""

        def set_attn_implementation(self, kind: str, /) -> None:
            """Choose how attention is computed, such as `eager`."""

        def num_parameters(self) -> int:
            """Return the number of weights; those that two layers share count once."""

        def generate(self, **settings: Any) -> Any:
            """Return the tokens that the model writes after the prompts given."""

        def save_pretrained(self, folder: Path, /) -> None:
            """Write weights and configuration into a folder."""
