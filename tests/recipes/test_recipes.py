"""Methods made of steps: the graphs have the right shape, wrong requests are refused, and each runs to its end."""

from __future__ import annotations

import doctest
import importlib
import itertools
from pathlib import Path
from typing import Any

import pytest

import potstill.recipes as methods
import running
import tiny
from golden import keys_of
from potstill import BadInput, Pipeline
from potstill import trainers as trainer_package
from potstill.engine.progress import Silent
from potstill.errors import BadArguments
from potstill.recipes import (
    Averaged,
    BornAgain,
    CoTraining,
    Course,
    Ensemble,
    SelfTraining,
    TeachingAssistant,
    TrainCausal,
    TrainClassifier,
)
from potstill.steps.evaluation.classifier import EvaluateClassifier
from potstill.steps.filtering.confidence import KeepConfident
from potstill.steps.labelling.average_probabilities import AverageProbabilities
from potstill.steps.labelling.class_probabilities import ClassProbabilities
from potstill.steps.labelling.split_text import Halves
from potstill.steps.labelling.task_model import RunTaskModel
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.quantization.int8 import QuantizeInt8
from potstill.trainers.encoders.classifier import Classifier
from potstill.trainers.language_models.hard_label import HardLabel
from potstill.trainers.language_models.soft_label import SoftLabel
from running import problems_of

WORDS = {"light": "turn on the light in the", "heat": "set the heating in the", "blind": "open the blinds in the"}
MODULES = ("born_again", "teaching_assistant", "ensemble", "self_training", "co_training")


def rows(count: int, please: str = "") -> list[dict[str, str]]:
    rooms = ("kitchen", "bedroom", "room", "living room")
    return [
        {"text": f"{WORDS[label]} {rooms[number // 3 % 4]}{please}", "label": label}
        for number in range(count)
        for label in [list(WORDS)[number % 3]]
    ]


ROWS = LoadRows(rows(12))
MORE = LoadRows([{"text": row["text"]} for row in rows(9, " please")])


def test_each_generation_learns_from_the_last_and_starts_from_another_seed() -> None:
    like = Classifier(ROWS, student="x", epochs=7, alpha=0.7, seed=3, name="plain")
    born = BornAgain(ROWS, student="base", rounds=2, train=TrainClassifier(like))
    assert len(born) == 3 and born.student is born[-1]
    assert [step.seed for step in born] == [3, 4, 5]
    assert {(step.student, step.epochs, step.name) for step in born} == {("base", 7, None)}
    # without a teacher only the labels count
    assert [step.alpha for step in born] == [None, 0.7, 0.7]
    assert born[0].rows is ROWS
    for before, after in itertools.pairwise(born):
        assert type(after.rows) is ClassProbabilities and after.rows.model is before and after.rows.rows is ROWS
    given = BornAgain(ROWS, student="base", rounds=1, teacher="wise")
    assert [step.rows.model for step in given] == ["wise"]


def test_assistants_stand_between_teacher_and_student() -> None:
    chain = TeachingAssistant(ROWS, teacher="six", students=["three", "one"])
    assert [step.student for step in chain] == ["three", "one"]
    assert chain[0].rows.model == "six" and chain[1].rows.model is chain[0]


def test_an_ensemble_is_averaged_by_weights_and_each_teacher_labels_alone() -> None:
    student = Ensemble(ROWS, teachers=["a", "b"], weights=(0.7, 0.3), student="base").student
    mean = student.rows
    assert type(mean) is AverageProbabilities and mean.weights == (0.7, 0.3)
    assert [(version.model, version.rows) for version in mean.rows] == [("a", ROWS), ("b", ROWS)]


def test_causal_students_learn_beside_a_live_teacher_and_the_first_from_text() -> None:
    like = SoftLabel(ROWS, student="x", epochs=2, max_length=99, alpha=0.9, temperature=2.0, teacher="y")
    born = BornAgain(ROWS, student="base", rounds=1, train=TrainCausal(like))
    assert type(born[0]) is HardLabel and (born[0].epochs, born[0].max_length) == (2, 99)
    assert type(born[1]) is SoftLabel and (born[1].alpha, born[1].temperature) == (0.9, 2.0)
    assert born[1].teacher is born[0] and born[1].seed == 1
    with pytest.raises(BadInput, match="several causal teachers can't be averaged"):
        Ensemble(ROWS, teachers=["a", "b"], student="base", train=TrainCausal(like))


def test_one_may_train_in_ones_own_way() -> None:
    def train(given: Any, student: Any, teacher: Any) -> Any:
        return Classifier(given, student=student, teacher=None if isinstance(teacher, Averaged) else teacher)

    chain = TeachingAssistant(ROWS, teacher="six", students=["three"], train=train)
    assert chain.student.rows is ROWS and chain.student.teacher == "six"


def test_each_round_of_self_training_labels_again_and_starts_from_the_start() -> None:
    train = TrainClassifier(Classifier(ROWS, student="x", alpha=0.9))
    course = SelfTraining(ROWS, MORE, student="base", rounds=2, threshold=0.8, per_class=5, soft=True, train=train)
    assert [(step.student, step.alpha) for step in course] == [("base", None), ("base", 0.9), ("base", 0.9)]
    for before, after in itertools.pairwise(course):
        (sure,) = after.rows.picks
        assert type(sure) is KeepConfident and (sure.threshold, sure.per_class) == (0.8, 5)
        assert type(sure.rows) is RunTaskModel and sure.rows.model is before
        assert sure.rows.rows.names == ["text"] and sure.rows.rows.rows is MORE
        assert after.rows.soft and after.rows.rows is course[0].rows


def test_two_views_label_for_each_other_and_the_last_student_reads_all() -> None:
    course = CoTraining(ROWS, MORE, student="base", views=("title", "body"), rounds=2, per_class=3)
    assert len(course) == 5
    data = course.student.rows.rows
    assert [sure.per_class for sure in data.picks] == [6, 6]
    assert [(sure.rows.column, sure.rows.model) for sure in data.picks] == [("title", course[2]), ("body", course[3])]
    assert data.rows is ROWS and tuple(data.keep) == ("text", "title", "body")
    assert course[0].rows.names == {"title": "text"} and course[1].rows.names == {"body": "text"}
    two = CoTraining(ROWS, MORE, student="base", views=("text", "text"), students=("a", "b"), rounds=1)
    assert [step.student for step in two] == ["a", "b", "base"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BornAgain(ROWS, student="x", rounds=0), "rounds: must be >= 1, got 0"),
        (lambda: SelfTraining(ROWS, MORE, student="x", rounds=0), "rounds: must be >= 1, got 0"),
        (lambda: TeachingAssistant(ROWS, teacher="x", students=[]), "students: must be a list of at least one"),
        (lambda: Ensemble(ROWS, teachers="x", student="y"), "teachers: must be a list of at least one model, got 'x'"),
        (lambda: CoTraining(ROWS, MORE, student="x", views=("text", "text")), "are the same column 'text' for"),
        (lambda: CoTraining(ROWS, MORE, student="x", views=("a", "b"), students=("c",)), "two models, one for each"),
        (lambda: CoTraining(ROWS, MORE, student="x", per_class=0), "per_class: must be >= 1, got 0"),
    ],
)
def test_wrong_requests_are_refused_at_once(make: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        make()


def test_where_one_model_belongs_a_recipe_is_its_last_student(tmp_path: Path) -> None:
    base = str(tiny.encoder(tmp_path / "encoder"))
    born = BornAgain(ROWS, student=base, rounds=1)
    assert problems_of(EvaluateClassifier(born, ROWS)) == []
    whole, last = (keys_of(step) for step in (EvaluateClassifier(born, ROWS), EvaluateClassifier(born.student, ROWS)))
    assert whole == last and keys_of(born) == keys_of(born.student)
    assert born.expanded() is born.student and repr(born) == "<BornAgain of 2: say .student for the last>"
    assert isinstance(born, Course) and list(born) == [born[0], born[1]] and born.index(born[1]) == 1


def test_a_course_of_ones_own_hands_out_what_it_is_given() -> None:
    first, last = Classifier(ROWS, student="a"), Classifier(ROWS, student="b")
    course = Course([first, last])
    assert (len(course), course.student, course.expanded(), course[:1]) == (2, last, last, (first,))
    with pytest.raises(BadInput, match="Course: makes no step"):
        Course([])


def test_a_recipes_name_is_that_of_its_last_student_and_a_variables_is_none_of_theirs() -> None:
    born = BornAgain(ROWS, student="base", rounds=1, name="last")
    assert [step.name for step in born] == [None, "last"]
    nameless = BornAgain(ROWS, student="base", rounds=1)
    chain = TeachingAssistant(ROWS, teacher=nameless, students=["small"])
    graph = Pipeline("p", outputs={"out": chain}).graph()
    # names are part of a report's key, which a variable for the recipe must not change
    assert not {"nameless", "chain"} & {graph.name(step) for step in graph.steps}


@pytest.mark.parametrize(
    ("trainer", "maker"),
    [
        (Classifier(ROWS, student="x", epochs=3, alpha=0.5), TrainClassifier),
        (SoftLabel(ROWS, student="x", epochs=3, teacher="y", alpha=0.5), TrainCausal),
        (HardLabel(ROWS, student="x", epochs=3), TrainCausal),
    ],
)
def test_a_trainer_says_how_to_train_as_its_maker_does(trainer: Any, maker: Any, tmp_path: Path) -> None:
    base = tiny.encoder(tmp_path / "encoder")
    short = BornAgain(ROWS, student=str(base), rounds=1, train=trainer)
    long = BornAgain(ROWS, student=str(base), rounds=1, train=maker(like=trainer))
    assert [type(step) for step in short] == [type(step) for step in long]
    assert keys_of(short) == keys_of(long) and short.student.epochs == 3


def test_all_that_is_wrong_is_said_together_and_by_the_recipes_name() -> None:
    with pytest.raises(BadInput) as actual:
        SelfTraining(ROWS, MORE, student="x", rounds=0, threshold=1.5, per_class=0, train=None)
    assert str(actual.value).splitlines() == [
        "SelfTraining.train: must be Train | Classifier | HardLabel | SoftLabel, got None (NoneType)"
    ]
    with pytest.raises(BadInput) as actual:
        SelfTraining(ROWS, MORE, student="x", rounds=0, threshold=1.5, per_class=0, train=QuantizeInt8("x"), name="me")
    assert str(actual.value).splitlines() == [
        "me.rounds: must be >= 1, got 0",
        "me.threshold: must be >= 0 and <= 1, got 1.5",
        "me.per_class: must be >= 1, got 0",
        "me.train: must be a Classifier, HardLabel or SoftLabel, or make a trainer from (rows, student, teacher); got "
        "a QuantizeInt8",
    ]
    with pytest.raises(BadInput, match="Ensemble: several causal teachers can't be averaged"):
        Ensemble(ROWS, teachers=["a", "b"], student="base", train=TrainCausal())
    with pytest.raises(BadArguments, match="BornAgain has no parameter 'round'; the nearest is rounds"):
        BornAgain(ROWS, student="x", round=2)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_are_true(name: str) -> None:
    module = importlib.import_module(f"potstill.recipes.{name}")
    names = {
        "LoadRows": LoadRows,
        "Halves": Halves,
        "Classifier": Classifier,
        "TrainClassifier": TrainClassifier,
        "encoder": "encoder",
    }
    result = doctest.testmod(module, extraglobs=names)
    assert result.attempted and not result.failed


@pytest.mark.parametrize("name", ["BornAgain", "CoTraining", "Ensemble", "SelfTraining", "TeachingAssistant"])
def test_trainers_offer_them_too(name: str) -> None:
    assert getattr(trainer_package, name) is getattr(methods, name)


def test_all_of_them_run_and_share_what_they_have_in_common(tmp_path: Path) -> None:
    base = str(tiny.encoder(tmp_path / "encoder"))
    train = TrainClassifier(Classifier(ROWS, student=base, epochs=4, batch_size=6, learning_rate=5e-3))
    born = BornAgain(ROWS, student=base, rounds=1, train=train)
    one = Ensemble(ROWS, teachers=born, weights=(0.25, 0.75), student=base, train=train).student
    alone = SelfTraining(ROWS, MORE, student=base, rounds=1, threshold=0.0, per_class=2, train=train)
    both = CoTraining(Halves(ROWS), Halves(MORE), student=base, rounds=1, per_class=2, train=train).student
    outputs = {
        "born": born.student,
        "one": one,
        "alone": alone.student,
        "both": both,
        "mean": one.rows,
        "more": alone.student.rows,
        "agreed": both.rows,
    }
    run = Pipeline("methods", outputs=outputs).run(
        store=tmp_path / "store", executor=running.Here(), watcher=Silent(), threads=1
    )
    for name in ("born", "one", "alone", "both"):
        assert (run[name].path / "model.safetensors").exists()
    for row in run["mean"].dataset():
        assert set(row["probabilities"]) == set(WORDS) and row["label"] in WORDS
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    more = list(run["more"].dataset())
    assert 12 < len(more) <= 12 + 6 and all(" please" in row["text"] for row in more[:-12])
    assert more[-12:] == rows(12)
    assert len(run["agreed"].dataset()) >= 12
    # the teacher of the first generation is the first student of self-training
    assert run["born"].manifest["notes"]["alpha"] == 0.5
    trained = [record for record in run.records if record.type == "Classifier"]
    assert sorted(record.status for record in trained) == ["hit", *["ran"] * 7]
