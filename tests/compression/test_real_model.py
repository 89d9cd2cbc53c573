"""The orders that papers claim, on blocks of a model that others trained and on real text: the project's own docs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import compressing
import smollm2
from potstill.compression.agreement import compared, outputs
from potstill.compression.layerwise import block_layers
from potstill.compression.quantization import rounding
from potstill.compression.quantization.activations import quantized_activations
from potstill.steps.compression.calibration import Calibration
from potstill.steps.quantization.int4 import awq_layers, gptq_layers, weights_of_tokens
from potstill.steps.quantization.smoothing import Smoothing, smooth

pytestmark = pytest.mark.slow  # a quarter of a minute: 98 MB of weights are unpacked
DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = 2
GROUP = 64


@pytest.fixture(scope="module")
def source():
    return smollm2.reader()


@pytest.fixture(scope="module")
def texts(source):
    """Return token ids [4, 256] to calibrate on, and [2, 256] of another page to measure on."""
    tokenizer = smollm2.tokenizer(source)
    pages = [(DOCS / name).read_text() for name in ("compression.md", "steps.md")]
    seen, new = (torch.tensor(tokenizer.encode(page[:6000]).ids) for page in pages)
    return seen[: 4 * 256].reshape(4, 256), new[: 2 * 256].reshape(2, 256)


@pytest.fixture
def model(source):
    return smollm2.model(source, BLOCKS)


@pytest.fixture(scope="module")
def exact(source, texts):
    return states(smollm2.model(source, BLOCKS), texts[1])


@torch.no_grad()
def states(model, ids):
    return model.model(input_ids=ids, use_cache=False).last_hidden_state


def error(model, texts, exact):
    """Return the squared error of the last hidden states as a share of their square, the median of the tokens."""
    difference = (states(model, texts[1]) - exact).square().sum(-1) / exact.square().sum(-1)
    return float(difference.median())


def rounded(model, bits, group=None):
    for layer in block_layers(model).values():
        layer.weight.data = rounding.quantize(layer.weight.data, bits, group).dequantize()
    return model


def test_the_whole_model_reads_prose_as_it_was_trained_to(source):
    """A wrong order of a head's features, or other positions, would leave little of what words in order say."""
    page = (DOCS / "explanation" / "methods.md").read_text()
    ids = torch.tensor(smollm2.tokenizer(source).encode(page[:500]).ids)
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))
    subject = smollm2.model(source, blocks=30)
    with torch.no_grad():
        in_order, shuffled = (subject(input_ids=one[None], labels=one[None]).loss for one in (ids, ids[order]))
    assert in_order < shuffled - 3


def test_gptq_and_awq_lose_less_than_rounding(model, source, texts, exact, tmp_path):
    nearest = error(rounded(smollm2.model(source, BLOCKS), 4, GROUP), texts, exact)
    context = compressing.context(tmp_path)
    ratios: dict[str, float] = {}
    assert dict(gptq_layers(model, [texts[0]], GROUP, 0.01, context, ratios=ratios)).keys() == ratios.keys()
    assert error(model, texts, exact) < 0.9 * nearest
    assert max(ratios.values()) <= 1
    scaled = smollm2.model(source, BLOCKS)
    list(awq_layers(scaled, [texts[0]], GROUP, context))
    assert error(scaled, texts, exact) < 0.9 * nearest


def test_tokens_weighed_by_what_predictions_lose_leave_them_closer(source, texts, tmp_path):
    context, drawn = compressing.context(tmp_path), Calibration([(ids, 0) for ids in texts[0]], cut=0)
    new = [(ids, 0) for ids in texts[1]]
    dense = smollm2.model(source, BLOCKS)
    before, apart = outputs(dense, new), []
    for weights in ({}, weights_of_tokens(dense, drawn, 0, context)):
        subject = smollm2.model(source, BLOCKS)
        list(gptq_layers(subject, drawn.batches(), GROUP, 0.01, context, False, None, weights))
        apart.append(compared(subject, before, outputs(subject, new))["kl"])
    assert apart[1] < 0.9 * apart[0]


def test_searched_strengths_lose_less_in_8_bits_than_rounding(model, source, texts, exact, tmp_path):
    losses = []
    drawn = Calibration([(ids, 0) for ids in texts[0]], cut=0)
    for smoothing in (Smoothing(), smooth(model, drawn, "search", compressing.context(tmp_path))):
        subject = model if smoothing.columns else smollm2.model(source, BLOCKS)
        layers = block_layers(subject)
        for path, layer in layers.items():
            layer.weight.data = smoothing.rounded(path, layer).dequantize()
        with quantized_activations(list(layers.values())):
            losses.append(error(subject, texts, exact))
    assert losses[1] < 0.7 * losses[0]
