"""ExecuTorch's `.pte` with the key-value cache inside, its linear layers run by XNNPACK.

The model is exported with caches of a fixed length as buffers, which every call writes at the positions it is given.
ExecuTorch's own runner of language models reads this form, and the numbers that the file gives about itself.

Shapes: T tokens of a call, N tokens that the cache holds, K key-value heads, D features of a head, H hidden features,
V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from potstill.compression.model_types import runtimes_of, types_where
from potstill.errors import BadInput
from potstill.exporting.exporter import Serving, Source, Written, need_packages
from potstill.exporting.silence import quiet

if TYPE_CHECKING:
    import torch

    from potstill.compression.pretrained import ModelConfig, PretrainedModel
    from potstill.exporting.exporter import RuntimeName

Precision = Literal["int4", "int8", "f32"]
"""How the weights are stored."""
FILE = "model.pte"
"""Name of the model."""
RISE = {"f32": 0.005, "int8": 0.02, "int4": 0.25}
"""Normal rise of perplexity by precision."""
LENGTH = 2048
"""Tokens that the cache holds, where the model was made for as many: its memory is taken when the model is loaded."""
CHUNK = 128
"""Tokens of a call at most: memory for their activations is planned in the file, and runners split longer prompts."""
SCRIPT = """
import torch
from executorch.runtime import Runtime
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
program = Runtime.get().load_program("model.pte")
forward = program.load_method("forward")
[at_once], ends = (program.load_method(name).execute([]) for name in ("get_max_seq_len", "get_eos_ids"))
chat = [{"role": "user", "content": "What can you do?"}]
given = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"]
made, past = [], 0
while len(made) < 128 and not set(made) & set(ends):
    for start in range(0, len(given), at_once):
        part = torch.tensor([given[start : start + at_once]])
        logits = forward.execute((part, torch.arange(past, past + part.shape[1])))[0]
        past += part.shape[1]
    given = [int(logits[0, -1].argmax())]
    made += given
print(tokenizer.decode(made, skip_special_tokens=True))
"""
"""Answers one question."""


@dataclass(frozen=True)
class ExecuTorch:
    """Writes a folder for ExecuTorch."""

    precision: Precision = "int4"
    """How the weights are stored."""
    group_size: int = 32
    """Input features that share a scale at 4 bits."""

    def check(self, source: Source) -> None:
        """Make sure that `source` can be written.

        Raises:
            BadInput: it can't.
        """
        need_packages("executorch", ("executorch", "torchao", "pytorch_tokenizers"))
        config, problems = source.model.config, []
        if not runtimes_of(config).executorch:
            problems.append(
                f"models of type {config.model_type!r} can't be exported to ExecuTorch here; supported are "
                f"{', '.join(types_where(lambda arch: arch.runtimes.executorch))}"
            )
        elif self.precision == "int4":
            odd = {linear.in_features for linear in _linears(source.model) if linear.in_features % self.group_size}
            if odd:
                problems.append(
                    f"groups of {self.group_size} don't divide {sorted(odd)} input features: take a group_size that "
                    'does, or precision="int8", which has a scale per output feature'
                )
        if problems:
            raise BadInput("; ".join(problems))

    def write(self, source: Source, folder: Path) -> Written:
        """Write the model; in memory it then has the weights that were written."""
        source.model.config.save_pretrained(folder)
        with quiet("executorch", "torchao", "root"):
            if self.precision != "f32":
                _quantize(source.model, self.precision, self.group_size)
            program = lowered(source.model)
        with (folder / FILE).open("wb") as file:
            program.write_to_file(file)
        notes = {
            "int4": f"int4 in groups of {self.group_size}, embeddings and head int8; activations int8",
            "int8": "int8 per output feature; activations int8",
        }
        remarks = (
            ("weights", notes.get(self.precision, self.precision)),
            ("context", cache_length(source.model.config)),
        )
        return Written(False, remarks)

    def readers(self) -> tuple[RuntimeName, ...]:
        """Return who can read the folder."""
        return ("executorch",)

    def serving_runtime(self) -> RuntimeName:
        """Return who serves the folder."""
        return "executorch"

    def serving(self, source: Source) -> Serving:
        """Return how the folder is served."""
        from importlib.metadata import version

        return Serving(
            f"pip install executorch=={version('executorch')} transformers",
            "ExecuTorch runs the model in C++, Android and iOS programs, and in Python; here it answers one question.",
            SCRIPT,
            language="python",
            more=f"Prompt and answer together have at most {cache_length(source.model.config)} tokens. XNNPACK runs "
            "the weights, on the CPUs of computers and phones. ExecuTorch's own runner of language models "
            "(`TextLLMRunner` in C++) takes `model.pte` and `tokenizer.json` as they are; its Python binding fails "
            "where a token is part of a character, so the script does without it.",
        )

    def rise(self) -> float:
        """Return the normal rise of perplexity."""
        return RISE[self.precision]


def cache_length(config: ModelConfig) -> int:
    """Return how many tokens the cache of a model has room for: its window's at most, because it is all looked at."""
    made_for = getattr(config, "max_position_embeddings", None) or LENGTH
    slides = "sliding_attention" in (getattr(config, "layer_types", None) or ())
    return int(min(LENGTH, made_for, config.sliding_window if slides else LENGTH))


def lowered(model: PretrainedModel) -> Any:
    """Return `model` as a program of ExecuTorch."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import ExecutorchBackendConfig, to_edge_transform_and_lower

    chunk = min(CHUNK, cache_length(model.config))
    example = (torch.ones(1, 4, dtype=torch.int64), torch.arange(4))
    tokens = torch.export.Dim("tokens", min=1, max=chunk)
    with torch.no_grad():
        exported = torch.export.export(
            with_cache(model), example, dynamic_shapes=({1: tokens}, {0: tokens}), strict=False
        )
        edge = to_edge_transform_and_lower(
            exported, partitioner=[XnnpackPartitioner()], constant_methods=dict(remarks(model, chunk))
        )
    return edge.to_executorch(ExecutorchBackendConfig(run_reinplace_pass=True))  # else caches are copied at every call


def remarks(model: PretrainedModel, chunk: int) -> Mapping[str, Any]:
    """Return what ExecuTorch's runner of language models asks the file about."""
    from potstill.exporting.probe import ends_of

    start, ends = model.config.bos_token_id, sorted(ends_of(model))
    return {
        "get_max_seq_len": chunk,
        "get_max_context_len": cache_length(model.config),
        "get_vocab_size": model.config.vocab_size,
        "use_kv_cache": True,
        "enable_dynamic_shape": True,
        "use_sdpa_with_kv_cache": False,
        "get_eos_ids": ends or [-1],  # no token has that number
        **({} if start is None else {"get_bos_id": start}),
    }


def with_cache(model: PretrainedModel) -> torch.nn.Module:
    """Return a module that calls `model` with its own cache, and returns the logits [1, 1, V] of the last token."""
    import torch
    from transformers import Cache
    from transformers.cache_utils import StaticLayer

    from potstill.compression.architecture import head_size, key_value_heads

    class Slots(StaticLayer):  # type: ignore[misc] # transformers has no types
        """One layer's keys and values [1, K, N, D], written at `positions` [T]."""

        def __init__(self, keys: torch.Tensor, values: torch.Tensor, positions: torch.Tensor) -> None:
            self.keys, self.values, self.positions = keys, values, positions
            self.max_cache_len, self.is_initialized = keys.shape[2], True
            self.dtype, self.device = keys.dtype, keys.device

        def update(
            self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
        ) -> tuple[torch.Tensor, torch.Tensor]:
            self.keys.index_copy_(2, self.positions, key_states)
            self.values.index_copy_(2, self.positions, value_states)
            return self.keys, self.values

    class WithCache(torch.nn.Module):
        """Inputs: ids [1, T] and positions [T]."""

        def __init__(self) -> None:
            super().__init__()
            self.model, self.layers = model.requires_grad_(False), range(model.config.num_hidden_layers)
            # torch's own attention falls into more operators that XNNPACK lacks, each a cut through what it runs
            self.model.set_attn_implementation("eager")
            shape = (1, key_value_heads(model.config), cache_length(model.config), head_size(model.config))
            for number in self.layers:
                self.register_buffer(f"keys_{number}", torch.zeros(shape), persistent=False)
                self.register_buffer(f"values_{number}", torch.zeros(shape), persistent=False)
            self.slots: torch.Tensor
            self.register_buffer("slots", torch.arange(shape[2]), persistent=False)

        def forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
            names = [(f"keys_{number}", f"values_{number}") for number in self.layers]
            slots = [Slots(getattr(self, keys), getattr(self, values), positions) for keys, values in names]
            seen = (self.slots[None, :] <= positions[:, None])[None, None]
            mask = torch.zeros_like(seen, dtype=torch.float32).masked_fill(~seen, torch.finfo(torch.float32).min)
            out: torch.Tensor = self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions[None],
                past_key_values=Cache(layers=slots),
                use_cache=True,
                logits_to_keep=1,
            ).logits
            return out

    return WithCache().eval()


def _linears(model: PretrainedModel) -> list[Any]:
    """Return the linear layers of the blocks."""
    import torch

    head = model.get_output_embeddings()
    return [part for part in model.modules() if isinstance(part, torch.nn.Linear) and part is not head]


def _quantize(model: PretrainedModel, precision: Precision, group_size: int) -> None:
    """Quantize the weights of `model`: linear layers with activations in int8, which are scaled token by token."""
    import torch
    from torchao.quantization import Int8DynamicActivationIntxWeightConfig, quantize_
    from torchao.quantization.granularity import PerAxis, PerGroup

    rows, head, blocks = PerAxis(0), model.get_output_embeddings(), set(_linears(model))
    last = Int8DynamicActivationIntxWeightConfig(weight_dtype=torch.int8, weight_granularity=rows)
    linear = last
    if precision == "int4":
        four: Any = torch.int4  # type: ignore[attr-defined] # torch has it, its types don't
        linear = Int8DynamicActivationIntxWeightConfig(weight_dtype=four, weight_granularity=PerGroup(group_size))
    quantize_(model, linear, lambda part, _: part in blocks)
    quantize_(model, last, lambda part, _: part is head)
    model.set_input_embeddings(_rows_in_int8(model.get_input_embeddings().weight.detach()))


def _rows_in_int8(weight: torch.Tensor) -> torch.nn.Module:
    """Return an embedding [V, H] that keeps each row in int8 with a scale, from operators that every runtime has."""
    import torch

    class RowsInInt8(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows: torch.Tensor
            self.scales: torch.Tensor
            # clamped: a row of zeros would be divided by 0
            scales = weight.abs().amax(1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny) / 127
            self.register_buffer("scales", scales)
            self.register_buffer("rows", (weight / scales).round().to(torch.int8))

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            rows, scales = (torch.nn.functional.embedding(ids, table) for table in (self.rows, self.scales))
            return rows.to(scales.dtype) * scales

    return RowsInInt8()
