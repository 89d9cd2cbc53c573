from __future__ import annotations

import torch

from potstill.compression import compressed_tensors as ours
from potstill.compression.rounding import Quantized, quantize


def all_values() -> torch.Tensor:
    """Return int8 [32, 64] that holds every 4-bit value at every position of an int32."""
    return ((torch.arange(32 * 64).reshape(32, 64) * 7 + torch.arange(32)[:, None]) % 16 - 8).to(torch.int8)


def test_packing_is_the_librarys():
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32, unpack_from_int32

    values = all_values()
    packed = ours.pack_int4(values)
    assert packed.dtype == torch.int32
    assert torch.equal(packed, pack_to_int32(values, 4))
    assert torch.equal(unpack_from_int32(packed, 4, values.shape), values)
    assert torch.equal(ours.unpack_int4(packed), values)


def test_packed_file_entries_are_the_dequantized_weight():
    from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32

    weight = torch.randn(64, 128, generator=torch.Generator().manual_seed(0)).bfloat16()
    made = quantize(weight, 4, 32, torch.bfloat16)
    entries = ours.layer_tensors("a.b", made)
    assert {name: value.dtype for name, value in entries.items()} == {
        "a.b.weight_packed": torch.int32,
        "a.b.weight_scale": torch.bfloat16,
        "a.b.weight_shape": torch.int64,
    }
    values = unpack_from_int32(entries["a.b.weight_packed"], 4, entries["a.b.weight_shape"])
    scale = entries["a.b.weight_scale"].repeat_interleave(32, dim=1)
    assert torch.equal(values.to(torch.bfloat16) * scale, made.dequantize())


def test_int8_entries():
    made = Quantized(torch.ones(2, 4, dtype=torch.int8), torch.ones(2, 1), 8)
    assert set(ours.layer_tensors("x", made)) == {"x.weight", "x.weight_scale"}


def test_the_library_reads_the_config():
    from compressed_tensors.quantization import QuantizationConfig

    int8 = QuantizationConfig.model_validate(ours.quantization_config(8, None)).config_groups["group_0"]
    assert (int8.weights.num_bits, int8.weights.strategy, int8.input_activations.dynamic) == (8, "channel", True)
    int4 = QuantizationConfig.model_validate(ours.quantization_config(4, 64)).config_groups["group_0"]
    assert (int4.weights.num_bits, int4.weights.group_size, int4.input_activations) == (4, 64, None)
