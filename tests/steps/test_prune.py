from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

import compressing
import tiny
from potstill.compression.walk import block_layers, walk
from potstill.compression.wanda import InputNorms, mask
from potstill.errors import BadInput
from potstill.steps.calibration import calibration_texts
from potstill.steps.prune import WandaPrune, prune


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
    assert torch.equal(compressing.logits(ours, ids)[0], compressing.logits(dense, ids)[0])


def test_masks_of_a_block_come_from_inputs_after_pruning_the_blocks_before(folder, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    batches = [torch.randint(3, 300, (4, 64), generator=torch.Generator().manual_seed(0))]
    original = {path: layer.weight.data.clone() for path, layer in block_layers(model).items()}
    prune(model, batches, 0.5, compressing.context(tmp_path))
    path = "model.layers.1.mlp.down_proj"
    found = model.get_submodule(path).weight != 0
    # the same inputs, read off the model whose first block is pruned and whose second is not
    for name, weight in original.items():
        if name.startswith("model.layers.1."):
            model.get_submodule(name).weight.data.copy_(weight)
    norms = [block.record(lambda layer: InputNorms(layer.in_features)) for block in walk(model, batches)][1]
    assert torch.equal(found, mask(original[path], norms[path].norms(), 0.5))


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
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tiny.tokenizer(tmp_path / "model")
    GPT2LMHeadModel(GPT2Config(vocab_size=400, n_embd=32, n_layer=1, n_head=2)).save_pretrained(folder)
    with pytest.raises(BadInput, match="'gpt2' can't be compressed yet"):
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
