"""A student that was made with several seeds is ruled on as one, by what rows and seeds show together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from potstill.engine.context import Ancestor
from potstill.metrics.answers import packed, wilson
from potstill.metrics.kept_rows import KeptRows
from potstill.metrics.spans import f1_of_sums
from potstill.reporting.alike import alike
from potstill.reporting.choice import choice_of
from potstill.reporting.comparing import compared
from potstill.reporting.forest import forests_of
from potstill.reporting.gains import gain_of
from potstill.reporting.model_table import evaluations_of, sections_of
from potstill.reporting.ruling import ruling_of
from potstill.reporting.ruling_words import ruling_words
from potstill.reporting.seeds import seed_notes
from potstill.reporting.tables import ruled as as_json


def step(name, kind, model=(), inputs=(), **params):
    return Ancestor(name, kind, "k" * 64, (*model, *inputs), {"params": params, "inputs": {"model": list(model)}})


def lineage_of(labels, rates=(1e-3,), **evaluation):
    """Steps behind a teacher and behind students that were trained with seeds 0, 1, ..., at each rate."""
    steps = [step("data", "LoadRows")]
    for place, label in enumerate(labels):
        rate = rates[place % len(rates)]
        steps.append(step(f"train {label}", "HardLabel", inputs=["data"], seed=place, rate=rate))
        steps.append(step(f"Evaluate({label})", "Evaluate", [f"train {label}"], **evaluation))
    return steps


def answered(right, clusters=()):
    result = wilson(int(sum(right)), len(right))
    share = {"exact_match": result.value, "exact_match_low": result.low, "exact_match_high": result.high}
    own = {"n": len(right), **share, "row_right": packed([bool(one) for one in right]), "row_digest": "same"}
    return {"sets": {"test": own}, "weights_bytes": 9}, KeptRows((), tuple(clusters), ())


def read(losses):
    mean = float(np.mean(losses))
    figures = {"perplexity": math.exp(mean), "bits_per_byte": mean, "tokens": 9_000, "bytes": 9_000}
    return {"sets": {"test": figures | {"row_scores": list(losses), "row_digest": "same"}}}, KeptRows((), (), ())


def translated(scores):
    own = {"n": len(scores), "bleu": float(np.mean(scores)) * 0.6, "chrf": float(np.mean(scores))}
    return {"sets": {"test": own | {"row_scores": list(scores), "row_digest": "same"}}}, KeptRows((), (), ())


def tagged(right):
    counts = tuple((int(one), 3, 3) for one in right)
    f1 = f1_of_sums(np.sum(counts, axis=0))
    own = {"n": len(right), "spans": 3 * len(right), "f1": f1, "precision": f1, "recall": f1, "row_digest": "same"}
    return {"sets": {"test": own}}, KeptRows((), (), counts)


def section_of(given, lineage):
    models = {label: metrics for label, (metrics, _) in given.items()}
    [section] = sections_of(evaluations_of(models, [f"Evaluate({label})" for label in models], lineage), "", lineage)
    for model in section.models:
        model.rows["test"] = given[model.label][1]
    return section


def ruled(given, lineage, within=0.02):
    section = section_of(given, lineage)
    ruling = ruling_of(choice_of(section), within, "teacher", lineage)
    return section, ruling, " ".join(ruling_words(ruling, section, lineage))


def rights(rng, rows, losses):
    """Right answers of a teacher, and of students that lose each so much on rows of their own."""
    teacher = rng.random(rows) < 0.9
    return teacher, [teacher & (rng.random(rows) >= loss / 0.9) for loss in losses]


SEEDS = ["s0", "s1", "s2"]


def test_the_verdict_on_seeds_is_one_and_says_so():
    teacher, students = rights(np.random.default_rng(0), 3_000, [0.0, 0.001, 0.002])
    given = {"teacher": answered(teacher)} | {
        label: answered(right) for label, right in zip(SEEDS, students, strict=True)
    }
    section, ruling, said = ruled(given, lineage_of(SEEDS))
    gains = [one.gains for one in ruling.students]
    assert gains[0] == gains[1] == gains[2] and gains[0][0].by == "rows by seeds" and gains[0][0].seeds == 3
    assert [one.model.label for one in ruling.proven] == SEEDS
    assert len({one.p for one in ruling.students}) == 1
    assert "over 3 seeds" in said
    [student, *_] = as_json(ruling, [said])["models"]
    assert student["sets"][0]["seeds"] == 3 and student["sets"][0]["by"] == "rows by seeds"
    [forest] = forests_of(section, ruling)
    assert [line.label for line in forest.lines] == [*SEEDS, "s0, s1 and s2 (3 seeds)"]
    [note] = seed_notes(section, lineage_of(SEEDS), ruling)
    assert "The verdict is of them together" in note


def test_seeds_that_differ_prove_less_than_each_of_them_alone():
    losses = [0.0, 0.0, 0.025]
    teacher, students = rights(np.random.default_rng(1), 4_000, losses)
    given = {"teacher": answered(teacher)} | {
        label: answered(right) for label, right in zip(SEEDS, students, strict=True)
    }
    _, together, said = ruled(given, lineage_of(SEEDS))
    _, alone, _ = ruled(given, lineage_of(SEEDS, rates=(1e-3, 2e-3, 3e-3)))
    assert [one.model.label for one in alone.proven] == ["s0", "s1"]
    assert not together.proven and not any(one.is_worse for one in together.students)
    assert together.missing.rows is None and "and 3 seeds, a model that loses nothing" in said and "more seeds" in said


def test_a_student_whose_seeds_lose_the_bound_on_average_is_hardly_ever_proven():
    rng, wrongly, alone = np.random.default_rng(2), 0, 0
    lineage, others = lineage_of(SEEDS), lineage_of(SEEDS, rates=(1e-3, 2e-3, 3e-3))
    for _ in range(120):
        losses = np.clip(0.02 + 0.01 * rng.normal(size=3), 0, 0.04)
        teacher, students = rights(rng, 1_500, losses)
        given = {"teacher": answered(teacher)} | {
            label: answered(right) for label, right in zip(SEEDS, students, strict=True)
        }
        wrongly += bool(ruled(given, lineage)[1].proven)
        alone += bool(ruled(given, others)[1].proven)
    # of 120 at 2.5 %, 9 or more come once in two hundred times
    assert wrongly < 9 < 20 < alone


def drawn(kind, rng):
    """A teacher and three seeds of a student, measured in one way."""
    if kind == "answers":
        teacher, students = rights(rng, 500, [0.01, 0.03, 0.02])
        return [answered(one) for one in (teacher, *students)]
    if kind == "clusters":
        teacher, students = rights(rng, 500, [0.01, 0.03, 0.02])
        return [answered(one, [f"of {row // 5}" for row in range(500)]) for one in (teacher, *students)]
    if kind == "reading":
        losses = rng.normal(2, 0.3, 300)
        return [read(losses + more + rng.normal(0, 0.02, 300)) for more in (0, 0.01, 0.02, 0.03)]
    if kind == "translations":
        scores = rng.uniform(30, 60, 300)
        return [translated(np.clip(scores - less + rng.normal(0, 3, 300), 0, 100)) for less in (0, 1, 2, 3)]
    return [tagged(rng.binomial(3, found, 400)) for found in (0.9, 0.89, 0.88, 0.87)]


@pytest.mark.parametrize("kind", ["answers", "clusters", "reading", "translations", "spans"])
def test_whatever_is_measured_the_difference_is_the_mean_of_the_seeds_and_its_interval_no_narrower(kind):
    given = dict(zip(["teacher", *SEEDS], drawn(kind, np.random.default_rng(3)), strict=True))
    section, ruling, _ = ruled(given, lineage_of(SEEDS))
    [gain] = ruling.students[0].gains
    each = [gain_of(model, section.models[0], section.main, "test", 0.02) for model in section.models[1:]]
    assert gain.by == "rows by seeds" and gain.seeds == 3
    assert gain.value == pytest.approx(np.mean([one.value for one in each]))
    assert gain.low < gain.value < gain.high
    assert (gain.p < 0.025) == (gain.low > -gain.margin)


def test_seeds_whose_rows_were_not_kept_are_ruled_on_each_for_itself():
    teacher, students = rights(np.random.default_rng(4), 500, [0.0, 0.01, 0.02])
    given = {"teacher": answered(teacher)} | {
        label: answered(right) for label, right in zip(SEEDS, students, strict=True)
    }
    del given["s1"][0]["sets"]["test"]["row_digest"]
    section, ruling, _ = ruled(given, lineage_of(SEEDS))
    assert [one.gains[0].seeds for one in ruling.students] == [1, 1, 1]
    assert "of each model for itself" in seed_notes(section, lineage_of(SEEDS), ruling)[0]


def test_one_model_that_was_measured_twice_is_not_two_seeds():
    teacher, [right] = rights(np.random.default_rng(5), 500, [0.01])
    given = {"teacher": answered(teacher), "once": answered(right), "again": answered(right)}
    trained = step("train", "HardLabel", seed=0)
    twice = [trained, step("Evaluate(once)", "Evaluate", ["train"]), step("Evaluate(again)", "Evaluate", ["train"])]
    assert alike(section_of(given, twice).models, twice) == []
    apart = [
        *lineage_of(["once"], max_tokens=8),
        step("train x", "HardLabel", inputs=["data"], seed=1, rate=1e-3),
        step("Evaluate(again)", "Evaluate", ["train x"], max_tokens=9),
    ]
    assert alike(section_of(given, apart).models, apart) == []


def test_f1_of_spans_is_tested_by_exchanging_texts():
    rng = np.random.default_rng(6)
    equal, other, worse = (tagged(rng.binomial(3, found, 400)) for found in (0.9, 0.9, 0.8))
    section = section_of({"teacher": equal, "student": other, "worse": worse}, [])
    teacher, student, far = section.models
    same, differs = compared([(student, teacher), (far, teacher)], section.main, ["test"])
    assert same.by == differs.by == "a randomization test"
    assert differs.is_sure and not same.is_sure
    assert differs.smallest == pytest.approx(2 / 10_001)  # of two comparisons
