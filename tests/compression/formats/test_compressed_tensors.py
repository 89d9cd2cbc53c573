from __future__ import annotations

import pytest
import torch

from potstill.compression.formats import compressed_tensors as ours
from potstill.compression.quantization import fp8
from potstill.compression.quantization.rounding import Quantized, quantize

WEIGHT = torch.randn(64, 128, generator=torch.Generator().manual_seed(0)).bfloat16() + 0.3


def all_values() -> torch.Tensor:
    """Return int8 [32, 64] that holds every 4-bit value at every position of an int32."""
    return ((torch.arange(32 * 64).reshape(32, 64) * 7 + torch.arange(32)[:, None]) % 16 - 8).to(torch.int8)


def scheme(config, number=0):
    """Return how the library reads a group of `config`."""
    from compressed_tensors.quantization import QuantizationConfig

    return QuantizationConfig.model_validate(config).config_groups[f"group_{number}"]


def test_packing_is_the_librarys():
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32, unpack_from_int32

    values = all_values()
    packed = ours.pack_int4(values)
    assert packed.dtype == torch.int32
    assert torch.equal(packed, pack_to_int32(values, 4))
    assert torch.equal(unpack_from_int32(packed, 4, values.shape), values)
    assert torch.equal(ours.unpack_int4(packed), values)


@pytest.mark.parametrize("symmetric", [True, False])
def test_packed_file_entries_are_the_dequantized_weight_and_the_librarys_bytes(symmetric):
    from compressed_tensors.compressors import PackedQuantizationCompressor

    result = quantize(WEIGHT, 4, 32, torch.bfloat16, symmetric)
    how = scheme(ours.quantization_config({"a": ours.scheme_of(result)}, []))
    entries = ours.layer_tensors(result)
    state = {"weight": result.dequantize(), "weight_scale": result.scale}
    if result.zero is not None:
        state["weight_zero_point"] = result.zero
    theirs = PackedQuantizationCompressor.compress(state, how)
    assert entries.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.equal(entries[name], value) and entries[name].dtype == value.dtype, name
    assert torch.equal(PackedQuantizationCompressor.decompress(entries, how)["weight"], result.dequantize())


@pytest.mark.parametrize("made", [quantize(WEIGHT, 8, None, torch.bfloat16), fp8.quantize(WEIGHT, torch.bfloat16)])
def test_8_bit_file_entries_are_the_dequantized_weight(made):
    from compressed_tensors.compressors import NaiveQuantizationCompressor

    how = scheme(ours.quantization_config({"a": ours.scheme_of(made)}, []))
    entries = ours.layer_tensors(made)
    assert entries["weight"].dtype in (torch.int8, torch.float8_e4m3fn)
    assert torch.equal(NaiveQuantizationCompressor.decompress(entries, how)["weight"], made.dequantize())


def test_int8_entries():
    result = Quantized(torch.ones(2, 4, dtype=torch.int8), torch.ones(2, 1), 8)
    assert set(ours.layer_tensors(result)) == {"weight", "weight_scale"}


def test_the_library_reads_the_config():
    int8 = scheme(ours.quantization_config({"a": ours.Scheme()}, ["lm_head"]))
    assert (int8.weights.num_bits, int8.weights.strategy, int8.input_activations.dynamic) == (8, "channel", True)
    int4 = scheme(ours.quantization_config({"a": ours.Scheme(4, 64)}, ["lm_head"]))
    assert (int4.weights.num_bits, int4.weights.group_size, int4.input_activations) == (4, 64, None)


def test_several_ways_name_their_layers():
    config = ours.quantization_config({"a": ours.Scheme(4, 32), "b": ours.Scheme(), "c": ours.Scheme(4, 32)}, ["head"])
    assert config["format"] == "mixed-precision"
    assert scheme(config, 0).targets == ["a", "c"]
    assert scheme(config, 1).targets == ["b"]
    assert scheme(config, 1).format == "int-quantized"
