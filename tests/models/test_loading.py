"""What is loaded of a model folder: all that it needs and nothing besides, or a refusal that says why."""

import json
import re
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import compressing
import learning
import tiny
from potstill.errors import BadInput, PotstillError
from potstill.models import encoder_decoder, folder, loading, sentence_encoder
from potstill.models.footprint import footprint
from potstill.models.identity import NOT_OF_A_MODEL, folder_of, folder_problem
from potstill.models.written import check_written
from potstill.steps import EvaluatePerplexity, KeepLayers
from potstill.trainers import HardLabel


@pytest.fixture
def model(tmp_path):
    return tiny.causal_lm(tmp_path / "model")


def changed(model, change):
    """Change the tensors of `model` by a function of them."""
    tensors = change(load_file(model / "model.safetensors"))
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})


def without_one_mlp(tensors):
    return {name: tensor for name, tensor in tensors.items() if "layers.0.mlp" not in name}


def under_another_name(tensors):
    return {f"policy.{name}": tensor for name, tensor in tensors.items()}


def train(student, place):
    HardLabel(None, student=str(student)).run(learning.dataset(learning.rows(2)), str(student), learning.context(place))


def keep_layers(model, place):
    KeepLayers(str(model), layers=(0,)).run(str(model), compressing.context(place))


def measure(model, place):
    rows = learning.dataset([{"text": "turn on the light in the kitchen " * 40}])
    step = EvaluatePerplexity(str(model), {"test": rows}, window=32)
    step.run(str(model), {"test": rows}, compressing.context(place))


USES = pytest.mark.parametrize("use", [train, keep_layers, measure])


@USES
@pytest.mark.parametrize("change", [without_one_mlp, under_another_name])
def test_weights_that_are_missing_are_never_made_up(tmp_path, model, use, change):
    changed(model, change)
    with pytest.raises(BadInput, match=r"lacks weights of a Qwen3ForCausalLM.*model\.") as refusal:
        use(model, tmp_path)
    assert ("policy." in str(refusal.value)) == (change is under_another_name)


def test_a_head_that_is_new_may_be_missing_but_not_its_encoder(tmp_path):
    from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification

    encoder = tiny.encoder(tmp_path / "encoder")
    options = {"dtype": torch.float32}
    loading.pretrained(AutoModelForSequenceClassification, encoder, "classify", options, new_head=True)
    for kind in (AutoModelForSequenceClassification, AutoModelForMaskedLM):
        with pytest.raises(BadInput, match="lacks weights"):
            loading.pretrained(kind, encoder, "classify", options)
    changed(encoder, lambda tensors: {n: t for n, t in tensors.items() if "layer.0.attention" not in n})
    with pytest.raises(BadInput, match=r"bert\.encoder\.layer\.0\.attention"):
        loading.pretrained(AutoModelForSequenceClassification, encoder, "classify", options, new_head=True)


@USES
def test_an_adapter_beside_a_model_is_not_put_onto_it(tmp_path, model, use):
    adapter(model, "base/model")
    with pytest.raises(BadInput, match="a whole model and an adapter"):
        use(model, tmp_path)


def adapter(place, base):
    """Write an adapter on the model `base` to `place`."""
    place.mkdir(exist_ok=True)
    config = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"], "base_model_name_or_path": base}
    (place / "adapter_config.json").write_text(json.dumps(config))
    save_file({"base_model.x.lora_A.weight": torch.zeros(2, 2)}, place / "adapter_model.safetensors")


def test_what_is_no_model_is_named(tmp_path):
    adapter(tmp_path / "adapter", "org/base")
    assert "it is an adapter of org/base" in folder_problem(tmp_path / "adapter")
    (tmp_path / "gguf").mkdir()
    (tmp_path / "gguf" / "x-q4_0.gguf").write_bytes(b"GGUF")
    for place in (tmp_path / "gguf", tmp_path / "gguf" / "x-q4_0.gguf"):
        assert "GGUF is what llama.cpp runs" in folder_problem(place)
    (tmp_path / "empty").mkdir()
    assert "no config.json" in folder_problem(tmp_path / "empty")


@pytest.mark.parametrize("more", [{}, {"auto_map": {"AutoConfig": "own.Config"}}])
def test_an_unknown_type_is_refused_in_a_line(tmp_path, model, more):
    config = json.loads((model / "config.json").read_text()) | {"model_type": "new_kind"} | more
    (model / "config.json").write_text(json.dumps(config))
    for use in (train, keep_layers, measure):
        with pytest.raises(BadInput, match="'new_kind'") as refusal:
            use(model, tmp_path)
        text = str(refusal.value)
        assert len(text) < 500 and "pip install" not in text and "trust_remote_code" not in text
        assert ("code of its own" in text) == bool(more)


def test_a_type_that_is_no_language_model_is_refused_in_a_line(tmp_path):
    encoder = tiny.encoder(tmp_path / "encoder")
    config = json.loads((encoder / "config.json").read_text()) | {"model_type": "vit"}
    (encoder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="is of type vit, which can't be loaded as") as refusal:
        encoder_decoder.load(encoder, "be trained", {})
    assert len(str(refusal.value)) < 500


def test_a_second_copy_of_the_weights_counts_for_nothing(tmp_path, model):
    from transformers import AutoModelForCausalLM

    whole = footprint(model)
    shutil.copyfile(model / "model.safetensors", model / "consolidated.safetensors")
    again = footprint(model)
    assert (again.parameters, again.weights_bytes) == (whole.parameters, whole.weights_bytes)
    shards = tmp_path / "shards"
    AutoModelForCausalLM.from_pretrained(model).save_pretrained(shards, max_shard_size="20KB")
    assert len(list(shards.glob("*.safetensors"))) > 2
    shutil.copyfile(model / "model.safetensors", shards / "consolidated.safetensors")
    assert footprint(shards).parameters == whole.parameters


def test_second_copies_are_not_downloaded(tmp_path, monkeypatch, model):
    import huggingface_hub
    from huggingface_hub.utils import filter_repo_objects

    asked = {}
    monkeypatch.setattr("potstill.models.identity.hub_commit", lambda name: "0" * 40)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **given: asked.update(given) or str(model))
    assert folder_of("org/name") == model
    names = ["model-1-of-2", "consolidated", "original/model", "2_Dense/model"]
    names = [f"{name}.safetensors" for name in names]
    kept = filter_repo_objects(names, allow_patterns=asked["allow_patterns"], ignore_patterns=asked["ignore_patterns"])
    assert list(kept) == [names[0], names[3]]
    assert list(NOT_OF_A_MODEL) == asked["ignore_patterns"]


@pytest.mark.parametrize("use", [train, keep_layers])
@pytest.mark.parametrize("settings", [{"temperature": 0.6, "top_p": 0.9}, {"num_beams": 1, "early_stopping": True}])
def test_settings_of_generation_that_cannot_be_saved_cost_no_training(tmp_path, model, use, settings):
    path = model / "generation_config.json"
    path.write_text(json.dumps({"eos_token_id": 2, **settings}))
    use(model, tmp_path)
    written = json.loads(next(tmp_path.glob("*/generation_config.json"), path).read_text())
    assert written["eos_token_id"] == 2


def test_sampling_without_a_word_means_sampling(model):
    (model / "generation_config.json").write_text(json.dumps({"eos_token_id": 2, "temperature": 0.6}))
    loaded = encoder_decoder.load(model, "be trained", {})
    assert loaded.generation_config.do_sample is True
    assert loaded.generation_config.temperature == 0.6


def test_what_was_written_is_compared_with_what_loads(tmp_path, model):
    check_written(model)
    loaded = folder.load(str(model))
    loaded.save(tmp_path / "whole")
    check_written(tmp_path / "whole")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1, "layer_types": ["full_attention"]}))
    with pytest.raises(PotstillError, match=r"leaves over model\.layers\.1"):
        check_written(model)
    (model / "config.json").write_text(json.dumps(config))
    changed(model, without_one_mlp)
    with pytest.raises(PotstillError, match=r"lacks model\.layers\.0\.mlp"):
        check_written(model)


@pytest.mark.parametrize(
    "config", [transformers.Mistral3Config(), transformers.Qwen2_5_VLConfig(), transformers.LlavaConfig()]
)
def test_a_model_that_sees_and_is_no_causal_model_is_named(tmp_path, config):
    config.save_pretrained(tmp_path)
    with pytest.raises(
        BadInput, match=f"of type {config.model_type}, which can't be loaded as AutoModelForCausalLM: it "
    ) as refusal:
        encoder_decoder.load(tmp_path, "be trained", {})
    assert "it sees images too. Take its text part first, by TextPart(model)" in str(refusal.value)


def test_a_vision_tower_beside_the_text_part_is_passed_over(tmp_path):
    from potstill.exporting.probe import own_texts
    from potstill.trainers.language_models.soft_lesson import check_vocabulary

    text = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "vocab_size": 70,
    }
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes = {"image_size": 28, "patch_size": 14}
    config = transformers.Gemma3Config(text_config=text, vision_config={**vision, **sizes}, mm_tokens_per_image=4)
    transformers.Gemma3ForConditionalGeneration(config).save_pretrained(tmp_path)
    assert check_vocabulary(tmp_path, None) == 70
    loaded = encoder_decoder.load(tmp_path, "be trained", {}).eval()
    assert len(own_texts(loaded, 0)[0][0]) > 1


def test_a_decoders_first_token_is_found_among_the_settings_of_generation(tmp_path):
    config = transformers.T5Config(d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, vocab_size=50)
    config.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    stored.pop("decoder_start_token_id", None)
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert loading.config_of(tmp_path).decoder_start_token_id is None
    (tmp_path / "generation_config.json").write_text(json.dumps({"decoder_start_token_id": 3}))
    assert loading.config_of(tmp_path).decoder_start_token_id == 3


ROPE = {
    "llama3": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 64},
    "linear": {"factor": 2.0},
    "dynamic": {"factor": 2.0},
}


@pytest.mark.parametrize("use", [train, keep_layers])
@pytest.mark.parametrize("kind", ROPE)
@pytest.mark.parametrize("old", [False, True], ids=["rope_parameters", "rope_scaling"])
def test_how_positions_are_turned_is_kept(tmp_path, model, use, kind, old):
    stored = json.loads((model / "config.json").read_text())
    stored.pop("rope_parameters", None)
    wanted = {"rope_type": kind, **ROPE[kind]}
    named = {"rope_scaling": wanted, "rope_theta": 5e5} if old else {"rope_parameters": {**wanted, "rope_theta": 5e5}}
    (model / "config.json").write_text(json.dumps(stored | named))
    use(model, tmp_path)
    [written] = [path for path in tmp_path.glob("*/config.json") if path.parent != model]
    kept = loading.config_of(written.parent).rope_parameters
    assert {name: kept[name] for name in (*wanted, "rope_theta")} == {**wanted, "rope_theta": 5e5}


def test_a_sentence_encoder_without_some_weights_is_refused(tmp_path):
    encoder = tiny.encoder(tmp_path / "encoder")
    sentence_encoder.load(encoder)
    changed(encoder, lambda tensors: {n: t for n, t in tensors.items() if "layer.0.attention" not in n})
    with pytest.raises(BadInput, match=r"lacks weights of a BertModel.*encoder\.layer\.0\.attention"):
        sentence_encoder.load(encoder)


@pytest.mark.parametrize(
    "kept", [0, 4, 100, 0.5, -1], ids=["nothing", "a length", "half a header", "half", "all but one"]
)
def test_weights_that_are_cut_off_are_named_and_no_error_of_their_library(tmp_path, kept):
    from transformers import AutoModel

    tiny.encoder(tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: int(len(whole) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(BadInput, match=re.escape(str(tmp_path))):
        loading.pretrained(AutoModel, tmp_path, "read texts", {})
