"""The two halves of an encoder-decoder as graphs of ONNX.

Shapes: S tokens of a source, T tokens that the decoder has read, H hidden channels, V tokens of the vocabulary.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from potstill.compression.architecture import behind_head

if TYPE_CHECKING:
    from onnx import ModelProto

    from potstill.compression.pretrained import PretrainedModel

OPSET = 17
"""Version of the operators: the first with layer normalization."""


class _Encoder(nn.Module):
    """Reads a source [1, S], gives states [1, S, H]."""

    def __init__(self, model: PretrainedModel) -> None:
        super().__init__()
        self.stack = model.get_encoder()

    def forward(self, ids: Tensor) -> Tensor:
        states: Tensor = self.stack(input_ids=ids).last_hidden_state
        return states


class _Decoder(nn.Module):
    """Reads what is written [1, T] and states [1, S, H], gives logits [1, T, V]."""

    def __init__(self, model: PretrainedModel) -> None:
        super().__init__()
        self.stack, self.head = model.get_decoder(), behind_head(model)

    def forward(self, ids: Tensor, states: Tensor) -> Tensor:
        read = self.stack(input_ids=ids, encoder_hidden_states=states, use_cache=False)
        return self.head(read.last_hidden_state)


def traced(model: PretrainedModel) -> tuple[ModelProto, ModelProto]:
    """Return the graphs of encoder and decoder in float32, free in the lengths of both texts."""
    ids = torch.arange(2, 14)[None] % model.get_input_embeddings().num_embeddings
    with torch.no_grad():
        states = model.get_encoder()(input_ids=ids).last_hidden_state
    encoder = _traced(_Encoder(model), {"input_ids": ids}, "last_hidden_state", {"input_ids": "source"}, "source")
    places = {"input_ids": "written", "encoder_hidden_states": "source"}
    # of another length, so that none is taken for the other
    inputs = {"input_ids": ids[:, :9], "encoder_hidden_states": states}
    return encoder, _traced(_Decoder(model), inputs, "logits", places, "written")


def _traced(
    network: nn.Module, inputs: dict[str, Tensor], output: str, lengths: dict[str, str], length: str
) -> ModelProto:
    """Return the graph of `network`, whose inputs and output have a free length each."""
    import onnx

    file: Any = io.BytesIO()  # taken as well as a path
    with warnings.catch_warnings(), torch.no_grad():
        # branches that were taken for good: on what does not change with the texts
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            tuple(inputs.values()),
            file,
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes={name: {1: axis} for name, axis in {**lengths, output: length}.items()},
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_from_string(file.getvalue())
