"""SequenceLevel: the graph that is built, and a student that learns what its teacher writes."""

import pytest

import learning
import translating
from potstill.errors import BadInput
from potstill.recipes.lessons import TrainCausal
from potstill.recipes.sequence_level import SequenceLevel
from potstill.steps.generation.decode import Decode
from potstill.steps.labelling.interpolate import Interpolate
from potstill.steps.loading.in_memory import LoadRows
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
    told = decoded(step, tmp_path / "told", teacher, rows)
    assert [row["output"] for row in told] == [row["output"] for row in translating.rows()]
    context = learning.context(tmp_path / "student")
    step.run(learning.dataset(told), student, context)
    assert translating.translations(context.out, told) == [row["output"] for row in told]


def test_the_trainers_parameters_and_prompt_reach_every_step():
    plain = SequenceLevel(
        None, student="s", teacher="t", decode="best_of", samples=4, temperature=0.7, seed=3, train=LIKE
    )
    assert type(plain) is HardLabel and (plain.epochs, plain.student, plain.prompt) == (45, "s", "{{ instruction }}")
    assert type(plain.rows) is Decode and plain.rows.prompt == "{{ instruction }}"
    assert (plain.rows.model, plain.rows.samples, plain.rows.temperature, plain.rows.seed) == ("t", 4, 0.7, 3)
    both = SequenceLevel(None, student="s", teacher="t", word_level=0.3, train=LIKE)
    assert type(both) is SoftLabel and (both.alpha, both.teacher, both.epochs) == (0.3, "t", 45)


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
    with pytest.raises(BadInput, match="one output to choose from") as found:
        SequenceLevel(None, student="s", teacher="t", interpolate=True, word_level=2.0)
    assert "word_level: must be from 0 to 1" in str(found.value)
