from __future__ import annotations

import json
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

import compressing
from cutting import folder, run, texts
from potstill.errors import BadInput
from potstill.steps.pruning.depth import DepthPrune

ROWS = compressing.rows()


def depth(path, tmp_path, rows=ROWS, **fields):
    return run(DepthPrune(str(path), calibration=rows, **fields), path, rows, tmp_path)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    """A model whose middle block hardly does anything."""
    path = folder(tmp_path_factory.mktemp("depth") / "model", "qwen3")
    model = AutoModelForCausalLM.from_pretrained(path)
    model.model.layers[1].self_attn.o_proj.weight.data *= 1e-3
    model.model.layers[1].mlp.down_proj.weight.data *= 1e-3
    model.save_pretrained(path)
    return path


def test_all_blocks_kept_is_the_model(qwen, tmp_path):
    out, context = depth(qwen, tmp_path, layers=3)
    ours, old = (AutoModelForCausalLM.from_pretrained(path).state_dict() for path in (out, qwen))
    assert ours.keys() == old.keys()
    assert all(torch.equal(ours[name], old[name]) for name in old)
    assert context.notes["agreement"] == {"kl": 0.0, "top1": 1.0}


def test_the_block_of_least_influence_goes(qwen, tmp_path):
    out, context = depth(qwen, tmp_path, layers=2)
    assert context.notes["kept"] == [0, 2]
    ours, old = (AutoModelForCausalLM.from_pretrained(path) for path in (out, qwen))
    assert ours.config.num_hidden_layers == len(ours.config.layer_types) == 2
    assert torch.equal(ours.model.layers[1].mlp.up_proj.weight, old.model.layers[2].mlp.up_proj.weight)
    assert context.notes["agreement"]["kl"] < 1e-3


def test_the_blocks_without_which_the_loss_rises_most_stay(qwen, tmp_path):
    _, context = depth(qwen, tmp_path, layers=2, score="loss")
    scores = context.notes["scores"]["loss"]
    assert abs(scores[1]) < min(abs(scores[0]), abs(scores[2])), "that block does nothing"
    assert context.notes["kept"] == sorted(sorted(range(3), key=scores.__getitem__)[1:])


def test_given_blocks(tmp_path):
    path = folder(tmp_path / "model", "gpt2")
    out, context = depth(path, tmp_path, kept=(2,))
    model = AutoModelForCausalLM.from_pretrained(out)
    assert model.config.n_layer == 1
    assert context.notes["scores"] == {}
    assert torch.equal(
        model.transformer.h[0].mlp.c_fc.weight,
        AutoModelForCausalLM.from_pretrained(path).transformer.h[2].mlp.c_fc.weight,
    )


@pytest.mark.parametrize("fields", [{}, {"score": "loss", "label": "class"}])
def test_a_classifier(tmp_path, fields):
    path = folder(tmp_path / "model", "bert")
    out, context = depth(path, tmp_path, texts(), text="text", layers=2, **fields)
    model = AutoModelForSequenceClassification.from_pretrained(out)
    assert len(model.bert.encoder.layer) == 2
    assert len(context.notes["scores"][fields.get("score", "influence")]) == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"layers": 4}, "the model has 3 blocks, not 4"), ({"kept": (0, 3)}, "numbered 0 to 2, so there is no block 3")],
)
def test_blocks_that_the_model_does_not_have(qwen, tmp_path, fields, message):
    with pytest.raises(BadInput, match=message):
        depth(qwen, tmp_path, **fields)


def test_an_encoder_needs_labels_for_its_loss(tmp_path):
    path = folder(tmp_path / "model", "bert")
    with pytest.raises(BadInput, match="name the column of its classes with label="):
        depth(path, tmp_path, texts(), text="text", layers=2, score="loss")


def test_blocks_are_given_once():
    assert "give either" in str(*DepthPrune("m", calibration=None).check())
    assert "give either" in str(*DepthPrune("m", calibration=None, layers=2, kept=(0,)).check())
    assert "must rise" in str(*DepthPrune("m", calibration=None, kept=(1, 0)).check())
    assert DepthPrune("m", calibration=None, layers=1, label="x", text="t").needs() == {"calibration": ("t", "x")}


@pytest.mark.parametrize(
    ("types", "fields", "kept", "gone"),
    [
        ("sfs", {"layers": 2}, [0, 1], None),  # by scores alone it were 0 and 2, and no full attention
        ("ssf", {"layers": 2}, [0, 2], None),
        ("sfs", {"kept": (0, 2)}, [0, 2], [1]),
    ],
)
def test_each_kind_of_attention_keeps_a_block(qwen, tmp_path, types, fields, kept, gone):
    mixed = shutil.copytree(qwen, tmp_path / "mixed")
    config = json.loads((mixed / "config.json").read_text())
    names = [{"s": "sliding_attention", "f": "full_attention"}[kind] for kind in types]
    window = {"layer_types": names, "use_sliding_window": True, "sliding_window": 8}
    (mixed / "config.json").write_text(json.dumps(config | window))
    out, context = depth(mixed, tmp_path / "run", **fields)
    assert context.notes["kept"] == kept and context.notes.get("kinds left out") == gone
    assert AutoModelForCausalLM.from_pretrained(out).config.layer_types == [names[place] for place in kept]
