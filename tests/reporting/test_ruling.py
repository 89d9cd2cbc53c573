"""The verdict of a report: only what is proven is said, with size, speed and intervals, or what is missing."""

from __future__ import annotations

import math
import random

import pytest

from potstill.engine.context import Ancestor
from potstill.metrics.answers import packed, wilson
from potstill.metrics.kept_rows import KeptRows, read, write
from potstill.reporting.choice import choice_of
from potstill.reporting.gains import gain_of
from potstill.reporting.model_table import evaluations_of, sections_of
from potstill.reporting.ruling import ruling_of
from potstill.reporting.ruling_words import ruling_words


def share(name, right, n):
    result = wilson(right, n)
    return {name: result.value, f"{name}_low": result.low, f"{name}_high": result.high}


def answered(wrong, n=2_000, size=None, speed=None, figure="exact_match", digest="same", runtime="", names=("test",)):
    """Metrics of a model that gets the rows right but for those `wrong`, on each of the sets."""
    bits = [number not in wrong for number in range(n)]
    own = {"n": n, **share(figure, sum(bits), n)} | (
        {"row_right": packed(bits), "row_digest": digest} if digest else {}
    )
    engine = {"engine": {"runtime": runtime}} if runtime else {}
    return {"sets": dict.fromkeys(names, own), "weights_bytes": size, "tokens_per_s": speed, **engine}


def ruled(models, within=0.02, named="", lineage=(), rows=None):
    names = [f"Evaluate({label})" for label in models]
    [section] = sections_of(evaluations_of(models, names, lineage), named, lineage)
    for model in section.models:
        model.rows.update((rows or {}).get(model.label, {}))
    ruling = ruling_of(choice_of(section), within, named, lineage)
    return ruling, " ".join(ruling_words(ruling, section, lineage)) if ruling else ""


TEACHER = answered(range(100), size=20_000_000, speed=100.0)


def test_the_smallest_and_the_fastest_that_are_proven_are_named_with_figures():
    models = {
        "teacher": TEACHER,
        "int8": answered(range(100), size=4_000_000, speed=300.0),
        "int4": answered(range(2, 104), size=2_000_000, speed=200.0),
        "tiny": answered(range(400), size=500_000, speed=900.0),
    }
    ruling, said = ruled(models)
    assert [one.model.label for one in ruling.proven] == ["int8", "int4"]
    assert said.startswith("int8 and int4 are proven to lose at most 2 points of exact match against teacher.")
    assert "The smallest of them is int4: 2.00\u202fMB of weights instead of 20.0\u202fMB, 10.0\u00d7 smaller; " in said
    assert "94.9\u202f% exact match on test (93.8 to 95.8), against teacher \u22120.1 points" in said
    assert "The fastest of them is int8: 4.00\u202fMB" in said and "300 tokens a second" in said
    assert said.endswith("tiny is proven to lose more.")


def test_no_difference_found_is_no_proof_and_the_rows_that_are_needed_are_told():
    models = {"teacher": answered(range(5), n=100, size=9), "student": answered(range(1, 7), n=100, size=3)}
    ruling, said = ruled(models)
    assert not ruling.proven and ruling.smallest is None
    assert said.startswith("No model is proven to lose at most 2 points of exact match against teacher.")
    assert "The nearest is student: " in said and "lose more" not in said
    assert ruling.missing.smallest > 0.02 and ruling.missing.rows > 100
    assert "The 100 rows of test prove nothing, as they are too few: a loss of more than 2 points" in said
    assert f"At least 183 are needed, about {ruling.missing.rows:,} where models differ as here." in said
    enough = {name: answered(range(0), n=ruling.missing.rows, size=9) for name in ("teacher", "student")}
    assert ruled(enough)[0].proven


def test_of_many_students_the_error_is_that_of_one():
    alone = {"teacher": answered(range(50), n=1_000), "s0": answered(range(20, 75), n=1_000)}
    ruling, _ = ruled(alone)
    assert ruling.proven and 0.001 < ruling.students[0].p < 0.025
    many = alone | {f"s{number}": answered(range(20, 75), n=1_000) for number in range(1, 30)}
    assert not ruled(many)[0].proven


def test_a_student_as_bad_as_the_bound_is_hardly_ever_called_proven():
    draws, wrongly = random.Random(0), 0
    for _ in range(300):
        teacher = {row for row in range(400) if draws.random() < 0.1}
        student = {row for row in range(400) if (draws.random() < 0.9 if row in teacher else draws.random() < 0.0333)}
        ruling, _ = ruled({"teacher": answered(teacher, n=400), "student": answered(student, n=400)})
        wrongly += bool(ruling.proven)
    assert wrongly <= 0.05 * 300


def test_a_bound_must_hold_on_every_set():
    both = answered(range(100), size=20, names=("easy", "hard"))
    student = answered(range(100), size=10, names=("easy", "hard"))
    assert ruled({"teacher": both, "student": student})[0].proven
    student["sets"]["hard"] = answered(range(250))["sets"]["test"]
    assert not ruled({"teacher": both, "student": student})[0].proven
    del student["sets"]["hard"]
    ruling, said = ruled({"teacher": both, "student": student})
    assert not ruling.proven and "measure them on the same rows" in said


def test_without_a_teacher_the_best_is_what_others_are_held_against():
    models = {"small": answered(range(300), size=1_000), "large": answered(range(100), size=5_000)}
    ruling, said = ruled(models)
    assert not ruling.has_teacher and ruling.baseline.label == "large"
    assert said.startswith("No teacher is among these models: losses are against large, the best.")
    assert ruled(models, named="small")[0].has_teacher


def test_lineage_tells_who_taught_whom():
    def step(name, kind="Train", model=(), inputs=()):
        manifest = {"inputs": {"model": list(model)}, "params": {}}
        return Ancestor(name, kind, "k" * 64, (*model, *inputs), manifest)

    models = {"one": answered(range(100), size=9), "other": answered(range(100), size=9)}
    apart = [step("a"), step("b"), step("Evaluate(one)", "Evaluate", ["a"]), step("Evaluate(other)", "Evaluate", ["b"])]
    assert not ruled(models, lineage=apart)[0].has_teacher
    behind = [apart[0], step("b", "Export", inputs=["a"]), *apart[2:]]
    ruling, said = ruled(models, lineage=behind)
    assert ruling.has_teacher
    assert "To serve other, in the folder of step b (key kkkkkkkkkkkk): see SERVE.md." in said
    result = [apart[0], step("b", inputs=["a"]), *apart[2:]]
    assert "To serve other: vllm serve FOLDER" in ruled(models, lineage=result)[1]


def test_models_that_kept_no_rows_are_compared_by_shares_and_it_is_said():
    old = answered(range(100), size=9, digest="")
    ruling, said = ruled({"teacher": TEACHER, "old": old})
    [gain] = ruling.students[0].gains
    assert gain.by == "unpaired shares" and not gain.is_paired
    paired = ruled({"teacher": TEACHER, "old": answered(range(100), size=9)})[0].students[0].gains[0]
    assert gain.high - gain.low > paired.high - paired.low
    assert "could not be paired row by row" in said


def test_other_rows_are_not_compared():
    ruling, said = ruled({"teacher": TEACHER, "student": answered(range(100), size=9, digest="other")})
    assert ruling.students[0].gains == () and "measure them on the same rows" in said


def test_a_teacher_that_can_do_nothing_proves_nothing():
    nothing = answered(range(2_000), size=9)
    ruling, said = ruled({"teacher": nothing, "student": answered(range(2_000), size=3)})
    assert not ruling.proven and "teacher itself is not usable" in said


def test_clustered_rows_count_as_fewer():
    models = {"teacher": answered(range(100)), "student": answered(range(20, 125))}
    plain, _ = ruled(models)
    clusters = tuple(f"passage {row // 50}" for row in range(2_000))
    kept = {name: {"test": KeptRows((), clusters, ())} for name in models}
    clustered, _ = ruled(models, rows=kept)
    one, other = plain.students[0].gains[0], clustered.students[0].gains[0]
    assert other.by == "clustered rows" and other.low < one.low and other.p >= one.p
    same, _ = ruled(
        {"teacher": TEACHER, "student": TEACHER}, rows={"student": {"test": KeptRows((), ("a",) * 2_000, ())}}
    )
    assert not same.proven  # one passage says nothing of others
    pairs = tuple(f"pair {row // 1_000}" for row in range(2_000))
    alike = {"teacher": answered(()), "student": answered((0, 1_000))}
    two, _ = ruled(alike, rows={name: {"test": KeptRows((), pairs, ())} for name in alike})
    assert not two.proven  # of two sources that lose the same, nothing is known of a third


def test_perplexities_are_compared_by_their_ratio():
    draws = random.Random(1)
    losses = [draws.gauss(2, 0.3) for _ in range(300)]

    def read_with(more, size):
        own = [loss + more + draws.gauss(0, 0.01) for loss in losses]
        mean = sum(own) / len(own)
        figures = {"perplexity": math.exp(mean), "bits_per_byte": mean, "tokens": 9_000, "bytes": 9_000}
        return {"sets": {"test": figures | {"row_scores": own, "row_digest": "same"}}, "weights_bytes": size}

    ruling, said = ruled({"teacher": read_with(0, 90), "near": read_with(0.01, 30), "far": read_with(0.05, 10)})
    assert [one.model.label for one in ruling.proven] == ["near"]
    assert "to lose at most 2\u202f% of perplexity" in said and "far is proven to lose more" in said


def test_spans_are_compared_by_drawing_texts():
    def tagged(wrong, size):
        counts = tuple((1 if row in wrong else 2, 2, 2) for row in range(800))
        right = sum(one for one, _, _ in counts) / 1_600
        own = {"n": 800, "spans": 1_600, "f1": right, "precision": right, "recall": right, "row_digest": "same"}
        return {"sets": {"test": own}, "weights_bytes": size}, {"test": KeptRows((), (), counts)}

    result = {"teacher": tagged(range(40), 90), "student": tagged(range(5, 48), 30), "same": tagged(range(40), 20)}
    models = {name: one for name, (one, _) in result.items()}
    ruling, _ = ruled(models, rows={name: rows for name, (_, rows) in result.items()})
    assert [one.model.label for one in ruling.proven] == ["student", "same"]
    assert ruling.students[0].gains[0].by == "paired bootstrap"
    assert not any(one.gains for one in ruled(models)[0].students)  # without rows nothing is known


def test_few_rows_that_agree_prove_nothing():
    few = {name: answered((), n=5, size=9) for name in ("teacher", "student")}
    assert not ruled(few)[0].proven


def test_speeds_of_two_runtimes_are_not_compared():
    models = {
        "teacher": TEACHER,
        "gguf": answered(range(100), size=4_000_000, speed=300.0, runtime="llama.cpp"),
        "onnx": answered(range(100), size=5_000_000, speed=400.0, runtime="ONNX Runtime"),
    }
    ruling, said = ruled(models)
    assert [(runtime, model.label) for runtime, model in ruling.fastest] == [
        ("llama.cpp", "gguf"),
        ("ONNX Runtime", "onnx"),
    ]
    assert "The fastest of them by ONNX Runtime is onnx" in said


def test_one_model_alone_has_no_verdict():
    assert ruled({"teacher": TEACHER}) == (None, "")


def test_what_the_figures_keep_and_the_file_of_rows_say_the_same(tmp_path):
    rows = [{"set": "test", "correct": row not in range(3), "cluster": None} for row in range(50)]
    write(tmp_path, {"set": "text", "correct": "flag", "cluster": "text"}, rows)
    kept = read(tmp_path)
    assert kept["test"].sources is None and sum(kept["test"].right) == 47
    models = {"teacher": answered(range(5), n=50), "student": answered(range(3), n=50)}
    [section] = sections_of(evaluations_of(models, ["a", "b"], []), "")
    teacher, student = section.models
    plain = gain_of(student, teacher, section.main, "test", 0.02)
    student.rows.update(kept)
    assert gain_of(student, teacher, section.main, "test", 0.02) == plain
    (tmp_path / "rows.parquet").write_bytes(b"no parquet")
    assert read(tmp_path) == {} == read(None)


@pytest.mark.parametrize("within", [0.0, 0.02, 0.5])
def test_the_bound_is_said_as_it_is(within):
    _, said = ruled({"teacher": TEACHER, "student": answered(range(100), size=3)}, within)
    assert f"at most {100 * within:.3g} points of exact match" in said
