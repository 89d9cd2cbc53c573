"""`recover=`: a pruning step becomes two, the pruned model and a trainer whose student it is, with the zeros held."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
import torch

import learning
import tiny
import zeroing
from potstill import Pipeline, RequestError
from potstill.engine.graph import step_of
from potstill.engine.loader import load
from potstill.engine.settings import changed
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.pruning.magnitude import MagnitudePrune
from potstill.steps.pruning.wanda import WandaPrune
from potstill.trainers.encoders.classifier import Classifier
from potstill.trainers.encoders.layer_match import LayerMatch
from potstill.trainers.encoders.meta_pseudo_labels import MetaPseudoLabels
from potstill.trainers.encoders.sentence_encoder import SentenceEncoder
from potstill.trainers.language_models.hard_label import HardLabel
from potstill.trainers.loop.lora import LoRA, attach, hold_zero_weights, load_base, merge
from running import problems_of

ROWS = LoadRows(learning.rows(8))
TEXTS = LoadRows(zeroing.labelled(12))
FAST = {"epochs": 2, "batch_size": 8, "learning_rate": 5e-3, "weight_decay": 0.1}


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("recover") / "model")


def blocks(folder):
    return {
        name: tensor
        for name, tensor in learning.weights(folder).items()
        if tensor.dim() == 2 and re.search(r"layers?\.|\.h\.", name)
    }


def test_pruned_and_recovered_are_steps_of_their_own_and_are_named(student):
    trainer = HardLabel(ROWS, student=str(student))
    sparse = MagnitudePrune(str(student), sparsity=0.5, recover=trainer, name="sparse")
    graph = Pipeline("test", outputs={"model": sparse}).check()
    assert [(graph.name(step), type(step)) for step in graph.steps][-2:] == [
        ("sparse.pruned", MagnitudePrune),
        ("sparse", HardLabel),
    ]
    pruned, recovered = graph.steps[-2:]
    assert recovered.student is pruned and recovered.hold_zeros and not trainer.hold_zeros
    assert pruned.recover is None and pruned.sparsity == 0.5
    assert sparse.expanded() is sparse.expanded()


def test_zeros_survive_a_training_and_the_rest_learns(student, tmp_path):
    trainer = HardLabel(ROWS, student=str(student), **FAST)
    sparse = WandaPrune(str(student), calibration=ROWS, sparsity=0.5, recover=trainer, name="sparse")
    result = zeroing.made(
        tmp_path / "store", sparse=sparse, pruned=dataclasses.replace(sparse, recover=None, name="only_pruned")
    )
    before, after = blocks(result["pruned"].path), blocks(result["sparse"].path)
    for name, weight in before.items():
        assert (after[name][weight == 0] == 0).all(), name
        assert (after[name][weight != 0] != weight[weight != 0]).float().mean() > 0.3, name
    card = (result["sparse"].path / "README.md").read_text()
    assert "zeros | held" in card
    # the pruned model is the same artifact whether it is recovered or not
    assert result["pruned"].key in json.dumps(result["sparse"].manifest)


@pytest.mark.parametrize("kind", ["classifier", "layers", "meta", "sentences", "gpt2"])
def test_trainers_of_encoders_and_gpt2_hold_zeros_too(kind, tmp_path):
    if kind == "gpt2":
        folder, trainer = zeroing.gpt2(tmp_path / "model"), HardLabel(ROWS, student="x", max_length=200, **FAST)
    else:
        folder = zeroing.classifier(tmp_path / "model")
        trainer = Classifier(TEXTS, student="x", **FAST)
        if kind == "layers":
            trainer = LayerMatch(TEXTS, student="x", teacher=str(folder), **FAST)
        elif kind == "meta":
            trainer = MetaPseudoLabels(TEXTS, TEXTS, student="x", **FAST)
        elif kind == "sentences":
            folder = tiny.encoder(tmp_path / "encoder")
            trainer = SentenceEncoder(TEXTS, student="x", anchor="text", positive="label", **FAST)
    sparse = MagnitudePrune(str(folder), scope="layer", recover=trainer)
    result = zeroing.made(tmp_path / "store", sparse=sparse)["sparse"].path
    names = [name for name in blocks(result) if name.rpartition(".")[0].endswith(("dense", "query", "c_attn", "c_fc"))]
    assert names
    for name in names:
        assert 0.45 < float((learning.weights(result)[name] == 0).float().mean()) <= 0.5, name
    if kind in ("classifier", "layers", "meta"):
        assert not torch.equal(learning.weights(result)["classifier.weight"], zeroing.loaded(folder).classifier.weight)


def test_adapters_keep_off_the_zeros(student, tmp_path):
    trainer = HardLabel(ROWS, student="x", lora=LoRA(rank=4), **FAST)
    sparse = MagnitudePrune(str(student), scope="layer", recover=trainer, name="sparse")
    result = zeroing.made(tmp_path / "store", sparse=sparse, pruned=sparse.expanded().student)
    before, after = blocks(result["pruned"].path), blocks(result["sparse"].path)
    for name, weight in before.items():
        assert (after[name][weight == 0] == 0).all(), name
        assert (after[name][weight != 0] != weight[weight != 0]).float().mean() > 0.3, name


@pytest.mark.parametrize("kind", ["qwen3", "gpt2"])
def test_a_model_with_adapters_that_holds_zeros_is_the_merged_one(student, tmp_path, kind):
    dense = student if kind == "qwen3" else zeroing.gpt2(tmp_path / "model")
    pruned = MagnitudePrune("x", scope="layer").run(str(dense), learning.context(tmp_path / "pruned"))
    torch.manual_seed(0)
    model = attach(load_base(pruned, LoRA(rank=4), torch.float32), LoRA(rank=4)).eval()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    ids = torch.arange(5, 30)[None]
    free = model(ids).logits
    assert hold_zero_weights(model) > 10_000
    held = model(ids).logits
    model.save_pretrained(tmp_path / "adapter")
    for hold, beside in ((True, held), (False, free)):
        merged = merge(pruned, tmp_path / "adapter", hold_zeros=hold).float()
        # but for bfloat16's rounding of the merged weights
        assert (merged(ids).logits - beside).norm() < 0.01 * beside.norm()
    assert not torch.allclose(free, held, atol=1e-2)


@pytest.mark.parametrize("wrong", [ROWS, MagnitudePrune("x"), "HardLabel"])
def test_what_is_no_trainer_is_refused(student, wrong):
    sparse = MagnitudePrune(str(student), recover=wrong, name="sparse")
    with pytest.raises(
        RequestError, match=r"sparse.recover: needs a trainer with hold_zeros and student, such as Hard"
    ):
        Pipeline("test", outputs={"model": sparse}).check()


def test_wrong_parameters_of_either_part_are_told(student):
    def wrong(sparsity, **fields):
        trainer = HardLabel(ROWS, student="x", **fields)
        return problems_of(MagnitudePrune(str(student), sparsity=sparsity, recover=trainer, name="sparse"))

    both = ["sparse.pruned.sparsity: must be >= 0 and < 1, got 1.5", "sparse.epochs: must be > 0, got -1.0"]
    assert wrong(1.5, epochs=-1.0) == both
    assert wrong(0.5, processes=2, sharding=True) == [
        "sparse.sharding: does not split held zeros: leave out hold_zeros"
    ]
    assert "sparse.hold_zeros: zeros of 4-bit weights" in wrong(0.5, qlora=True)[0]
    assert "sparse.hold_zeros: adapters with dropout" in wrong(0.5, lora=LoRA(dropout=0.1))[0]


TEXT = """
from potstill import Pipeline
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.pruning.magnitude import MagnitudePrune
from potstill.trainers.language_models.hard_label import HardLabel

rows = LoadRows([{"instruction": "a", "output": "b"}])
tuned = HardLabel(rows, student="%s", epochs=1.0)
sparse = MagnitudePrune(tuned, sparsity=0.5, recover=HardLabel(rows, student=tuned))
again = MagnitudePrune(sparse, sparsity=0.7)
pipeline = Pipeline("settings", outputs={"model": again})
"""


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], (1.0, 0.5, 3.0, 0.7)),
        (["sparse.sparsity=0.3"], (1.0, 0.3, 3.0, 0.7)),
        (["sparse.recover.epochs=5"], (1.0, 0.5, 5.0, 0.7)),
        (["tuned.epochs=2", "again.sparsity=0.8"], (2.0, 0.5, 3.0, 0.8)),
        (["sparse.recover.epochs=5", "sparse.sparsity=0.3", "tuned.epochs=2"], (2.0, 0.3, 5.0, 0.7)),
    ],
)
def test_settings_reach_a_step_that_recovers(student, tmp_path, settings, expected):
    file = Path(tmp_path / "settings.py")
    file.write_text(TEXT % student)
    graph = changed(load(str(file)), settings).check()
    rows, tuned, pruned, recovered, again = graph.steps
    assert (tuned.epochs, pruned.sparsity, recovered.epochs, again.sparsity) == expected
    assert (tuned.rows, pruned.model, recovered.student, step_of(again.model)) == (rows, tuned, pruned, recovered)
    assert recovered.rows is rows and recovered.hold_zeros
    assert [graph.name(step) for step in (tuned, recovered, again)] == ["tuned", "sparse", "again"]
