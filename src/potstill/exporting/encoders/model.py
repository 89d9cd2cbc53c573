"""A classifier or sentence encoder as it is exported: tokens in, logits or one vector a text out.

Shapes: B texts, T tokens, C classes, H hidden size, D size of a vector.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from potstill.compression.architecture import architecture_for
from potstill.compression.model_types import TRACED_ENCODERS
from potstill.errors import BadInput
from potstill.models.positions import positions_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from potstill.compression.pretrained import ModelConfig, ModelOutput, PretrainedModel
    from potstill.models.protocols import SentenceModel, Tokenizer

Kind = Literal["classes", "vectors"]
"""What a model returns for a text: the probability of each class, or its vector."""
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""What a network may read."""


@dataclass(frozen=True)
class EncoderModel:
    """The model that is exported."""

    folder: Path
    """Its folder."""
    name: str
    """What it is called."""
    kind: Kind
    """What it returns for a text."""
    network: nn.Module
    """Computes from tokens [B, T], named by `inputs` and in that order, the logits [B, C] or the vectors [B, D]."""
    inputs: tuple[str, ...]
    """Names of the inputs: those of `INPUTS` that the model has."""
    tokenizer: Tokenizer
    """Its tokenizer."""
    config: ModelConfig
    """Its configuration."""
    limit: int
    """Tokens of a text that are read; the end of a longer one is cut."""
    answer: Callable[[str], NDArray[np.float32]]
    """Returns the probabilities [C] or the vector [D] of a text, by the library that the model was trained with."""
    prompts: tuple[str, ...] = ()
    """What users of a sentence encoder may put before texts, as its folder says."""

    @property
    def output(self) -> str:
        """Return the name of the output."""
        return "logits" if self.kind == "classes" else "sentence_embedding"

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs to trace the network on, one text shorter than the other; sizes of 1 would become constants."""
        mask = torch.ones(2, 5, dtype=torch.int64)
        mask[0, 3:] = 0
        values = {"input_ids": torch.ones_like(mask), "attention_mask": mask, "token_type_ids": torch.zeros_like(mask)}
        return tuple(values[name] for name in self.inputs)


def classifier(folder: Path, name: str, model: PretrainedModel, tokenizer: Tokenizer) -> EncoderModel:
    """Return the sequence classifier `model` as it is exported.

    Raises:
        BadInput: it can't be.
    """
    config = model.config
    if config.problem_type not in (None, "single_label_classification") or config.num_labels < 2:
        raise BadInput(
            f"the model {folder} gives {config.num_labels} labels as {config.problem_type}, not one of "
            "several: give a classifier with one label a text"
        )
    check_type(folder, config, tokenizer)
    limit = _limit(config, tokenizer, None)

    def answer(text: str) -> NDArray[np.float32]:
        encoded = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
        with torch.inference_mode():
            probabilities: NDArray[np.float32] = model(**encoded).logits[0].softmax(-1).numpy()
        return probabilities

    inputs = _inputs(model, tokenizer)
    network = _Network(model, inputs, lambda out, _: out.logits, adds=_adds_mask(config)).eval()
    return EncoderModel(folder, name, "classes", network, inputs, tokenizer, config, limit, answer)


def sentence_encoder(folder: Path, name: str, encoder: SentenceModel) -> EncoderModel:
    """Return the `SentenceTransformer` `encoder` as it is exported, with the modules behind its transformer.

    Raises:
        BadInput: it can't be.
    """
    transformer: Any = getattr(encoder[0], "model", None) or getattr(encoder[0], "auto_model", None)  # before version 6
    if transformer is None or not hasattr(transformer, "config"):
        raise BadInput(
            f"the first module of the sentence encoder {folder} is a {type(encoder[0]).__name__}: only "
            "transformers can be exported"
        )
    tokenizer = encoder.tokenizer
    check_type(folder, transformer.config, tokenizer)
    limit = _limit(transformer.config, tokenizer, encoder.max_seq_length)
    prompts = tuple(sorted({prompt for prompt in encoder.prompts.values() if prompt}))

    def answer(text: str) -> NDArray[np.float32]:
        embedding: NDArray[np.float32] = encoder.encode([text], prompt="", show_progress_bar=False)[0]
        return embedding

    def vector(out: ModelOutput, mask: Tensor) -> Tensor:
        features = {"token_embeddings": out.last_hidden_state, "attention_mask": mask}
        for module in list(encoder)[1:]:
            features = module(features)
        embedding: Tensor = features["sentence_embedding"]
        return embedding

    inputs = _inputs(transformer, tokenizer)
    network = _Network(transformer, inputs, vector, list(encoder)[1:], adds=_adds_mask(transformer.config)).eval()
    return EncoderModel(folder, name, "vectors", network, inputs, tokenizer, transformer.config, limit, answer, prompts)


class _Network(nn.Module):
    """What is traced: a model of transformers, and what is made of its output and the mask [B, T]."""

    def __init__(
        self,
        model: nn.Module,
        inputs: tuple[str, ...],
        readout: Callable[[Any, Tensor], Tensor],
        others: Sequence[nn.Module] = (),
        *,
        adds: bool = True,
    ) -> None:
        """Take the `model`, the names of its `inputs`, and the `others` with weights that `readout` calls.

        The model `adds` its mask to scores, or makes that itself of ones and zeros in a way that can be traced.
        """
        super().__init__()
        self.adds = adds
        self.model, self.inputs, self.readout, self.others = model, inputs, readout, nn.ModuleList(others)

    def forward(self, *values: Tensor) -> Tensor:
        """Return the output from the inputs [B, T], in their order.

        What is added to attention scores [B, 1, 1, T] is made here: transformers takes it as it is, and its own way of
        making it looks at the mask's values, which can't be traced.
        """
        inputs = dict(zip(self.inputs, values, strict=True))
        mask = inputs["attention_mask"]
        if not self.adds:
            return self.readout(self.model(**inputs), mask)
        added = torch.zeros_like(mask, dtype=torch.float32).masked_fill(mask == 0, torch.finfo(torch.float32).min)
        return self.readout(self.model(**{**inputs, "attention_mask": added[:, None, None, :]}), mask)


def check_type(folder: Path, config: ModelConfig, tokenizer: Tokenizer) -> None:
    """Make sure that type and tokenizer fit.

    Raises:
        BadInput: one doesn't; both problems together.
    """
    problems = []
    if config.model_type not in TRACED_ENCODERS:
        problems.append(
            f"the model {folder} is of type {config.model_type!r}, which ExportEncoder does not write; "
            f"supported are {', '.join(TRACED_ENCODERS)}"
        )
    if not getattr(tokenizer, "is_fast", False) or len(tokenizer) < 2:
        problems.append(
            f"the model {folder} has no tokenizer for texts that the package tokenizers reads: save a "
            "fast tokenizer (tokenizer.json) beside it"
        )
    elif tokenizer.pad_token_id is None:
        problems.append(
            f"the tokenizer of {folder} has no padding token, so texts of different lengths make no batch: "
            "set its pad_token"
        )
    if problems:
        raise BadInput(*problems)


def _adds_mask(config: ModelConfig) -> bool:
    """Return whether the model is given what is added to scores as its mask."""
    return architecture_for(config).mask == "added"


def _inputs(model: nn.Module, tokenizer: Tokenizer) -> tuple[str, ...]:
    """Return the names of the inputs that the tokenizer makes and the model takes."""
    offered, taken = tokenizer.model_input_names, inspect.signature(model.forward).parameters
    return tuple(name for name in INPUTS if name in taken and (name in offered or name == "attention_mask"))


def _limit(config: ModelConfig, tokenizer: Tokenizer, wanted: int | None) -> int:
    """Return how many tokens the model reads."""
    positions = positions_of(config)
    assert positions is not None  # each of the types that can be exported has a limit
    return int(min(tokenizer.model_max_length, positions, wanted or positions))
