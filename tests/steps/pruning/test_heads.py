from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

import compressing
from cutting import folder, run, texts
from potstill.compression.loss import batches_of
from potstill.compression.pruning.head_importance import head_importance
from potstill.compression.pruning.shapes import shape_of
from potstill.errors import BadInput
from potstill.steps.pruning.heads import HeadPrune

ROWS = compressing.rows()


def head(path, tmp_path, rows=ROWS, **fields):
    return run(HeadPrune(str(path), calibration=rows, **{"align": 8, **fields}), path, rows, tmp_path)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    """A model whose third key-value group says nothing in any block."""
    path = folder(tmp_path_factory.mktemp("heads") / "model", "qwen3")
    model = AutoModelForCausalLM.from_pretrained(path)
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.data[:, 32:48] *= 1e-4
    model.save_pretrained(path)
    return path


def test_the_groups_on_which_the_loss_hangs_least_are_cut(qwen, tmp_path):
    out, context = head(qwen, tmp_path, heads=6)
    model = AutoModelForCausalLM.from_pretrained(out)
    shape = shape_of(model)
    assert (shape.heads, shape.groups, shape.head_size, shape.hidden) == (6, 3, 8, 32)
    assert [block.index(min(block)) for block in context.notes["importance"]] == [2, 2, 2]
    old = AutoModelForCausalLM.from_pretrained(qwen).model.layers[0].self_attn.k_proj.weight
    assert torch.equal(model.model.layers[0].self_attn.k_proj.weight, torch.cat([old[:16], old[24:]]))
    assert context.notes["agreement"]["kl"] < 1e-4


def test_masked_heads_are_zero_anywhere_in_the_model(tmp_path):
    path = folder(tmp_path / "model", "bert")
    rows = texts()
    out, context = head(path, tmp_path, rows, text="text", label="class", heads=2, masked=True)
    gone = context.notes["zeroed groups"]
    assert sum(len(block) for block in gone) == 6
    model, old = (AutoModelForSequenceClassification.from_pretrained(place).eval() for place in (out, path))
    assert model.num_parameters() == old.num_parameters()
    for layer, groups in zip(model.bert.encoder.layer, gone, strict=True):
        zero = layer.attention.self.query.weight.reshape(4, -1).abs().sum(1) == 0
        assert zero.nonzero()[:, 0].tolist() == groups
    assert "no smaller and no faster" in (out / "README.md").read_text()


def test_labels_are_those_of_the_rows_that_are_drawn(tmp_path):
    path = folder(tmp_path / "model", "bert")
    rows = texts()
    _, context = head(path, tmp_path, rows, text="text", label="class", heads=4, masked=True)
    from transformers import AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModelForSequenceClassification.from_pretrained(path)
    ids = [(torch.tensor(tokenizer(row["text"])["input_ids"]), 0) for row in rows]
    labels = ["abc".index(row["class"]) for row in rows]
    wanted = head_importance(model, batches_of(ids, labels)).tolist()
    for actual, block in zip(context.notes["importance"], wanted, strict=True):
        assert actual == pytest.approx(block, rel=1e-2)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("bert", {"heads": 2, "text": "text", "label": "class"}, "no head_dim.*masked=True zeroes heads of any type"),
        ("bert", {"heads": 9, "masked": True, "text": "text", "label": "class"}, "the model has 4, so take 1 to 4"),
        ("bert", {"heads": 2, "masked": True, "text": "text"}, "name the column of its classes"),
        ("bert", {"heads": 2, "masked": True, "text": "text", "label": "text"}, "are no classes of the model"),
        ("gpt2", {"heads": 2, "masked": True, "text": "text", "label": "class"}, "has no classes: leave label= out"),
    ],
)
def test_heads_that_can_not_go(kind, fields, message, tmp_path):
    path = folder(tmp_path / "model", kind)
    with pytest.raises(BadInput, match=message):
        head(path, tmp_path, texts(), **fields)


def test_recovery_holds_the_zeros_of_masked_heads():
    from potstill.trainers import HardLabel

    for masked in (True, False):
        step = HeadPrune("m", calibration=None, heads=2, masked=masked, recover=HardLabel(None, student="m"))
        trainer = step.expanded()
        assert isinstance(trainer, HardLabel)
        assert trainer.hold_zeros is masked
