"""OpenVINO IR with the key-value cache as its state, its tokenizer, and weights compressed by NNCF.

The model is traced with explicit past keys and values, which then become variables that the runtime keeps between
calls, reordered by `beam_idx`: the form that openvino-genai's `LLMPipeline` runs.

Shapes: B batch, T tokens of a call, P tokens in the cache, K key-value heads, D features of a head, V vocabulary.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from potstill.errors import BadInput
from potstill.exporting.exporter import Serving, Source, Written, need_packages
from potstill.exporting.silence import quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from potstill.compression.pretrained import ModelConfig, PretrainedModel
    from potstill.exporting.exporter import RuntimeName
    from potstill.models.protocols import Tokenizer

Precision = Literal["f32", "f16", "int8", "int4"]
"""How the weights are stored."""
FILE = "openvino_model.xml"
"""Name of the model; its weights lie beside it."""
RISE = {"f32": 0.005, "f16": 0.005, "int8": 0.02, "int4": 0.25}
"""Normal rise of perplexity by precision."""
WINDOW = 4096
"""Tokens that a window of attention must have, since the exported model looks back on all: longer texts differ."""
SCRIPT = """
import openvino_genai

pipeline = openvino_genai.LLMPipeline(".", "CPU", ATTENTION_BACKEND="SDPA")
chat = openvino_genai.ChatHistory([{"role": "user", "content": "What can you do?"}])
print(pipeline.generate(chat, max_new_tokens=128, do_sample=False))
"""
"""Answers one question."""


@dataclass(frozen=True)
class OpenVINO:
    """Writes a folder for openvino-genai."""

    precision: Precision = "int8"
    """How the weights are stored."""
    group_size: int = 32
    """Input features that share a scale at 4 bits."""

    def check(self, source: Source) -> None:
        """Make sure that `source` can be written.

        Raises:
            BadInput: it can't.
        """
        need_packages("openvino", ("openvino", "openvino_tokenizers", "nncf"))
        reason = not_traced(source.model.config)
        if reason:
            raise BadInput(f"models of type {source.model.config.model_type!r} can't be exported to OpenVINO: {reason}")

    def write(self, source: Source, folder: Path) -> Written:
        """Write model and tokenizer."""
        without_telemetry()
        import openvino

        with quiet("nncf", "openvino_tokenizers"):
            converted = stateful(source.model)
            stored = compressed(converted, self.precision, self.group_size)
            openvino.save_model(stored, str(folder / FILE), compress_to_fp16=self.precision != "f32")
            _save_tokenizer(source.tokenizer, folder)
        source.model.config.save_pretrained(folder)
        notes = {"int4": f"int4 in groups of {self.group_size}, embeddings and head int8", "int8": "int8 per channel"}
        return Written(False, (("weights", notes.get(self.precision, self.precision)),))

    def readers(self) -> tuple[RuntimeName, ...]:
        """Return who can read the folder."""
        return ("openvino",)

    def serving_runtime(self) -> RuntimeName:
        """Return who serves the folder."""
        return "openvino"

    def serving(self, source: Source) -> Serving:
        """Return how the folder is served."""
        from importlib.metadata import version

        return Serving(
            f"pip install openvino-genai~={version('openvino').split('-')[0]}",
            "openvino-genai runs the model in Python or C++; here it answers one question.",
            SCRIPT,
            language="python",
            more='`ATTENTION_BACKEND="SDPA"` uses the cache inside the model; the other back end (paged attention) '
            "does not take it.",
        )

    def rise(self) -> float:
        """Return the normal rise of perplexity."""
        return RISE[self.precision]


def not_traced(config: ModelConfig) -> str:
    """Return why a model can't be traced with all tokens before each other's sight, or nothing."""
    from potstill.compression.architecture import architecture_for

    try:
        arch, window = architecture_for(config), getattr(config, "sliding_window", None)
    except BadInput:
        return "it was not tried in this form"
    if arch.is_encoder or arch.has_experts:
        return "it is an encoder" if arch.is_encoder else "which experts run depends on the tokens"
    if getattr(config, "alibi", False):
        return "ALiBi's slopes are made from the mask, which is given whole here"
    if (getattr(config, "rope_parameters", None) or {}).get("rope_type") == "longrope":
        return "how it turns positions depends on the length of the text"
    layers = getattr(config, "layer_types", None) or ()
    if window and (not layers or "sliding_attention" in layers) and window < WINDOW:
        return f"attention looks back on {window} tokens only (sliding_window), and the cache here keeps all"
    return ""


class Graph(Protocol):
    """`openvino.Model`, as far as it is changed here."""

    inputs: Sequence[Any]
    outputs: Sequence[Any]

    def input(self, name: str) -> Any:
        """Return an input by its name."""

    def add_parameters(self, parameters: Sequence[Any]) -> None:
        """Add inputs."""

    def get_ops(self) -> Sequence[Any]:
        """Return all operations."""

    def validate_nodes_and_infer_types(self) -> None:
        """Check the graph, and infer types and sizes again."""


def compressed(model: Graph, precision: Precision, group_size: int) -> Graph:
    """Return an `openvino.Model` with its weights compressed by NNCF, embeddings too; at f32 and f16 as it is."""
    if precision in ("f32", "f16"):
        return model
    import nncf

    if precision == "int8":
        small: Graph = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)
    else:
        small = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT4_SYM, group_size=group_size, ratio=1.0)
    return small


def without_telemetry() -> None:
    """Keep OpenVINO and NNCF from sending usage statistics, which they do by default.

    Both go without where the package that sends them can't be imported; there is no setting for it but a file at home.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # None makes an import fail


def stateful(model: PretrainedModel) -> Graph:
    """Return the `openvino.Model` of a causal `model`, which keeps its cache between calls."""
    import openvino
    from openvino._offline_transformations import apply_make_stateful_transformation

    traced, example = _traced(model)
    # inputs are known by their order only until `_name_ports` names them
    converted: Graph = openvino.convert_model(traced, example_input=example)
    pasts, presents = _name_ports(converted, model.config)
    _reorder(converted, pasts)
    apply_make_stateful_transformation(converted, dict(zip(pasts, presents, strict=True)))
    _start_empty(converted, model.config)
    return converted


def _traced(model: PretrainedModel) -> tuple[Any, tuple[Any, ...]]:
    """Return the trace of `model` with past keys and values as inputs and outputs, and the inputs it was traced on."""
    import torch

    heads, size = _cache_shape(model.config)
    batch, past, new = 2, 3, 4  # sizes of 1 would be taken for constants
    ids = torch.ones(batch, new, dtype=torch.int64)
    mask = torch.ones(batch, past + new, dtype=torch.int64)
    positions = torch.arange(past, past + new)[None].repeat(batch, 1)
    states = [torch.zeros(batch, heads, past, size) for _ in range(2 * model.config.num_hidden_layers)]
    example = (ids, mask, positions, *states)
    with torch.no_grad():
        trace: Any = torch.jit.trace
        return trace(_with_cache(model), example, check_trace=False), example


def _with_cache(model: PretrainedModel) -> torch.nn.Module:
    """Return a module that calls `model` with a cache made of tensors, and returns logits and cache as tensors."""
    import torch
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    class WithCache(torch.nn.Module):
        """Inputs: ids [B, T], mask [B, P + T], positions [B, T], then keys and values [B, K, P, D] layer by layer."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(
            self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, *states: torch.Tensor
        ) -> tuple[torch.Tensor, ...]:
            cache = DynamicCache()
            cache.layers = []
            for keys, values in zip(states[::2], states[1::2], strict=True):
                layer = DynamicLayer()
                layer.keys, layer.values, layer.is_initialized = keys, values, True
                layer.dtype, layer.device = keys.dtype, keys.device
                cache.layers.append(layer)
            seen = _visible(ids, mask)
            out = self.model(
                input_ids=ids, attention_mask=seen, position_ids=positions, past_key_values=cache, use_cache=True
            )
            return (out.logits, *(part for layer in out.past_key_values.layers for part in (layer.keys, layer.values)))

    return WithCache().eval()


def _visible(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return what is added to attention scores [B, 1, T, P + T]: 0 where a token may look, the least number elsewhere.

    transformers takes a mask of four dimensions as it is; its own way of making one can't be traced.
    """
    import torch

    total = mask.shape[1]
    queries, keys = torch.arange(total - ids.shape[1], total), torch.arange(total)
    seen = (keys[None, :] <= queries[:, None])[None, None] & (mask[:, None, None, :] > 0)
    return torch.zeros_like(seen, dtype=torch.float32).masked_fill(~seen, torch.finfo(torch.float32).min)


def _name_ports(converted: Graph, config: ModelConfig) -> tuple[list[str], list[str]]:
    """Name inputs and outputs, and free their sizes; returns the names of the cache's inputs and outputs."""
    import openvino

    heads, size = _cache_shape(config)
    layers = range(config.num_hidden_layers)
    pasts = [f"past_key_values.{number}.{part}" for number in layers for part in ("key", "value")]
    presents = [f"present.{number}.{part}" for number in layers for part in ("key", "value")]
    inputs = ["input_ids", "attention_mask", "position_ids", *pasts]
    for port, name in zip(converted.inputs, inputs, strict=True):
        port.get_tensor().set_names({name})
        shape = [-1, heads, -1, size] if name in pasts else [-1, -1]
        port.get_node().set_partial_shape(openvino.PartialShape(shape))
        if name not in pasts:
            port.get_node().set_element_type(openvino.Type.i64)
    for port, name in zip(converted.outputs, ["logits", *presents], strict=True):
        port.get_tensor().set_names({name})
    converted.validate_nodes_and_infer_types()
    return pasts, presents


def _reorder(converted: Graph, pasts: list[str]) -> None:
    """Put `beam_idx` [B] before the cache: which beam each row continues."""
    import numpy as np
    import openvino
    from openvino import opset13

    beams = opset13.parameter([-1], openvino.Type.i32, name="beam_idx")
    beams.output(0).get_tensor().add_names({"beam_idx"})
    converted.add_parameters([beams])
    for name in pasts:
        node = converted.input(name).get_node()
        readers = node.output(0).get_target_inputs()
        # openvino-genai sends which row each beam continues, also where there is one beam
        gathered = opset13.gather(node, beams, opset13.constant(np.int64(0)))
        for reader in readers:
            reader.replace_source_output(gathered.output(0))
    converted.validate_nodes_and_infer_types()


def _start_empty(converted: Graph, config: ModelConfig) -> None:
    """Start every cache with no tokens, and as many rows as the input has."""
    import numpy as np
    from openvino import opset13

    heads, size = _cache_shape(config)
    ids = converted.input("input_ids").get_node()
    batch = opset13.gather(opset13.shape_of(ids, output_type="i64"), opset13.constant([0]), opset13.constant(0))
    for node in converted.get_ops():
        if node.get_type_name() == "ReadValue":
            rest = opset13.constant(np.array([heads, 0, size], dtype=np.int64))
            shape = opset13.concat([batch, rest], 0)
            node.set_arguments([opset13.broadcast(opset13.constant(np.float32(0)), shape)])
    converted.validate_nodes_and_infer_types()


def _cache_shape(config: ModelConfig) -> tuple[int, int]:
    """Return key-value heads, and features of a head."""
    from potstill.compression.architecture import architecture_for, head_size, key_value_heads

    all_heads = architecture_for(config).caches_all_heads
    return config.num_attention_heads if all_heads else key_value_heads(config), head_size(config)


def _save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer and detokenizer as models of OpenVINO."""
    import openvino
    from openvino_tokenizers import convert_tokenizer

    both = convert_tokenizer(tokenizer, with_detokenizer=True)
    for name, part in zip(("openvino_tokenizer", "openvino_detokenizer"), both, strict=True):
        openvino.save_model(part, str(folder / f"{name}.xml"))
