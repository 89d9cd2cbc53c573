from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

import compressing
import tiny
import zeroing
from numeric import assert_same_outputs
from potstill.compression.layerwise import block_layers, walk
from potstill.compression.pruning.wanda import InputNorms, mask
from potstill.errors import BadInput
from potstill.steps.compression.calibration import calibration_texts
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.pruning.wanda import WandaPrune
from running import problems_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("prune") / "model")


def pruned(folder, tmp_path, rows=None, name="out", **fields):
    """Run the step; return its folder and context."""
    rows = rows or compressing.rows()
    context = compressing.context(tmp_path, name)
    return WandaPrune(str(folder), calibration=rows, **fields).run(str(folder), rows, context), context


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5])
def test_every_row_of_every_layer_has_exactly_that_many_zeros(folder, tmp_path, sparsity):
    out, context = pruned(folder, tmp_path, sparsity=sparsity)
    model = AutoModelForCausalLM.from_pretrained(out)
    for path, layer in block_layers(model).items():
        assert set((layer.weight == 0).sum(1).tolist()) == {int(layer.in_features * sparsity + 1e-6)}, path
    dense = AutoModelForCausalLM.from_pretrained(folder)
    assert torch.equal(model.model.embed_tokens.weight, dense.model.embed_tokens.weight)
    assert context.notes["sparsity"] == pytest.approx(sparsity, abs=0.01)


def test_pruned_model_is_the_masked_model(folder, tmp_path):
    out, _ = pruned(folder, tmp_path)
    ours, dense = AutoModelForCausalLM.from_pretrained(out), AutoModelForCausalLM.from_pretrained(folder)
    for path, layer in block_layers(dense).items():
        layer.weight.data *= block_layers(ours)[path].weight != 0
    ids = [torch.arange(5, 40)]
    assert_same_outputs(compressing.logits(ours, ids)[0], compressing.logits(dense, ids)[0])


def test_masks_of_a_block_come_from_inputs_after_pruning_the_blocks_before(folder, tmp_path):
    out, context = pruned(folder, tmp_path)
    ours, model = AutoModelForCausalLM.from_pretrained(out), AutoModelForCausalLM.from_pretrained(folder)
    path = "model.layers.1.mlp.down_proj"
    # the same inputs, read off the model whose first block is pruned and whose second is not
    for name, layer in block_layers(model).items():
        if name.startswith("model.layers.0."):
            layer.weight.data.copy_(ours.get_submodule(name).weight)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    drawn = calibration_texts(
        compressing.rows(), tokenizer, model.config, prompt="answer.jinja", samples=128, max_length=256, seed=0
    )
    norms = [block.record(lambda layer: InputNorms(layer.in_features)) for block in walk(model, drawn.batches())][1]
    weight = model.get_submodule(path).weight
    assert torch.equal(ours.get_submodule(path).weight, weight * mask(weight, norms[path].norms(), 0.5))
    assert context.notes["calibration"]["texts"] == len(drawn.texts)


def test_the_rest_of_the_folder_is_carried_over(folder, tmp_path):
    out, _ = pruned(folder, tmp_path)
    names = {path.name for path in out.iterdir()}
    assert {"config.json", "generation_config.json", "model.safetensors", "README.md", "tokenizer.json"} <= names
    assert AutoTokenizer.from_pretrained(out).chat_template == tiny.CHAT_TEMPLATE
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        assert (out / name).read_bytes() == (folder / name).read_bytes()
    card = (out / "README.md").read_text()
    assert "vllm serve" in card
    assert "no smaller on disk and no faster" in card
    assert str(folder.parent) not in card


def test_the_same_run_writes_the_same_bytes(folder, tmp_path):
    first, _ = pruned(folder, tmp_path, name="first")
    second, _ = pruned(folder, tmp_path, name="second")
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_the_agreement_is_noted(folder, tmp_path):
    _, whole = pruned(folder, tmp_path, sparsity=0.0, name="whole")
    assert whole.notes["agreement"] == {"kl": 0.0, "top1": 1.0}
    _, half = pruned(folder, tmp_path, sparsity=0.5, name="half")
    assert half.notes["agreement"]["kl"] > 0
    assert half.notes["calibration"]["texts"] == 24


def test_calibration_texts_are_chats_with_their_answers(folder):
    tokenizer, rows = AutoTokenizer.from_pretrained(folder), compressing.rows()
    config = AutoModelForCausalLM.from_pretrained(folder).config
    options = {"prompt": "answer.jinja", "max_length": 256, "seed": 3}
    drawn = calibration_texts(rows, tokenizer, config, samples=5, **options)
    again = calibration_texts(rows, tokenizer, config, samples=5, **options)
    assert [ids.tolist() for ids, _ in drawn.texts] == [ids.tolist() for ids, _ in again.texts]
    ids, prompt = drawn.texts[0]
    text = tokenizer.decode(ids)
    row = next(row for row in rows if row["instruction"] in text)
    assert tokenizer.decode(ids[:prompt]).endswith("<|im_start|>assistant\n")
    assert tokenizer.decode(ids[prompt:]) == row["output"] + "<|im_end|>"
    assert sum(batch.numel() for batch in drawn.batches()) == drawn.figures()["tokens"]


def test_long_texts_are_cut_and_counted(folder, tmp_path):
    _, context = pruned(folder, tmp_path, max_length=16)
    assert context.notes["calibration"] == {"texts": 24, "tokens": 24 * 16, "cut": 24}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"instruction": "a", "output": ""}], "none of the 1 calibration rows has anything in .output."),
        ([{"instruction": "a", "output": "b"}], "too short: 1 rows with"),
    ],
)
def test_calibration_that_is_empty_or_too_short(folder, tmp_path, rows, message):
    with pytest.raises(BadInput, match=message):
        pruned(folder, tmp_path, Dataset.from_list(rows))


def test_a_length_that_the_model_does_not_have(folder, tmp_path):
    with pytest.raises(BadInput, match=r"max_length is 9999.*512 tokens"):
        pruned(folder, tmp_path, max_length=9999)


def test_a_tokenizer_without_a_chat_template(tmp_path):
    folder = tiny.causal_lm(tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(BadInput, match="no chat template"):
        pruned(folder, tmp_path)


def test_a_model_that_is_none(tmp_path):
    with pytest.raises(BadInput, match="does not exist"):
        pruned(tmp_path / "nowhere", tmp_path)


def test_an_unknown_architecture(tmp_path):
    from transformers import BloomConfig, BloomForCausalLM

    folder = tiny.tokenizer(tmp_path / "model")
    config = BloomConfig(vocab_size=400, hidden_size=32, n_layer=1, n_head=2)
    BloomForCausalLM(config).save_pretrained(folder)
    with pytest.raises(BadInput, match=r"'bloom' can't be compressed yet; those that can are albert.*llama"):
        pruned(folder, tmp_path)


@pytest.mark.parametrize("kind", ["Llama", "Qwen2"])
def test_other_architectures(tmp_path, kind):
    import transformers

    folder = tiny.tokenizer(tmp_path / "model")
    sizes = {"vocab_size": 400, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512}
    config = getattr(transformers, f"{kind}Config")(**sizes, **heads)
    getattr(transformers, f"{kind}ForCausalLM")(config).save_pretrained(folder)
    out, _ = pruned(folder, tmp_path)
    for layer in block_layers(AutoModelForCausalLM.from_pretrained(out)).values():
        assert set((layer.weight == 0).sum(1).tolist()) == {layer.in_features // 2}


def test_gpt2_whose_weights_are_stored_inputs_first(tmp_path):
    out, _ = pruned(zeroing.gpt2(tmp_path / "model"), tmp_path)
    model = AutoModelForCausalLM.from_pretrained(out)
    for path in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"):
        weight = model.transformer.h[0].get_submodule(path).weight  # [I, O]
        assert set((weight == 0).sum(0).tolist()) == {weight.shape[0] // 2}, path


def test_a_classifier_on_plain_texts(tmp_path):
    folder = zeroing.classifier(tmp_path / "model")
    out, context = pruned(folder, tmp_path, zeroing.texts(), text="text", max_length=64)
    model, dense = zeroing.loaded(out), zeroing.loaded(folder)
    assert torch.equal(model.classifier.weight, dense.classifier.weight)
    assert torch.equal(model.bert.pooler.dense.weight, dense.bert.pooler.dense.weight)
    for path, layer in block_layers(model).items():
        assert set((layer.weight == 0).sum(1).tolist()) == {layer.in_features // 2}, path
    assert context.notes["agreement"]["kl"] > 0
    assert "text-classification" in (out / "README.md").read_text()


@pytest.mark.parametrize("pattern", ["2:4", "4:8"])
def test_patterns(folder, tmp_path, pattern):
    out, context = pruned(folder, tmp_path, pattern=pattern)
    kept, group = map(int, pattern.split(":"))
    for path, layer in block_layers(AutoModelForCausalLM.from_pretrained(out)).items():
        assert ((layer.weight.reshape(-1, group) != 0).sum(1) == kept).all(), path
    assert context.notes["sparsity"] == 0.5


def test_a_pattern_that_does_not_fit_the_widths(folder, tmp_path):
    with pytest.raises(BadInput, match=r"pattern 3:6 takes runs of 6 input features, .* layers: 2, 4, 8, 16, 32, 64$"):
        pruned(folder, tmp_path, pattern="3:6")


def test_wrong_parameters_are_told_before_anything_runs(folder):
    rows = LoadRows([{"instruction": "a", "output": "b"}])

    def wrong(**fields):
        return problems_of(WandaPrune(str(folder), calibration=rows, name="sparse", **fields))

    assert wrong(sparsity=1.0) == ["sparse.sparsity: must be >= 0 and < 1, got 1.0"]
    assert "sparse.sparsity: is 0.5, but the pattern 1:4 makes 0.75" in wrong(pattern="1:4")[0]
    assert "sparse.pattern: '4:2' is no pattern" in wrong(pattern="4:2")[0]
    assert wrong(pattern="1:4", sparsity=0.75) == wrong() == []


def test_what_formats_for_zeros_would_take_is_told(folder, tmp_path):
    out, context = pruned(folder, tmp_path)
    storage = context.notes["storage"]
    layers = block_layers(AutoModelForCausalLM.from_pretrained(out)).values()
    assert storage["dense"] == sum(2 * layer.weight.numel() for layer in layers)
    assert storage["bitmask"] == storage["dense"] // 2 + storage["dense"] // 16
    assert storage["csr"] > storage["dense"] > storage["zstd"]
    card = (out / "README.md").read_text().replace("\\", "")
    assert "no smaller on disk and no faster" in card
    assert "pruned layers as bit mask, share of their bytes | 0.5625 |" in card
