"""SequenceLevel: the graph that is built, and a student that learns what its teacher writes."""

import copy
import dataclasses
import pickle

import pytest

import learning
import translating
from golden import keys_of
from potstill import Pipeline
from potstill.engine.settings import changed
from potstill.errors import BadInput
from potstill.recipes.lessons import TrainCausal
from potstill.recipes.sequence_level import SequenceLevel
from potstill.steps.generation.decode import Decode
from potstill.steps.labelling.interpolate import Interpolate
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.pruning.magnitude import MagnitudePrune
from potstill.trainers.compressed.cofi_prune import CoFiHardLabel, CoFiPrune
from potstill.trainers.language_models.hard_label import HardLabel
from potstill.trainers.language_models.soft_label import SoftLabel
from running import problems_of

LIKE = TrainCausal(
    SoftLabel(None, student="x", epochs=45, batch_size=8, learning_rate=1e-2, prompt="{{ instruction }}")
)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of a teacher that has half learned the pairs, and of a small student."""
    teacher = translating.learned(tmp_path_factory.mktemp("teacher"), steps=30)
    return str(teacher), str(translating.model(tmp_path_factory.mktemp("student"), hidden=32))


def decoded(step, folder, teacher, rows=None):
    """Run what a training step learns from; return the rows."""
    context, given = learning.context(folder), learning.dataset(rows or translating.rows())
    decode = step.rows.rows if isinstance(step.rows, Interpolate) else step.rows
    rows = list(decode.run(given, teacher, context))
    if decode is not step.rows:
        rows = list(step.rows.run(learning.dataset(rows), context))
    return rows


def test_the_student_ends_up_writing_what_the_teacher_does(tmp_path, models):
    teacher, student = models
    # the data's own translations are not what the teacher has learned
    rows = [row | {"output": "etwas anderes"} for row in translating.rows()]
    fields = {"decode": "beam", "beams": 3, "max_tokens": 16, "train": LIKE}
    step = SequenceLevel(LoadRows(rows), student=student, teacher=teacher, **fields)
    assert problems_of(step) == []
    reported = decoded(step, tmp_path / "told", teacher, rows)
    assert [row["output"] for row in reported] == [row["output"] for row in translating.rows()]
    context = learning.context(tmp_path / "student")
    step.run(learning.dataset(reported), student, context)
    assert translating.translations(context.out, reported) == [row["output"] for row in reported]


def test_the_trainers_parameters_and_prompt_reach_every_step():
    plain = SequenceLevel(
        None, student="s", teacher="t", decode="best_of", samples=4, temperature=0.7, seed=3, train=LIKE
    )
    assert type(plain.expanded()) is HardLabel and (plain.epochs, plain.student, plain.prompt) == (
        45,
        "s",
        "{{ instruction }}",
    )
    assert type(plain.rows) is Decode and plain.rows.prompt == "{{ instruction }}"
    assert (plain.rows.model, plain.rows.samples, plain.rows.temperature, plain.rows.seed) == ("t", 4, 0.7, 3)
    both = SequenceLevel(None, student="s", teacher="t", word_level=0.3, train=LIKE)
    assert type(both.expanded()) is SoftLabel and (both.alpha, both.teacher, both.epochs) == (0.3, "t", 45)


def test_gold_targets_and_interpolation_come_between_decoding_and_training(tmp_path, models):
    mixed = SequenceLevel(None, student="s", teacher=models[0], gold=0.5, max_tokens=16)
    assert type(mixed.rows) is Interpolate and (mixed.rows.gold, mixed.rows.nearest) == (0.5, False)
    fields = {"decode": "beam", "beams": 4, "max_tokens": 16}
    near = SequenceLevel(None, student="s", teacher=models[0], interpolate=True, **fields)
    assert near.rows.rows.keep == 4

    offered = near.rows.rows.run(learning.dataset(translating.rows()), models[0], learning.context(tmp_path))
    seconds = [row["hypotheses"][1]["output"] for row in offered]
    rows = [row | {"output": second} for row, second in zip(translating.rows(), seconds, strict=True)]
    plain = SequenceLevel(None, student="s", teacher=models[0], **fields)
    assert [row["output"] for row in decoded(near, tmp_path / "near", models[0], rows)] == seconds
    assert [row["output"] for row in decoded(plain, tmp_path / "plain", models[0], rows)] != seconds


def test_what_makes_no_sense_is_refused_together():
    with pytest.raises(BadInput, match="one output to choose from") as actual:
        SequenceLevel(None, student="s", teacher="t", interpolate=True, word_level=2.0)
    assert "SequenceLevel.word_level: must be >= 0 and <= 1, got 2.0" in str(actual.value)


def test_it_is_read_like_the_trainer_that_it_stands_for():
    like = SoftLabel(None, student="x", seed=8, temperature=3.0)
    step = SequenceLevel("rows", student="s", teacher="t", word_level=0.5, seed=2, temperature=0.5, train=like)
    assert (step.seed, step.temperature, step.rows.seed, step.rows.temperature) == (8, 3.0, 2, 0.5)
    assert (step.beams, step.word_level, step.hold_zeros) == (5, 0.5, False)
    assert pickle.loads(pickle.dumps(step)).rows.temperature == copy.deepcopy(step).rows.temperature == 0.5
    with pytest.raises(AttributeError, match="SoftLabel has no attribute 'epoch'"):
        step.epoch  # noqa: B018
    with pytest.raises(ValueError, match="'rows' must be specified"):
        dataclasses.replace(step, beams=2)
    for name in ("seed", "temperature"):
        assert not hasattr(SequenceLevel, name)


def test_a_decode_and_a_trainer_are_the_short_way_with_the_same_keys(models):
    teacher, student = models
    rows = LoadRows(translating.rows())
    search = {"beams": 3, "length_penalty": 0.5, "max_tokens": 16, "max_failed": 0.1}
    long = SequenceLevel(
        rows, student=student, teacher=teacher, decode="beam", seed=4, gold=0.2, word_level=0.5, train=LIKE, **search
    )
    written = Decode(rows, model=teacher, method="beam", prompt=LIKE.like.prompt, seed=4, **search)
    short = SequenceLevel(
        rows, student=student, teacher=teacher, decode=written, seed=4, gold=0.2, word_level=0.5, train=LIKE.like
    )
    assert short.rows.rows is written and keys_of(short) == keys_of(long)
    other = SequenceLevel(None, student=student, teacher="t", decode=written, interpolate=True)
    assert (other.rows.rows.model, other.rows.rows.rows, other.rows.rows.keep) == ("t", None, 3)
    hard = HardLabel(rows, student="x", epochs=2)
    like = SoftLabel(rows, student="x", epochs=2)
    for level in (0.0, 0.5):
        one, two = (
            SequenceLevel(rows, student=student, teacher=teacher, word_level=level, train=train)
            for train in (hard, TrainCausal(like=like))
        )
        assert keys_of(one) == keys_of(two)


def test_a_parameter_of_decoding_is_not_given_beside_a_decode():
    written = Decode(None, model="t", method="best_of")
    with pytest.raises(BadInput) as actual:
        SequenceLevel(None, student="s", teacher="t", decode=written, samples=3, temperature=0.5, name="mine")
    assert str(actual.value).splitlines() == [
        f"mine.{name}: is a parameter of the Decode that is given: set it there" for name in ("samples", "temperature")
    ]
    with pytest.raises(BadInput, match=r"SequenceLevel\.train: must be a HardLabel, .*; got a MagnitudePrune"):
        SequenceLevel(None, student="s", teacher="t", train=MagnitudePrune("x"))


@pytest.mark.parametrize(("path", "value"), [("tuned.epochs", 3), ("tuned.seed", 7), ("tuned.rows.seed", 5)])
def test_a_setting_reaches_the_trainer_and_what_it_learns_from(models, path, value):
    teacher, student = models
    rows = LoadRows(translating.rows())
    tuned = SequenceLevel(rows, student=student, teacher=teacher)
    pruned = MagnitudePrune(teacher, recover=tuned)
    result = changed(Pipeline("p", outputs={"tuned": tuned, "pruned": pruned}), [f"{path}={value}", "rows.name=given"])
    step = result.outputs["tuned"]
    for name in path.split(".")[1:]:
        step = getattr(step, name)
    assert step == value
    assert {result.graph().name(one) for one in result.graph().steps} >= {"given", "tuned", "pruned"}


def test_other_steps_take_it_like_the_trainer():
    tuned = SequenceLevel(None, student="s", teacher="t", train=LIKE)
    recovered = MagnitudePrune("m", recover=tuned).expanded()
    assert type(recovered) is HardLabel and (recovered.epochs, recovered.hold_zeros) == (45, True)
    assert type(CoFiPrune("m", train=tuned, sparsity=0.5).expanded()) is CoFiHardLabel
