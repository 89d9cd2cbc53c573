from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

import compressing
import tiny
import zeroing
from potstill.compression.layerwise import block_layers
from potstill.errors import BadInput
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.pruning.magnitude import MagnitudePrune
from potstill.steps.pruning.sparsegpt import SparseGPTPrune
from potstill.steps.pruning.wanda import WandaPrune
from potstill.trainers.language_models.hard_label import HardLabel
from running import problems_of

ROWS = compressing.rows()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("sparsegpt") / "model")


def pruned(folder, tmp_path, rows=ROWS, kind=SparseGPTPrune, **fields):
    """Run the step; return its context."""
    context = compressing.context(tmp_path / kind.__name__, "out")
    kind(str(folder), calibration=rows, **fields).run(str(folder), rows, context)
    return context


@pytest.mark.parametrize("pattern", ["unstructured", "2:4"])
def test_it_agrees_more_with_the_dense_model_than_wanda_does(folder, tmp_path, pattern):
    ours = pruned(folder, tmp_path, pattern=pattern)
    wanda = pruned(folder, tmp_path, pattern=pattern, kind=WandaPrune)
    assert ours.notes["agreement"]["kl"] < wanda.notes["agreement"]["kl"]
    assert ours.notes["sparsity"] == pytest.approx(0.5, abs=1e-3)
    dense = AutoModelForCausalLM.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(ours.out)
    assert torch.equal(model.model.embed_tokens.weight, dense.model.embed_tokens.weight)
    changed = 0
    for path, layer in block_layers(model).items():
        kept = layer.weight != 0
        changed += int((layer.weight[kept] != dense.get_submodule(path).weight[kept]).sum())
        if pattern == "2:4":
            assert (kept.reshape(-1, 4).sum(1) <= 2).all(), path
    assert changed > 10_000
    card = (ours.out / "README.md").read_text()
    assert "SparseGPT" in card and "no smaller on disk and no faster" in card


@pytest.mark.parametrize("bits", [4, 8])
def test_what_survives_is_quantized_and_loads_as_it_computed(folder, tmp_path, bits):
    context = pruned(folder, tmp_path, pattern="2:4", bits=bits)
    stored = AutoModelForCausalLM.from_pretrained(folder).config
    model = AutoModelForCausalLM.from_pretrained(
        context.out, dtype=torch.bfloat16, quantization_config=dequantizing(context.out)
    )
    weights = [layer.weight for layer in block_layers(model).values()]
    for weight in weights:
        assert ((weight.reshape(-1, 4) != 0).sum(1) <= 2).all()
    zeros = sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)
    assert context.notes["sparsity"] == zeros >= 0.5
    size, dense = (sum(path.stat().st_size for path in at.glob("*.safetensors")) for at in (context.out, folder))
    assert size < {4: 0.6, 8: 0.8}[bits] * dense
    assert model.config.hidden_size == stored.hidden_size
    assert f"int{bits}" in (context.out / "README.md").read_text()


def dequantizing(folder):
    """Return the config that makes transformers load the weights as 16-bit ones."""
    import json

    from transformers import CompressedTensorsConfig

    result = json.loads((folder / "config.json").read_text())["quantization_config"]
    return CompressedTensorsConfig(**{**result, "dequantize": True})


def test_encoders_and_gpt2(tmp_path):
    bert = zeroing.classifier(tmp_path / "bert")
    context = pruned(bert, tmp_path, zeroing.texts(), text="text", max_length=64)
    assert torch.equal(zeroing.loaded(context.out).classifier.weight, zeroing.loaded(bert).classifier.weight)
    assert context.notes["sparsity"] == pytest.approx(0.5, abs=1e-3)
    gpt2 = zeroing.gpt2(tmp_path / "gpt2")
    context = pruned(gpt2, tmp_path, pattern="2:4")
    weight = AutoModelForCausalLM.from_pretrained(context.out).transformer.h[0].mlp.c_fc.weight  # [I, O]
    assert ((weight.T.reshape(-1, 4) != 0).sum(1) <= 2).all()
    with pytest.raises(
        BadInput, match="a model of type 'gpt2' has no linear layers that compressed-tensors could store"
    ):
        pruned(gpt2, tmp_path, bits=4)


def test_pruning_again_keeps_the_zeros(folder, tmp_path):
    first = compressing.context(tmp_path, "first")
    MagnitudePrune(str(folder), sparsity=0.4).run(str(folder), first)
    second = pruned(first.out, tmp_path, sparsity=0.5)
    before, after = (block_layers(AutoModelForCausalLM.from_pretrained(one.out)) for one in (first, second))
    for path, layer in after.items():
        assert not (layer.weight[before[path].weight == 0]).any(), path
    assert second.notes["sparsity"] == pytest.approx(0.5, abs=0.05)


def test_wrong_parameters_are_told_before_anything_runs(folder):
    rows = LoadRows([{"instruction": "a", "output": "b"}])

    def wrong(**fields):
        return problems_of(SparseGPTPrune(str(folder), calibration=rows, name="sparse", **fields))

    assert wrong(bits=4, pattern="2:4") == []
    assert "sparse.damping: must be > 0 and <= 1, got 0" in wrong(damping=0.0)[0]
    assert "sparse.bits: must be" in wrong(bits=2)[0]
    recovered = SparseGPTPrune(str(folder), calibration=rows, bits=4, recover=HardLabel(rows, student="x"), name="r")
    assert "r.bits: is 4, but quantized weights can't be trained" in problems_of(recovered)[0]


def test_groups_that_do_not_fit(tmp_path):
    narrow = tiny.causal_lm(tmp_path / "model", hidden=96, layers=1)
    with pytest.raises(BadInput, match="groups of 128"):
        pruned(narrow, tmp_path, bits=4, group_size=128)
