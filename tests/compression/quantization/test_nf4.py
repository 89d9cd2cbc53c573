from __future__ import annotations

import pytest
import torch

from potstill.compression.formats.bitsandbytes import nf4_tensors
from potstill.compression.quantization import nf4

WEIGHT = torch.randn(192, 128, generator=torch.Generator().manual_seed(0)) / 20


def test_levels_are_those_of_the_papers_appendix():
    # Dettmers et al. 2023, appendix E, to 4 digits
    published = [-1.0, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0.0]
    published += [0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.7230, 1.0]
    assert torch.allclose(nf4.levels(), torch.tensor(published), atol=1e-4)


def test_levels_are_the_librarys():
    functional = pytest.importorskip("bitsandbytes").functional
    assert torch.allclose(nf4.levels(), functional.get_4bit_type("nf4", device="cpu"), atol=1e-6)
    assert torch.allclose(nf4.dynamic_levels(), functional.create_dynamic_map(), atol=1e-7)


def test_every_level_comes_back_exactly_but_for_the_scale():
    weight = nf4.levels().repeat(64, 8)
    result = nf4.quantize(weight)
    assert torch.equal(result.values.reshape(64, -1), torch.arange(16, dtype=torch.uint8).repeat(64, 8))
    assert torch.allclose(result.dequantize(), weight, atol=1e-6)  # equal scales leave nothing to quantize twice


def test_double_quantization_costs_little():
    result = nf4.quantize(WEIGHT)
    absmax = WEIGHT.reshape(-1, 64).abs().amax(1)
    assert (result.scales() - absmax).abs().max() < 0.02 * absmax.max()
    # 8 bits a block of 64, and 32 a block of 256 of those: 0.127 bits a weight where float32 scales take 0.5
    assert (8 * len(result.scale) + 32 * len(result.second_scale)) / WEIGHT.numel() == pytest.approx(0.127, abs=0.003)


def test_numbers_and_scales_are_the_librarys():
    functional = pytest.importorskip("bitsandbytes").functional
    packed, state = functional.quantize_4bit(WEIGHT, blocksize=64, compress_statistics=True, quant_type="nf4")
    result = nf4.quantize(WEIGHT)
    theirs = functional.dequantize_4bit(packed, state)
    # a number in the middle of two levels may go either way
    assert (result.packed() != packed.flatten()).float().mean() < 0.002
    assert torch.allclose(result.offset, state.offset)
    assert torch.allclose(result.second_scale, state.state2.absmax)
    assert (result.scale != state.absmax).float().mean() < 0.02
    assert ((result.dequantize() - theirs).abs() > 1e-6).float().mean() < 0.02


def test_stored_tensors_are_named_as_the_library_names_them():
    functional = pytest.importorskip("bitsandbytes").functional
    packed, state = functional.quantize_4bit(WEIGHT.bfloat16(), compress_statistics=True, quant_type="nf4")
    theirs = {f"weight.{name}": value for name, value in state.as_dict(packed=True).items()} | {"weight": packed}
    ours = nf4_tensors(nf4.quantize(WEIGHT.bfloat16()), torch.bfloat16)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name].dtype == value.dtype, name
    shapes = {name: value.shape for name, value in theirs.items() if "quant_state" not in name}
    assert {name: ours[name].shape for name in shapes} == shapes


def test_normal_floats_beat_integers_on_normal_weights():
    from potstill.compression.quantization.rounding import quantize

    floats = (nf4.quantize(WEIGHT).dequantize() - WEIGHT).square().mean()
    integers = (quantize(WEIGHT, 4, 64).dequantize() - WEIGHT).square().mean()
    assert floats < 0.9 * integers


def test_zeros_stay_zero():
    weight = WEIGHT.clone()
    weight[::2] = 0
    assert (nf4.quantize(weight).dequantize()[::2] == 0).all()


def test_blocks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="3 x 10 weights"):
        nf4.quantize(torch.ones(3, 10))
