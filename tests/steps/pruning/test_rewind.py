from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

import compressing
import learning
import tiny
import zeroing
from potstill.compression.layerwise import block_layers
from potstill.compression.pruning.rewinding import controlled
from potstill.errors import BadInput
from potstill.steps.pruning.magnitude import MagnitudePrune
from potstill.steps.pruning.rewind import Rewind


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return an initial model, a trained one (another, for all that Rewind knows) and that one pruned."""
    folder = tmp_path_factory.mktemp("rewind")
    first, trained = tiny.causal_lm(folder / "first"), tiny.causal_lm(folder / "trained", seed=1)
    context = compressing.context(folder, "pruned")
    return first, trained, MagnitudePrune("x", sparsity=0.6).run(str(trained), context)


def layers(folder):
    return {path: layer.weight for path, layer in block_layers(AutoModelForCausalLM.from_pretrained(folder)).items()}


def rewound(models, tmp_path, **fields):
    first, _, pruned = models
    context = compressing.context(tmp_path, "out")
    return layers(Rewind("x", weights="y", **fields).run(str(pruned), str(first), context)), context


def test_the_mask_is_the_pruned_models_and_the_weights_are_the_first_ones(models, tmp_path):
    actual, context = rewound(models, tmp_path)
    first, masks = layers(models[0]), layers(models[2])
    for path, weight in actual.items():
        assert torch.equal(weight, first[path] * (masks[path] != 0)), path
    assert context.notes["sparsity"] == pytest.approx(0.6, abs=1e-3)
    assert (context.out / "tokenizer.json").is_file()
    embeddings = [
        AutoModelForCausalLM.from_pretrained(one).model.embed_tokens.weight for one in (context.out, models[0])
    ]
    assert torch.equal(*embeddings)


@pytest.mark.parametrize("control", ["random", "shuffled"])
def test_controls_have_as_many_zeros_at_other_places(models, tmp_path, control):
    actual, _ = rewound(models, tmp_path, control=control)
    masks = layers(models[2])
    count = [sum(int((weight == 0).sum()) for weight in side.values()) for side in (actual, masks)]
    assert count[0] == pytest.approx(count[1], abs=5)
    for path, weight in actual.items():
        zeros, wanted = (weight == 0).float(), (masks[path] == 0).float()
        if control == "shuffled":
            assert float(zeros.mean()) == pytest.approx(float(wanted.mean()), abs=1e-3)
        # as many of the same places as chance has it
        assert (zeros * wanted).mean() == pytest.approx(float(zeros.mean() * wanted.mean()), abs=0.05)


def test_a_control_goes_by_its_seed_and_random_ones_are_spread_over_the_layers():
    masks = {"a": torch.zeros(20, 50, dtype=torch.bool), "b": torch.ones(60, 50, dtype=torch.bool)}
    one, again, other = ([mask.tolist() for mask in controlled(masks, "random", seed)] for seed in (0, 0, 1))
    assert one == again != other
    spread = [1 - mask.float().mean() for mask in controlled(masks, "random", 0)]
    assert spread == pytest.approx([0.25, 0.25], abs=0.05)
    assert sum(int((~mask).sum()) for mask in controlled(masks, "random", 0)) == 1000
    kept = [1 - mask.float().mean() for mask in controlled(masks, "shuffled", 0)]
    assert kept == [1.0, 0.0]


def test_a_classifiers_mask_goes_onto_an_encoder_without_a_head(tmp_path):
    folder = zeroing.classifier(tmp_path / "classifier")
    pruned = MagnitudePrune("x", sparsity=0.5).run(str(folder), compressing.context(tmp_path, "pruned"))
    plain = tiny.encoder(tmp_path / "encoder", seed=3)
    out = Rewind("x", weights="y").run(str(pruned), str(plain), compressing.context(tmp_path, "out"))
    from transformers import AutoModel

    mask, weight = zeroing.loaded(pruned).bert.encoder.layer[1].output.dense.weight, AutoModel.from_pretrained(out)
    assert torch.equal(weight.encoder.layer[1].output.dense.weight == 0, mask == 0)


def test_models_of_other_shapes_and_without_zeros_are_refused(models, tmp_path):
    dense = tiny.causal_lm(tmp_path / "dense")
    for name, tensor in (weights := learning.weights(dense)).items():
        weights[name] = tensor.masked_fill(tensor == 0, 1e-3)
    save_file(weights, dense / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match="the pruned model has no zeros in its blocks: give what a pruning step"):
        Rewind("x", weights="y").run(str(dense), str(dense), compressing.context(tmp_path, "out"))
    wide = tiny.causal_lm(tmp_path / "wide", hidden=96)
    with pytest.raises(BadInput, match=r"differ in blocks.0.self_attn.q_proj: \(64, 64\) and \(64, 96\); take weights"):
        Rewind("x", weights="y").run(str(models[2]), str(wide), compressing.context(tmp_path, "out"))
