"""Harm to second order: what small changes of a layer do to what the model puts out, without trying them out."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

import tiny
import tiny_encoders
from potstill.compression.agreement import outputs
from potstill.compression.layerwise import block_layers
from potstill.compression.quantization import curvature
from potstill.compression.quantization.sensitivity import divergences, fused_units, rounded_alone
from potstill.models import folder as checkpoint


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny.causal_lm(tmp_path_factory.mktemp("curvature") / "model", layers=2)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def texts(count, length=24):
    drawn = torch.Generator().manual_seed(0)
    return [(torch.randint(3, 250, (length,), generator=drawn), number % 5) for number in range(count)]


def parts_of(model):
    layers = block_layers(model)
    return [{path: layers[path] for path in unit} for unit in fused_units(model)]


def quadratic_form(model, part, bits, given):
    """Return half the variance of the logits' linear change under the model's own distribution: 1/2 d' F d."""
    total, count = 0.0, 0
    before = [model.lm_head(one).double() for one in outputs(model, given)]
    kept = {path: layer.weight.data.clone() for path, layer in part.items()}
    with rounded_alone(part, bits):
        change = {path: layer.weight.data - kept[path] for path, layer in part.items()}
    step = 1e-2
    for path, layer in part.items():
        layer.weight.data += step * change[path]
    after = [model.lm_head(one).double() for one in outputs(model, given)]
    for path, layer in part.items():
        layer.weight.data.copy_(kept[path])
    for old, new in zip(before, after, strict=True):
        slope, shares = (new - old) / step, old.softmax(-1)
        total += float(((shares * slope.square()).sum(-1) - (shares * slope).sum(-1).square()).sum()) / 2
        count += len(old)
    return total / count


def test_it_is_the_quadratic_form_of_the_fisher_information(model):
    given, parts = texts(64), parts_of(model)
    with torch.no_grad():
        exact = [quadratic_form(model, part, 4, given) for part in parts]
    actual = [harms[0] for harms in curvature.divergences(model, parts, [4], given)]
    ratios = [one / other for one, other in zip(actual, exact, strict=True)]
    assert all(0.75 < ratio < 1.35 for ratio in ratios), ratios
    assert sum(actual) == pytest.approx(sum(exact), rel=0.15)


def test_it_is_near_the_divergence_that_is_measured_and_orders_the_choices_alike(model):
    given, parts = texts(48), parts_of(model)
    before = outputs(model, given)
    measured = [divergences(model, part, [4, 8, 16], given, before) for part in parts]
    actual = curvature.divergences(model, parts, [4, 8, 16], given)
    for ours, theirs in zip(actual, measured, strict=True):
        assert ours[2] == theirs[2] == 0
        assert 0.5 < ours[0] / theirs[0] < 2 and 0.5 < ours[1] / theirs[1] < 2
        assert ours[0] > ours[1] > 0


def test_a_classifier_has_harms_too_and_is_left_as_it_was(tmp_path):
    model = checkpoint.load(tiny_encoders.classifier(tmp_path / "model"), half=True).model
    weights = {name: weight.clone() for name, weight in model.named_parameters()}
    wanted = [weight.requires_grad for weight in model.parameters()]
    actual = curvature.divergences(model, parts_of(model), [4, 8], [(torch.arange(5, 20), 0)] * 3, seed=1)
    assert all(four > eight > 0 for four, eight in actual)
    assert actual == curvature.divergences(model, parts_of(model), [4, 8], [(torch.arange(5, 20), 0)] * 3, seed=1)
    assert all(torch.equal(weight, weights[name]) and weight.grad is None for name, weight in model.named_parameters())
    assert [weight.requires_grad for weight in model.parameters()] == wanted


def test_it_takes_one_pass_whatever_the_number_of_layers(model):
    """Blocks run once forward and once more in the backward pass, where trying parts out runs them for each."""
    runs = []
    handle = model.model.layers[0].self_attn.q_proj.register_forward_pre_hook(
        lambda _, given: runs.append(len(given[0]))
    )
    forward = model.model.layers[0].forward
    try:
        curvature.divergences(model, parts_of(model), [4, 8], texts(6))
    finally:
        handle.remove()
    assert model.model.layers[0].forward == forward
    assert sum(runs) == 2 * 6 * curvature.DRAWS
