from __future__ import annotations

import json

import pytest
import torch
from datasets import Dataset
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

import compressing
import tiny
from cutting import folder, run, texts
from numeric import assert_same_outputs
from potstill.compression.pruning.activation_importance import activity, best
from potstill.compression.pruning.shapes import shape_of
from potstill.compression.pruning.slicing import cut_groups, cut_hidden, cut_units
from potstill.errors import BadInput
from potstill.models.folder import load
from potstill.steps.compression.calibration import calibration_texts
from potstill.steps.pruning.width import WidthPrune

ROWS = compressing.rows()


def width(path, tmp_path, rows=ROWS, **fields):
    return run(WidthPrune(str(path), calibration=rows, **{"align": 8, **fields}), path, rows, tmp_path)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("width") / "model", "qwen3")


def test_the_folder_is_the_least_active_parts_cut_from_the_model(qwen, tmp_path):
    out, context = width(qwen, tmp_path, intermediate_size=24, heads=4, hidden_size=16)
    again = AutoModelForCausalLM.from_pretrained(out)
    loaded = load(str(qwen))
    drawn = calibration_texts(
        ROWS, loaded.tokenizer, loaded.model.config, prompt="answer.jinja", samples=128, max_length=256, seed=0
    )
    actual = activity(loaded.model, drawn.batches())
    cut_units(loaded.model, list(best(actual.units, 24)))
    cut_groups(loaded.model, list(best(actual.groups(2), 2)))
    cut_hidden(loaded.model, best(actual.hidden, 16))
    ids = [drawn.texts[0][0]]
    assert_same_outputs(compressing.logits(again, ids)[0], compressing.logits(loaded.model, ids)[0])
    assert again.config.head_dim == 8
    notes = context.notes
    assert (
        notes["shape"]["before"]
        | {"intermediate_size": 24, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 16}
        == notes["shape"]["after"]
    )
    assert notes["parameters"]["after"] == again.num_parameters() < notes["parameters"]["before"]
    assert notes["agreement"]["kl"] > 0
    card = (out / "README.md").read_text()
    assert "48 -\\> 24" in card
    assert "Muralidharan" in card


def test_a_share_of_units_and_heads(qwen, tmp_path):
    out, _ = width(qwen, tmp_path, sparsity=0.5)
    shape = shape_of(AutoModelForCausalLM.from_pretrained(out))
    assert (shape.units, shape.heads, shape.groups, shape.hidden) == (24, 4, 2, 32)


def test_everything_that_is_not_cut_stays_as_it_was(qwen, tmp_path):
    out, _ = width(qwen, tmp_path, intermediate_size=40)
    ours, old = (AutoModelForCausalLM.from_pretrained(path) for path in (out, qwen))
    assert torch.equal(ours.model.embed_tokens.weight, old.model.embed_tokens.weight)
    assert torch.equal(ours.model.layers[1].self_attn.q_proj.weight, old.model.layers[1].self_attn.q_proj.weight)
    assert (out / "tokenizer.json").read_bytes() == (qwen / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen2"])
def test_other_decoders(kind, tmp_path):
    path = folder(tmp_path / "model", kind)
    sizes = {"heads": 2} if kind == "llama" else {"heads": 2, "hidden_size": 16}
    out, context = width(path, tmp_path, intermediate_size=24, **sizes)
    again, actual = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not actual["mismatched_keys"]
    assert not actual["missing_keys"]
    assert again.num_parameters() == context.notes["parameters"]["after"]
    assert again.config.num_attention_heads == 2


def test_a_classifier(tmp_path):
    path = folder(tmp_path / "model", "bert")
    out, context = width(path, tmp_path, texts(), text="text", heads=2, hidden_size=16, intermediate_size=16)
    again = AutoModelForSequenceClassification.from_pretrained(out)
    assert again.config.id2label == {0: "a", 1: "b", 2: "c"}
    assert again.bert.pooler.dense.weight.shape == (16, 16)
    assert again.classifier.weight.shape == (3, 16)
    assert "top1" in context.notes["agreement"]


def sentence_encoder(path, **dense):
    """Make a sentence encoder of a tiny BERT: mean pooling, and a layer behind it where `dense` says so."""
    tiny.encoder(path)
    modules = [{"idx": 0, "path": "", "type": "Transformer"}, {"idx": 1, "path": "1_Pooling", "type": "Pooling"}]
    for name, settings in (("1_Pooling", {"word_embedding_dimension": 32}), ("2_Dense", dense)):
        (path / name).mkdir()
        (path / name / "config.json").write_text(json.dumps(settings))
    (path / "modules.json").write_text(json.dumps(modules))
    return path


def test_a_sentence_encoder_pools_what_is_left(tmp_path):
    path = sentence_encoder(tmp_path / "model")
    out, context = width(path, tmp_path, texts(), text="text", hidden_size=16, heads=1, max_length=64)
    settings = json.loads((out / "1_Pooling" / "config.json").read_text())
    assert settings["word_embedding_dimension"] == AutoModel.from_pretrained(out).config.hidden_size == 16
    assert "agreement" not in context.notes, "vectors of unlike width don't compare"


def test_a_layer_behind_the_pooling_reads_all_channels(tmp_path):
    path = sentence_encoder(tmp_path / "model", in_features=32)
    with pytest.raises(BadInput, match="2_Dense of the sentence encoder reads all hidden channels"):
        width(path, tmp_path, texts(), text="text", hidden_size=16, heads=1, max_length=64)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"intermediate_size": 20}, r"intermediate_size=20 is not a multiple of 8: take 16 or 24, or align=4"),
        ({"intermediate_size": 56}, "the model has 48, so take a multiple of 8 from 8 to 48"),
        ({"heads": 3}, "splits a key-value group.*take one of 2, 4, 6, 8"),
        ({"heads": 10}, "the model has 8, so take 1 to 8"),
        ({"intermediate_size": 48}, "nothing would be cut"),
        ({"sparsity": 0.5, "align": 64}, "nothing would be cut|not a multiple"),
    ],
)
def test_sizes_that_do_not_fit(qwen, tmp_path, fields, message):
    with pytest.raises(BadInput, match=message):
        width(qwen, tmp_path, **fields)


def test_all_that_is_wrong_is_said_together(qwen, tmp_path):
    with pytest.raises(BadInput) as caught:
        width(qwen, tmp_path, intermediate_size=20, hidden_size=30, heads=3)
    assert len(caught.value.problems) == 3


def test_heads_alone_of_a_type_without_a_head_size(tmp_path):
    path = folder(tmp_path / "model", "bert")
    with pytest.raises(BadInput, match=r"a model of type 'bert' has no head_dim.*2 heads go with hidden_size=16"):
        width(path, tmp_path, texts(), text="text", heads=2)


def test_a_calibration_that_is_too_short(qwen, tmp_path):
    with pytest.raises(BadInput, match="too short"):
        width(qwen, tmp_path, Dataset.from_list([{"instruction": "a", "output": "b"}]), intermediate_size=24)


def test_sizes_are_given_once():
    assert "nothing says how small" in str(*WidthPrune("m", calibration=None).check())
    step = WidthPrune("m", calibration=None, heads=2, sparsity=0.5)
    assert "heads say how small already" in str(*step.check())
    assert not list(WidthPrune("m", calibration=None, hidden_size=64).check())


def test_the_agreement_is_that_of_the_answers_tokens(qwen, tmp_path):
    out, context = width(qwen, tmp_path, hidden_size=16)
    loaded = load(str(qwen))
    drawn = calibration_texts(
        ROWS, loaded.tokenizer, loaded.model.config, prompt="answer.jinja", samples=128, max_length=256, seed=0
    )
    before, after = (
        [one[prompt - 1 : -1].log_softmax(-1) for one, (_, prompt) in zip(logits, drawn.texts, strict=True)]
        for logits in (
            compressing.logits(AutoModelForCausalLM.from_pretrained(path), [ids for ids, _ in drawn.texts])
            for path in (qwen, out)
        )
    )
    apart = torch.cat([(one.exp() * (one - other)).sum(-1) for one, other in zip(before, after, strict=True)])
    assert context.notes["agreement"]["kl"] == pytest.approx(float(apart.mean()), rel=1e-3)
