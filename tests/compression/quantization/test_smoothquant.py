from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

import compressing
import tiny
from potstill.compression.quantization import scale_folding, smoothquant
from potstill.compression.quantization.rounding import fake_quantize_tokens, quantize
from potstill.errors import BadInput


def test_scales_of_equation_4():
    inputs = torch.tensor([16.0, 4.0, 1.0])
    weights = [torch.tensor([[1.0, 0.5, -4.0]]), torch.tensor([[-2.0, 1.0, 1.0]])]
    # the largest weights of the features are 2, 1 and 4
    assert torch.allclose(smoothquant.scales(inputs, weights, 0.5), torch.tensor([8.0, 4.0, 0.25]).sqrt())
    assert torch.allclose(smoothquant.scales(inputs, weights, 1.0), inputs)
    assert torch.allclose(smoothquant.scales(inputs, weights, 0.0), 1 / torch.tensor([2.0, 1.0, 4.0]))


def test_half_makes_inputs_and_weights_equally_hard():
    """The paper's reason for alpha = 0.5: both then have the same largest magnitude in each feature."""
    inputs, weight = torch.rand(50, 8) * torch.arange(1, 9), torch.rand(4, 8)
    seen = smoothquant.InputAbsmax(8)
    for part in inputs.split(20):
        seen.add(part)
    scale = smoothquant.scales(seen.largest, [weight], 0.5)
    assert torch.allclose((inputs / scale).abs().amax(0), (weight * scale).abs().amax(0))


def test_outliers_of_the_activations_cost_less():
    generator = torch.Generator().manual_seed(0)
    inputs, weight = torch.randn(200, 64, generator=generator), torch.randn(32, 64, generator=generator) / 8
    inputs[:, 5] *= 100

    def error(scale):
        rounded = fake_quantize_tokens(inputs / scale) @ quantize(weight * scale, 8).dequantize().T
        return (rounded - inputs @ weight.T).square().mean()

    scale = smoothquant.scales(inputs.abs().amax(0), [weight], 0.5)
    assert error(scale) < 0.1 * error(torch.ones(64))


def test_a_feature_that_is_never_active_has_a_finite_scale():
    assert torch.isfinite(smoothquant.scales(torch.zeros(2), [torch.zeros(1, 2)], 0.5)).all()


@pytest.mark.parametrize("places", [scale_folding.behind_norms, scale_folding.everywhere])
@pytest.mark.parametrize("heads", [1, 2])
def test_folding_does_not_change_the_function(tmp_path, places, heads):
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    model = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2, num_key_value_heads=heads)).eval()
    ids = [torch.arange(5, 30)]
    before, block = compressing.logits(model, ids)[0], model.model.layers[0]
    folds = places(model)
    for fold in folds:
        source, readers = block.get_submodule(fold.source), [block.get_submodule(reader) for reader in fold.readers]
        scale = torch.rand(readers[0].in_features) * 3 + 0.1
        if isinstance(source, torch.nn.Linear):
            source.weight.data /= scale[:, None]
        else:
            scale = scale_folding.into_norm(source, scale)
        for reader in readers:
            reader.weight.data *= scale
    assert torch.allclose(compressing.logits(model, ids)[0], before, atol=1e-5)
    assert len(folds) == (2 if places is scale_folding.behind_norms else 2 + heads)


def test_what_the_norm_rounds_away_the_readers_make_up_for():
    norm = torch.nn.LayerNorm(64, dtype=torch.bfloat16)
    wanted = torch.rand(64) * 5 + 0.1
    result = scale_folding.into_norm(norm, wanted)
    assert torch.allclose(norm.weight.float() * result, torch.ones(64), rtol=1e-6)
    assert torch.allclose(result, wanted, rtol=0.01)


def test_a_feature_that_the_norm_drops_is_left_alone():
    norm = torch.nn.LayerNorm(2)
    norm.weight.data[0] = 0
    assert scale_folding.into_norm(norm, torch.tensor([3.0, 2.0])).tolist() == [1.0, 2.0]


def test_encoders_have_no_place_for_scales(tmp_path):
    from transformers import AutoModel

    with pytest.raises(BadInput, match="in a model of type 'bert' what a norm puts out"):
        scale_folding.behind_norms(AutoModel.from_pretrained(tiny.encoder(tmp_path / "model")))


def test_a_shared_value_head_is_no_place(tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny.causal_lm(tmp_path / "model"))
    assert [fold.source for fold in scale_folding.everywhere(model)] == [
        "input_layernorm",
        "post_attention_layernorm",
        "mlp.up_proj",
    ]
