"""Size of a model: bytes on disk, parameters, zeros, and the peak memory of the processes that run it.

Bytes are measured from the files, never computed from bits and parameters: a "4-bit" format may well store 8.
"""

from __future__ import annotations

import json
import math
import os
import re
import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.engine.digests import walk
from potstill.engine.store.manifests import BESIDE_PAYLOAD
from potstill.models.identity import export_in
from potstill.models.weights import weight_files

if TYPE_CHECKING:
    from torch import Tensor

NF4_STATE = ".quant_state.bitsandbytes__nf4"
"""End of the name of the tensor that says how a weight of 4-bit normal floats is stored, two to a byte."""
NF4_ZERO = 7
"""Number of the level of a 4-bit normal float that is 0."""
INT4_ZERO = 8
"""Number that stands for 0 where 4-bit integers are stored two to a byte, with a scale a row."""
SIDE_TENSORS = (
    "_scale",
    "_zero_point",
    "_g_idx",
    "weight_shape",
    ".SCB",
    ".absmax",
    ".quant_map",
    ".nested_absmax",
    ".nested_quant_map",
    ".weight_format",
    NF4_STATE,
)
"""Ends of the names of tensors that a quantizer added: they cost bytes but are no parameters."""


PARTS = (
    (re.compile(r"norm|(^|\.)ln_", re.IGNORECASE), "norms"),
    (re.compile(r"(^|\.)(lm_head|classifier|score|qa_outputs|cls)\."), "head"),
    (re.compile(r"embed|(^|\.)wte|(^|\.)wpe|(^|\.)shared\."), "embeddings"),
    (re.compile(r"attn|attention", re.IGNORECASE), "attention"),
    (re.compile(r"mlp|expert|ffn|feed_forward|intermediate|output\.dense|(^|\.)lin[12]\."), "feed-forward"),
)
"""Patterns in the names of tensors, the first that fits, and what such tensors are for."""
EXPORTED_WEIGHTS = ("*.gguf", "*.onnx", "*.onnx.data", "*.onnx_data", "openvino_model.*", "*.pte")
"""Files that hold the weights of what was written for one runtime, graphs included."""


@dataclass(frozen=True)
class Footprint:
    """Size of a model on disk."""

    weights_bytes: int
    """Bytes of the safetensors files, scales and headers included; of an export, of what its runtime loads."""
    folder_bytes: int
    """Bytes of the whole folder: tokenizer, configuration and model card too, but not what the store lays beside."""
    parameters: int | None
    """Parameters of the model, tied ones once; of packed ones those they stand for; `None` for an export."""
    nonzero_parameters: int | None
    """Those that are not stored as zero; `None` where the packing hides it."""

    @property
    def bits_per_weight(self) -> float | None:
        """Return bits on disk a parameter, scales and headers included; `None` where parameters aren't counted."""
        if self.parameters is None:
            return None
        return 8 * self.weights_bytes / self.parameters if self.parameters else 0.0


def footprint(folder: Path) -> Footprint:
    """Measure the model in `folder`, which may have been written for one runtime."""
    whole = sum(path.stat().st_size for path in walk(folder) if path.name not in BESIDE_PAYLOAD)
    if export_in(folder):
        return Footprint(footprint_of_files(folder), whole, None, None)
    files = weight_files(folder)
    counts = [count for file in files for count in _counts(file)]
    nonzero = [count for _, count in counts if count is not None]
    return Footprint(
        weights_bytes=footprint_of_files(folder),
        folder_bytes=whole,
        parameters=sum(count for count, _ in counts),
        nonzero_parameters=sum(nonzero) if len(nonzero) == len(counts) else None,
    )


def bytes_by_part(folder: Path) -> dict[str, int]:
    """Return the bytes of the weights by what they are for, scales among them; only headers are read.

    `files` is what the files hold besides: headers and padding; all of an export, whose weights stand in graphs.
    """
    parts: dict[str, int] = {}
    size = footprint_of_files(folder)
    for file in () if export_in(folder) else weight_files(folder):
        with file.open("rb") as opened:
            header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        for name, tensor in header.items():
            if name != "__metadata__":
                start, end = tensor["data_offsets"]
                part = part_of(name)
                parts[part] = parts.get(part, 0) + end - start
    rest = size - sum(parts.values())
    return {**dict(sorted(parts.items())), **({"files": rest} if rest else {})}


def footprint_of_files(folder: Path) -> int:
    """Return the bytes of the files that hold a model's weights."""
    if export_in(folder):
        return sum(path.stat().st_size for path in {path for one in EXPORTED_WEIGHTS for path in folder.glob(one)})
    return sum(path.stat().st_size for path in weight_files(folder))


def part_of(name: str) -> str:
    """Return what a tensor is for, by its name in models of transformers.

    >>> part_of("model.layers.0.self_attn.q_proj.weight_packed"), part_of("bert.embeddings.word_embeddings.weight")
    ('attention', 'embeddings')
    >>> part_of("model.layers.3.mlp.down_proj.weight"), part_of("lm_head.weight"), part_of("model.norm.weight")
    ('feed-forward', 'head', 'norms')
    """
    return next((part for pattern, part in PARTS if pattern.search(name)), "other")


def _counts(file: Path) -> Iterator[tuple[int, int | None]]:
    """Yield (parameters, non-zero ones) of each tensor, one in memory at a time."""
    import torch
    from safetensors import safe_open

    with safe_open(str(file), framework="pt") as tensors:
        names = set(tensors.keys())
        for name in sorted(names):
            stem = name.removesuffix("weight_packed")
            if name.endswith(SIDE_TENSORS):
                continue
            values = tensors.get_tensor(name)
            # two 4-bit values a byte in NF4 (bitsandbytes) and in `gemma`, eight an int32 in compressed-tensors
            if f"{name}{NF4_STATE}" in names:
                yield 2 * values.numel(), sum(int((half != NF4_ZERO).sum()) for half in (values >> 4, values & 15))
            elif values.dtype == torch.uint8 and f"{name.removesuffix('_quantized')}_scale" in names:
                halves = (values >> 4, values & 15)
                yield 2 * values.numel(), sum(int((half != INT4_ZERO).sum()) for half in halves)
            elif stem != name:
                yield _packed_counts(values, tensors.get_tensor(f"{stem}weight_shape").tolist())
            else:
                yield values.numel(), int((values != 0).sum())


def _packed_counts(packed: Tensor, shape: Sequence[int]) -> tuple[int, int | None]:
    """Count the weights [O, I] of `shape` behind `packed` int32; zeros are seen only in the 4-bit format."""
    from potstill.compression.formats.compressed_tensors import PER_INT32, unpack_int4

    rows, columns = shape
    if packed.shape[1] != math.ceil(columns / PER_INT32):
        return rows * columns, None
    return rows * columns, int((unpack_int4(packed)[:, :columns] != 0).sum())


def peak_memory(process: int | None = None) -> int:
    """Return the peak resident bytes of `process` (default: this one) and its living descendants, summed.

    A sum of peaks is an upper bound: pages that parent and child share are counted in both. Where there is no /proc,
    only this process is known.
    """
    process = os.getpid() if process is None else process
    peaks = [_high_water(member) for member in family(process)]
    if any(peaks):
        return sum(peaks)
    # Linux counts ru_maxrss in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def family(process: int) -> Iterator[int]:
    """Yield `process` and its living descendants."""
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            below = [int(child) for child in children.read_text().split()]
        except OSError:  # the thread has just ended
            continue
        for child in below:
            yield from family(child)


def _high_water(process: int) -> int:
    """Return the peak resident bytes of one process (VmHWM), 0 if it has just ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
