"""Encoder-decoders of every type are pruned in both halves, and lose blocks in each."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoTokenizer

import compressing
import typed_models
from potstill.compression.agreement import outputs
from potstill.compression.architecture import behind_head, stacks_of
from potstill.compression.layerwise import block_layers, walk_pairs
from potstill.compression.pruning.wanda import InputNorms
from potstill.compression.text_pairs import pairs_of
from potstill.errors import BadInput
from potstill.steps.compression.calibration import calibration_texts
from potstill.steps.pruning.depth import DepthPrune
from potstill.steps.pruning.sparsegpt import SparseGPTPrune
from potstill.steps.pruning.wanda import WandaPrune
from promises import apart, loaded, logits, masked, without_blocks

ROWS = compressing.rows(8)
CALIBRATION = {"calibration": ROWS, "max_length": 96}
NAMES = tuple(typed_models.ENCODER_DECODERS)


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def folder(name, tmp_path_factory):
    return typed_models.folder(tmp_path_factory.mktemp("pairs") / "model", name)


@pytest.fixture(scope="module")
def wanda(folder, tmp_path_factory):
    """What WandaPrune writes, and what it notes."""
    out, context = compressing.run_step(WandaPrune, folder, tmp_path_factory.mktemp("wanda"), **CALIBRATION)
    return out, context.notes


def drawn(folder, model, **fields):
    options = {"prompt": "answer.jinja", "samples": 128, "max_length": 96, "seed": 0, **fields}
    return calibration_texts(ROWS, AutoTokenizer.from_pretrained(folder), model.config, **options)


def norms_of_inputs(model, pairs, paths):
    """Return the norm of each input of the layers at `paths`, read off plain forward passes of the whole model."""
    squares = dict.fromkeys(paths, 0.0)

    def add(path):
        def hook(_, args):
            squares[path] = squares[path] + args[0].flatten(0, -2).square().sum(0)

        return hook

    handles = [model.get_submodule(path).register_forward_pre_hook(add(path)) for path in paths]
    with torch.no_grad():
        for batch in pairs:
            model(input_ids=batch.sources, decoder_input_ids=batch.decoder_inputs)
    for handle in handles:
        handle.remove()
    return {path: total.sqrt() for path, total in squares.items()}


@torch.no_grad()
def test_a_mask_keeps_the_largest_weights_times_the_norm_of_their_inputs_in_the_model_pruned_so_far(
    name, folder, wanda
):
    pruned, model = loaded(name, wanda[0]), loaded(name, folder)
    pairs = pairs_of(drawn(folder, model).texts, model.config.decoder_start_token_id)
    for path, blocks in stacks_of(model):
        for number in range(len(blocks)):
            inside = [layer for layer in block_layers(model) if layer.startswith(f"{path}.{number}.")]
            norms = norms_of_inputs(model, pairs, inside)
            for layer in inside:
                weight = model.get_submodule(layer).weight
                score = weight.abs() * norms[layer]
                rank = score.argsort(1).argsort(1)
                want = torch.where(rank < weight.shape[1] // 2, 0, weight)
                assert torch.equal(pruned.get_submodule(layer).weight, want), layer
                weight.copy_(want)
    masked()(name, folder, wanda[0], wanda[1])


@torch.no_grad()
def test_the_agreement_is_that_of_the_logits(name, folder, wanda):
    pruned, model = loaded(name, wanda[0]), loaded(name, folder)
    texts = drawn(folder, model).measured
    divergence, same, count = 0.0, 0, 0
    for batch in pairs_of(texts, model.config.decoder_start_token_id):
        inputs = {"input_ids": batch.sources, "decoder_input_ids": batch.decoder_inputs}
        old, new = (one(**inputs).logits.log_softmax(-1) for one in (model, pruned))
        divergence += float((old.exp() * (old - new)).sum())
        same, count = same + int((old.argmax(-1) == new.argmax(-1)).sum()), count + batch.targets.numel()
    measured = wanda[1]["agreement"]
    assert measured == pytest.approx({"kl": divergence / count, "top1": same / count}, rel=1e-4)


@torch.no_grad()
def test_states_behind_the_head_are_the_logits(name):
    model = typed_models.made(name)
    if hasattr(model, "final_logits_bias"):
        model.final_logits_bias.normal_()
    ids = torch.arange(5, 25)
    states = outputs(model, [(ids, 12)])[0]
    [batch] = pairs_of([(ids, 12)], model.config.decoder_start_token_id)
    want = model(input_ids=batch.sources, decoder_input_ids=batch.decoder_inputs).logits[0]
    assert torch.allclose(behind_head(model)(states), want, atol=1e-5)


def test_the_decoder_reads_the_start_and_then_its_targets():
    [one, other] = pairs_of([(torch.tensor([5, 6, 7, 8]), 3), (torch.tensor([5, 6, 7, 8]), 2)], 1)
    assert (one.sources.tolist(), one.decoder_inputs.tolist()) == ([[5, 6]], [[1, 7]])
    assert (other.numbers, other.targets.tolist()) == ([0], [[8]])


@torch.no_grad()
def test_every_layer_of_both_halves_is_recorded_as_a_plain_forward_pass_has_it(name, folder):
    model = loaded(name, folder)
    pairs = pairs_of(drawn(folder, model).texts, model.config.decoder_start_token_id)
    want = norms_of_inputs(model, pairs, list(block_layers(model)))
    recorded = {}
    for block in walk_pairs(model, pairs):
        recorded |= block.record(lambda layer: InputNorms(layer.in_features))
    assert recorded.keys() == want.keys()
    assert all(torch.allclose(recorded[path].norms(), want[path], rtol=1e-4) for path in want)


def test_one_block_of_each_half_is_passed_over(name, folder, tmp_path):
    out, context = compressing.run_step(DepthPrune, folder, tmp_path, **CALIBRATION, layers=1)
    without_blocks(name, folder, out, context.notes)
    scores, kept = context.notes["scores"]["influence"], context.notes["kept"]
    for half in ("encoder", "decoder"):
        best = max(range(2), key=scores[half].__getitem__)
        # the first block of a T5 makes the bias that the others add, so it stays
        assert kept[half] == [0 if typed_models.ALL[name][0] == "t5" else best]


def test_a_deep_encoder_and_a_shallow_decoder(name, folder, tmp_path):
    out, context = compressing.run_step(
        DepthPrune, folder, tmp_path, **CALIBRATION, layers=2, decoder_layers=1, score="loss"
    )
    assert context.notes["kept"]["encoder"] == [0, 1] and len(context.notes["kept"]["decoder"]) == 1
    without_blocks(name, folder, out, context.notes)
    model = loaded(name, out)
    assert [len(blocks) for _, blocks in stacks_of(model)] == [2, 1]
    [written] = {len(model.generate(torch.tensor([[5, 6, 7]]), max_new_tokens=4, min_new_tokens=4)[0])}
    assert written == 5


def test_all_blocks_kept_is_the_model(name, folder, tmp_path):
    out, context = compressing.run_step(DepthPrune, folder, tmp_path, **CALIBRATION, kept=(0, 1))
    assert apart(logits(loaded(name, folder)), logits(loaded(name, out))) == 0
    assert context.notes["agreement"] == {"kl": 0.0, "top1": 1.0}


def test_sparsegpt_prunes_both_halves_and_does_less_harm_than_magnitude(tmp_path):
    model = typed_models.folder(tmp_path / "model", "BART")
    out, context = compressing.run_step(SparseGPTPrune, model, tmp_path, **CALIBRATION)
    masked(updated=True)("BART", model, out, context.notes)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers": 3}, "the encoder has 2 blocks, not 3"),
        ({"layers": 2, "decoder_layers": 4}, "decoder_layers: the decoder has 2 blocks, not 4"),
        ({"kept": (0, 2)}, "the encoder has 2 blocks, numbered 0 to 1"),
    ],
)
def test_blocks_that_a_half_does_not_have(folder, tmp_path, name, fields, message):
    if name != "BART":
        pytest.skip("one type shows it")
    with pytest.raises(BadInput, match=message):
        compressing.run_step(DepthPrune, folder, tmp_path, **CALIBRATION, **fields)


def test_texts_that_are_no_pairs_and_a_decoder_without_a_start_are_refused(tmp_path):
    model = typed_models.folder(tmp_path / "model", "T5")
    with pytest.raises(BadInput, match="reads one text and writes another"):
        compressing.run_step(WandaPrune, model, tmp_path, calibration=compressing.texts(), text="text")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "decoder_start_token_id": None}))
    with pytest.raises(BadInput, match="names no decoder_start_token_id"):
        compressing.run_step(WandaPrune, model, tmp_path, **CALIBRATION)


def test_prompt_and_answer_are_cut_each(tmp_path):
    model = typed_models.made("BART")
    folder = typed_models.folder(tmp_path / "model", "BART")
    whole, cut = drawn(folder, model), drawn(folder, model, max_length=16)
    assert (whole.cut, cut.cut) == (0, len(ROWS))
    for (ids, prompt), (long, read) in zip(cut.texts, whole.texts, strict=True):
        assert prompt == min(read, 16)
        assert ids.tolist() == [*long[:read][:16], *long[read:][:16]]


def test_only_an_encoder_decoder_has_a_decoder_to_shorten(tmp_path):
    model = typed_models.folder(tmp_path / "model", "Llama 3")
    with pytest.raises(BadInput, match="decoder_layers"):
        compressing.run_step(DepthPrune, model, tmp_path, **CALIBRATION, layers=1, decoder_layers=1)
    assert "decoder_layers" in str(*DepthPrune("m", calibration=None, kept=(0,), decoder_layers=1).check())
