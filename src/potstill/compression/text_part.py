"""The text part of a model that sees images too, as a causal model of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from potstill.compression.model_types import TEXT_TYPES
from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelConfig, PretrainedModel

NOT_A_CONFIG = ("model_type", "architectures", "transformers_version", "_name_or_path")
"""Entries of a stored configuration that say what it is, and not how large."""


def sees_images(config: ModelConfig) -> bool:
    """Return whether a model with this `config` has a part that sees images beside one that reads text."""
    return config.get_text_config() is not config and getattr(config, "vision_config", None) is not None


def text_config(config: ModelConfig) -> ModelConfig:
    """Return the configuration of the causal model that reads text as one with this `config` does.

    Raises:
        BadInput: it sees no images, or transformers has no causal model of that kind.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    if not sees_images(config):
        raise BadInput(f"models of type {config.model_type!r} have no vision tower: take the model as it is")
    text: Any = config.get_text_config()
    kind = TEXT_TYPES.get(text.model_type)
    if kind:
        fields = {name: value for name, value in text.to_dict().items() if name not in NOT_A_CONFIG}
        # a text has the same position on all three axes
        fields["rope_parameters"] = {
            name: "default" if value == "mrope" else value
            for name, value in text.rope_parameters.items()
            if not name.startswith("mrope_")
        }
        text = AutoConfig.for_model(kind, **fields)
    if type(text) not in AutoModelForCausalLM._model_mapping:
        raise BadInput(
            f"the text part of models of type {config.model_type!r} is a {text.model_type!r}, which transformers has "
            "no causal model of: give a text model"
        )
    made: ModelConfig = text
    return made


def text_model(whole: PretrainedModel) -> PretrainedModel:
    """Return the text part of `whole` as a causal model, with copies of its weights.

    Raises:
        BadInput: it has none.
    """
    from transformers import AutoModelForCausalLM
    from transformers.initialization import no_init_weights

    config: Any = text_config(whole.config)
    head, table = whole.get_output_embeddings(), whole.get_input_embeddings()
    config.tie_word_embeddings = head.weight is table.weight
    kind = whole.config.get_text_config().model_type
    part = next(
        module
        for module in whole.modules()
        if hasattr(module, "base_model_prefix") and getattr(module.config, "model_type", None) == kind
    )
    with no_init_weights():
        model: PretrainedModel = AutoModelForCausalLM.from_config(config, dtype=whole.dtype)
    model.base_model.load_state_dict(part.state_dict())
    if not config.tie_word_embeddings:
        model.get_output_embeddings().load_state_dict(head.state_dict())
    model.tie_weights()  # type: ignore[operator] # of transformers
    model.generation_config = whole.generation_config
    return model.eval()
