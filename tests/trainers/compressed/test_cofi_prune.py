"""Students that are pruned by learned masks while they are trained."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from transformers import AutoModelForCausalLM

import learning
from potstill import Pipeline
from potstill.compression.layerwise import block_layers
from potstill.errors import BadInput
from potstill.steps import LoadRows
from potstill.trainers import Classifier, HardLabel, LayerMatch, OnPolicy, SoftLabel
from potstill.trainers.compressed.cofi_prune import CoFiPrune
from potstill.trainers.compressed.masks import Masks

ROWS = learning.rows(8)


def prune(folder, student, train=HardLabel, more=None, options=None, **masks):
    """Prune in `folder`; return its context."""
    context = learning.context(folder)
    fields = {"epochs": 8, "batch_size": 4, "learning_rate": 1e-3, "schedule": "constant", **(options or {})}
    step = CoFiPrune(str(student), train=train(None, student="x", **fields), **masks)
    assert not list(step.check())
    step.run(learning.dataset(ROWS), str(student), context=context, **(more or {}))
    return context


def test_a_fixed_shape_is_cut_and_loads(tmp_path, student):
    context = prune(tmp_path, student, intermediate_size=64, align=32, learning_rate=0.3)
    model = AutoModelForCausalLM.from_pretrained(context.out)
    assert model.config.intermediate_size == 64
    assert {layer.weight.shape[1] for path, layer in block_layers(model).items() if "down" in path} == {64}
    shape = context.notes["masks"]["shape"]
    assert shape["before"]["intermediate_size"] == 128 and shape["after"]["intermediate_size"] == 64
    down = 64 * 3 / (128 * 3 + 2 * (2 + 1) * 32)
    assert context.notes["masks"]["sparsity"] == pytest.approx(down, abs=1e-3)
    curve = context.notes["curve"]
    assert curve[-1]["sparsity"] > 0.2 > curve[0]["sparsity"]
    assert curve[-1]["loss"] - curve[-1]["masks"] < curve[0]["loss"]


def test_a_sparsity_leaves_uneven_blocks_with_zeros_and_the_reason(tmp_path, student):
    context = prune(tmp_path, student, sparsity=0.4, learning_rate=0.3)
    model = AutoModelForCausalLM.from_pretrained(context.out)
    zeros = sum(int((layer.weight == 0).sum()) for layer in block_layers(model).values())
    weights = sum(layer.weight.numel() for layer in block_layers(model).values())
    reported = context.notes["masks"]
    assert zeros / weights == pytest.approx(reported["sparsity"], abs=0.01)
    assert reported["sparsity"] == pytest.approx(0.4, abs=0.02)
    assert "no smaller" in reported["storage"] and reported["why"]


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, student):
    fields = {"options": {"epochs": 3, "checkpoint_every": 2}, "intermediate_size": 64, "align": 32}
    whole = learning.weights(prune(tmp_path / "whole", student, **fields).out)

    def stop(done, total=None, **_):
        if done == 3:
            raise KeyboardInterrupt

    context = learning.context(tmp_path / "cut", progress=stop)
    train = HardLabel(
        None, student="x", epochs=3, batch_size=4, learning_rate=1e-3, schedule="constant", checkpoint_every=2
    )
    step = CoFiPrune(str(student), train=train, intermediate_size=64, align=32)
    with pytest.raises(KeyboardInterrupt):
        step.run(learning.dataset(ROWS), str(student), context=context)
    resumed = learning.weights(prune(tmp_path / "cut", student, **fields).out)
    assert all(torch.equal(whole[name], tensor) for name, tensor in resumed.items())


def test_a_classifier_is_pruned_as_well(tmp_path):
    import tiny

    encoder = tiny.encoder(tmp_path / "encoder")
    rows = [{"text": f"turn on the light in the {room}", "label": room} for room in ("kitchen", "bedroom")] * 4
    train = Classifier(None, student="x", epochs=4, batch_size=4, learning_rate=1e-3)
    step = CoFiPrune(str(encoder), train=train, intermediate_size=32, align=32, learning_rate=0.3)
    context = learning.context(tmp_path)
    step.run(learning.dataset(rows), str(encoder), context=context, teacher=None)
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(context.out)
    assert model.config.intermediate_size == 32 and not hasattr(model, "pruning_masks")
    assert "CoFi" in (context.out / "README.md").read_text()


@pytest.mark.parametrize("trainer", [HardLabel, SoftLabel, Classifier, LayerMatch])
def test_every_trainer_can_prune_and_keeps_its_parameters(trainer):
    more = {"teacher": "y"} if trainer is LayerMatch else {}
    given = trainer(None, student="x", epochs=7, seed=3, learning_rate=0.5, warmup=0.25, **more)
    read = CoFiPrune("m", train=given, sparsity=0.5)
    assert (read.sparsity, read.learning_rate, read.warmup, read.epochs) == (0.5, 0.5, 0.25, 7)
    step = read.expanded()
    assert type(step).__name__ == f"CoFi{trainer.__name__}"
    theirs, ours = ({one.name: (one.type, one.default) for one in fields(kind)} for kind in (trainer, type(step)))
    assert ours == {**theirs, "masks": ("Masks", Masks())}
    assert (step.student, step.epochs, step.seed, step.masks) == ("m", 7, 3, Masks(sparsity=0.5))
    assert "micro_batch_tokens" not in type(step).unkeyed


def test_what_does_not_go_together(tmp_path, student):
    plain = HardLabel(None, student="x")
    assert "nothing says how small" in str(next(iter(CoFiPrune("m", train=plain).check())))
    assert "heads say how small already" in str(next(iter(CoFiPrune("m", train=plain, sparsity=0.5, heads=2).check())))
    both = HardLabel(None, student="x", validation=LoadRows([{"a": 1}]))
    assert {p.field for p in CoFiPrune("m", train=both, sparsity=0.5).check()} == {"validation"}
    with pytest.raises(BadInput, match=r"CoFiPrune\.train: a OnPolicy can't train under masks: take HardLabel"):
        CoFiPrune("m", train=OnPolicy(None, student="x", teacher="y"))
    with pytest.raises(BadInput, match="intermediate_size=100 is not a multiple of 64"):
        prune(tmp_path, student, intermediate_size=100)


def test_it_is_a_step_of_a_pipeline(tmp_path, student):
    rows = LoadRows(ROWS)
    small = CoFiPrune(str(student), train=HardLabel(rows, student="x", epochs=1), intermediate_size=64, align=32)
    planned = Pipeline("p", outputs={"m": small}).plan(store=tmp_path)
    assert "CoFiHardLabel" in str(planned)


def test_a_classifier_learns_from_the_layers_of_its_teacher_while_it_is_pruned(tmp_path):
    import tiny

    encoder = tiny.encoder(tmp_path / "encoder")
    rows = [{"text": f"turn on the light in the {room}", "label": room} for room in ("kitchen", "bedroom")] * 4
    teacher = learning.context(tmp_path / "teacher")
    fields = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3}
    Classifier(None, student="x", **fields).run(learning.dataset(rows), str(encoder), context=teacher, teacher=None)
    train = LayerMatch(None, student="x", teacher="y", hidden=1.0, **fields)
    step, context = CoFiPrune("m", train=train, sparsity=0.4), learning.context(tmp_path / "student")
    step.run(learning.dataset(rows), str(teacher.out), str(teacher.out), context)
    assert {"hidden", "masks", "sparsity"} <= set(context.notes["curve"][0])
    assert context.notes["masks"]["sparsity"] == pytest.approx(0.4, abs=0.05)
