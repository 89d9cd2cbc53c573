from __future__ import annotations

import pytest
from transformers import AutoModelForCausalLM

import compressing
import tiny
import zeroing
from potstill.compression.layerwise import block_layers
from potstill.errors import BadInput
from potstill.steps.pruning.magnitude import MagnitudePrune
from running import problems_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("magnitude") / "model")


def pruned(folder, tmp_path, **fields):
    """Run the step; return its layers' weights by path, and its context."""
    context = compressing.context(tmp_path, "out")
    out = MagnitudePrune(str(folder), **fields).run(str(folder), context)
    model = AutoModelForCausalLM.from_pretrained(out)
    return {path: layer.weight for path, layer in block_layers(model).items()}, context


def zeros(weight):
    return float((weight == 0).float().mean())


def test_globally_the_share_is_exact_over_all_layers_and_the_rest_is_as_it_was(folder, tmp_path):
    weights, context = pruned(folder, tmp_path, sparsity=0.3)
    dense = {path: layer.weight for path, layer in block_layers(AutoModelForCausalLM.from_pretrained(folder)).items()}
    total = sum(weight.numel() for weight in weights.values())
    gone = sum(int((weight == 0).sum()) for weight in weights.values())
    assert gone == pytest.approx(int(total * 0.3), abs=5)  # bfloat16 holds a few zeros anyway
    assert context.notes["sparsity"] == gone / total
    largest = max(float(dense[path][weight == 0].abs().max()) for path, weight in weights.items())
    least = min(float(weight[weight != 0].abs().min()) for weight in weights.values())
    assert largest <= least
    for path, weight in weights.items():
        assert (weight == dense[path])[weight != 0].all()
    card = (context.out / "README.md").read_text()
    assert "no smaller on disk and no faster" in card and "Han et al. 2015" in card
    assert set(context.notes["storage"]) == {"note", "dense", "csr", "bitmask", "zstd"}


def test_by_layer_and_by_vector_and_by_row(folder, tmp_path):
    by_layer, _ = pruned(folder, tmp_path / "layer", sparsity=0.5, scope="layer")
    assert {round(zeros(weight), 3) for weight in by_layer.values()} == {0.5}
    vectors, _ = pruned(folder, tmp_path / "vector", sparsity=0.5, granularity="vector", vector=8)
    for weight in vectors.values():
        assert set((weight.reshape(-1, 8) == 0).sum(1).tolist()) <= {0, 8}
    rows, context = pruned(folder, tmp_path / "row", sparsity=0.25, scope="layer", granularity="structured")
    for weight in rows.values():
        assert int((weight == 0).all(1).sum()) == weight.shape[0] // 4
    # a structured mask leaves the shapes as they were, and says so
    assert "no smaller on disk" in (context.out / "README.md").read_text()


def test_a_pattern(folder, tmp_path):
    weights, _ = pruned(folder, tmp_path, pattern="1:4", sparsity=0.75)
    for weight in weights.values():
        assert ((weight.reshape(-1, 4) != 0).sum(1) == 1).all()


def test_gpt2_and_encoders(tmp_path):
    zeroing.gpt2(tmp_path / "gpt2")
    context = compressing.context(tmp_path, "out")
    out = MagnitudePrune("x", scope="layer").run(str(tmp_path / "gpt2"), context)
    block = AutoModelForCausalLM.from_pretrained(out).transformer.h[1]
    assert zeros(block.mlp.c_fc.weight) == zeros(block.attn.c_attn.weight) == 0.5
    assert zeros(block.ln_1.weight) == 0
    zeroing.classifier(tmp_path / "bert")
    out = MagnitudePrune("x", scope="layer").run(str(tmp_path / "bert"), compressing.context(tmp_path, "out2"))
    model = zeroing.loaded(out)
    assert {zeros(layer.weight) for layer in block_layers(model).values()} == {0.5}
    assert zeros(model.bert.pooler.dense.weight) == zeros(model.classifier.weight) == 0


def test_widths_that_vectors_do_not_divide(folder, tmp_path):
    with pytest.raises(
        BadInput, match=r"vector takes runs of 48 input features.*runs that fit all layers: 2, 4, 8, 16"
    ):
        pruned(folder, tmp_path, granularity="vector", vector=48)


def test_wrong_parameters_are_told_before_anything_runs(folder):
    def wrong(**fields):
        return problems_of(MagnitudePrune(str(folder), name="small", **fields))

    assert wrong(sparsity=-0.1) == ["small.sparsity: must be >= 0 and < 1, got -0.1"]
    assert "small.granularity: is vector, but the pattern 2:4" in wrong(pattern="2:4", granularity="vector")[0]
    assert "small.scope: must be" in wrong(scope="everything")[0]
    assert wrong() == []
