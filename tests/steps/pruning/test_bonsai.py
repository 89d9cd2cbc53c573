from __future__ import annotations

import pytest
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

import compressing
from cutting import folder, run, texts
from potstill.compression.pruning.shapes import shape_of
from potstill.engine.encoding import digest
from potstill.errors import BadInput
from potstill.steps.pruning.bonsai import BonsaiPrune

ROWS = compressing.rows(8)


def bonsai(path, tmp_path, rows=ROWS, **fields):
    quick = {"align": 8, "submodels": 4, "step": 0.25}
    return run(BonsaiPrune(str(path), calibration=rows, **{**quick, **fields}), path, rows, tmp_path)


def test_it_ends_at_the_sizes_in_rounds(tmp_path):
    path = folder(tmp_path / "model", "qwen3")
    out, context = bonsai(path, tmp_path, intermediate_size=24, heads=4)
    model = AutoModelForCausalLM.from_pretrained(out)
    shape = shape_of(model)
    assert (shape.units, shape.heads, shape.groups) == (24, 4, 2)
    assert len(context.notes["rounds"]) == 2
    assert context.notes["parameters"]["after"] == model.num_parameters()
    assert context.notes["utility"] < -1, "minus the perplexity"


def test_without_sub_models_the_prior_alone_decides(tmp_path):
    path = folder(tmp_path / "model", "qwen3")
    out, context = bonsai(path, tmp_path, intermediate_size=24, submodels=0)
    assert shape_of(AutoModelForCausalLM.from_pretrained(out)).units == 24
    assert context.notes["rounds"] == [{}, {}]


def test_too_few_sub_models_are_told_before_anything_runs():
    [problem] = BonsaiPrune("m", calibration="r", heads=2, submodels=3).check()
    assert "3 are too few to tell parts apart: try 4 at least, or 0 for the prior alone" in problem.message


def test_a_classifiers_accuracy(tmp_path):
    path = folder(tmp_path / "model", "bert")
    fields = {"text": "text", "label": "class", "utility": "accuracy", "sparsity": 0.5}
    out, context = bonsai(path, tmp_path, texts(), **fields)
    assert shape_of(AutoModelForSequenceClassification.from_pretrained(out)).units == 24
    assert 0 <= context.notes["utility"] <= 1


def few_words(model, batches):
    """Return how few tokens the model prefers."""
    return -float(len(set(model(input_ids=batches[0].ids).logits.argmax(-1).flatten().tolist())))


def test_any_function_is_a_utility(tmp_path):
    path = folder(tmp_path / "model", "gpt2")
    _, context = bonsai(path, tmp_path, texts(), text="text", intermediate_size=24, utility=few_words)
    assert context.notes["utility"] <= -1
    step = BonsaiPrune("m", calibration=None, heads=2, utility=few_words)
    assert digest(step.utility) != digest("perplexity")


def test_heads_alone_of_a_type_without_a_head_size(tmp_path):
    path = folder(tmp_path / "model", "gpt2")
    with pytest.raises(BadInput, match="heads alone can go from models whose config says"):
        bonsai(path, tmp_path, texts(), text="text", heads=2)


def test_an_encoder_needs_labels(tmp_path):
    path = folder(tmp_path / "model", "bert")
    with pytest.raises(BadInput, match="label="):
        bonsai(path, tmp_path, texts(), text="text", intermediate_size=24)


def test_the_same_seed_cuts_the_same(tmp_path):
    path = folder(tmp_path / "model", "llama")
    runs = [
        run(
            BonsaiPrune("m", calibration=ROWS, intermediate_size=24, align=8, submodels=4, step=1.0),
            path,
            ROWS,
            tmp_path,
            name,
        )[0]
        for name in ("one", "two")
    ]
    assert (runs[0] / "model.safetensors").read_bytes() == (runs[1] / "model.safetensors").read_bytes()
