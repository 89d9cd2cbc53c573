"""Which model a report chooses, and its words: never good what is not, equals as equals, of equals the smallest."""

from __future__ import annotations

import itertools

import pytest

from potstill.metrics.answers import against_most_common, packed, wilson
from potstill.reporting.choice import choice_of
from potstill.reporting.model_table import evaluations_of, sections_of
from potstill.reporting.summary import praise, summary, tiles


def share(name, right, n):
    result = wilson(right, n)
    return {name: result.value, f"{name}_low": result.low, f"{name}_high": result.high}


def answered(right, n=500, size=None, figure="exact_match", rows=True, common=1, wrong_first=False):
    """Metrics of a model that gets `right` of `n` rows right, of which `common` have the most common answer."""
    bits = [number < right for number in range(n)]
    bits = bits[::-1] if wrong_first else bits
    gold = ["common"] * common + [f"answer {number}" for number in range(n - common)]
    own = {"row_right": packed(bits), "row_digest": "same", **against_most_common(gold, bits)} if rows else {}
    return {"sets": {"test": {"n": n, **share(figure, right, n), **own}}, "weights_bytes": size}


def read(losses, size=None, tokens=511, digest="same"):
    """Metrics of a model whose windows have these mean losses."""
    mean = sum(losses) / len(losses)
    figures = {"perplexity": 2.718281828**mean, "bits_per_byte": mean, "tokens": tokens * len(losses), "bytes": 9_000}
    return {"sets": {"test": {**figures, "row_scores": losses, "row_digest": digest}}, "weights_bytes": size}


def chosen(reference="", **models):
    names = [f"Evaluate({label})" for label in models]
    [section] = sections_of(evaluations_of(models, names, []), reference)
    return choice_of(section)


def words(**models):
    return " ".join(summary(chosen(**models)))


@pytest.mark.parametrize("figure", ["exact_match", "accuracy"])
@pytest.mark.parametrize("rows", [True, False])
def test_equal_models_count_as_equal_and_the_smallest_is_deployed(figure, rows):
    models = {
        "teacher": answered(476, size=24_000, figure=figure, rows=rows),
        "sparse": answered(454, size=9_000, figure=figure, rows=rows),
        "int4": answered(454, size=4_000, figure=figure, rows=rows),
        "tiny": answered(300, size=1_000, figure=figure, rows=rows),
    }
    choice = chosen(**models)
    assert choice.chosen.label == "int4"
    assert [model.label for model in choice.equals] == ["sparse", "int4"]
    assert praise(choice) == "smallest of 2 equal models"
    said = " ".join(summary(choice))
    assert "sparse and int4 count as equal" in said
    assert "The smallest is tiny" in said
    # 95.2 and 90.8 % of 500 rows: their intervals overlap, and they differ by more than chance
    assert "On test it is worse than teacher by more than chance" in said
    assert "overlap" not in said


@pytest.mark.parametrize("runtime", ["vllm 0.32", "llama.cpp 7"])
def test_only_speeds_of_one_runtime_are_put_beside_each_other(runtime):
    models = {"teacher": answered(476, size=24_000), "small": answered(476, size=4_000)}
    for label, speed, own in (("teacher", 50.0, "vllm 0.32"), ("small", 200.0, runtime)):
        models[label] |= {"tokens_per_s": speed, "engine": {"runtime": own}}
    names = [tile.name for tile in tiles(chosen(**models))]
    assert ("Tokens a second" in names) == (runtime == "vllm 0.32")


def test_zeros_that_are_stored_do_not_make_a_model_small():
    sparse = answered(454, size=9_000) | {"parameters": 1000, "nonzero_parameters": 100}
    assert (
        chosen(teacher=answered(476, size=24_000), sparse=sparse, int8=answered(454, size=5_000)).chosen.label == "int8"
    )


def test_a_smaller_model_that_is_worse_by_more_than_chance_is_not_chosen():
    models = {"teacher": answered(476, size=24_000), "a": answered(454, size=9_000), "b": answered(410, size=900)}
    assert chosen(**models).chosen.label == "a"


@pytest.mark.parametrize("order", list(itertools.permutations(["good", "alike", "zero"])))
def test_no_order_of_the_models_makes_a_useless_one_chosen(order):
    models = {"good": answered(400, size=9_000), "alike": answered(398, size=8_000), "zero": answered(0, size=10)}
    choice = chosen(teacher=answered(490, size=24_000), **{name: models[name] for name in order})
    assert choice.chosen.label == "alike"
    assert "zero" in choice.unusable
    assert "zero is not usable: 0.0\u202f% exact match on test" in " ".join(summary(choice))


def test_where_all_students_are_useless_none_is_praised():
    choice = chosen(
        teacher=answered(20, 20, size=24_000), hard=answered(0, 20, size=9_000), int4=answered(0, 20, size=4_000)
    )
    assert choice.chosen is None and praise(choice) == "" and tiles(choice) == []
    said = " ".join(summary(choice))
    assert said.startswith("No student is usable: hard has 0.0\u202f% exact match on test; int4 has 0.0\u202f%")
    assert "best" not in said


def test_where_the_teacher_is_useless_too_the_words_say_so():
    said = words(teacher=answered(0, size=24_000), int4=answered(0, size=4_000))
    assert said.startswith("No model is usable") and "teacher itself has 0.0\u202f%" in said


@pytest.mark.parametrize("right", [300, 290, 310])
def test_a_classifier_no_better_than_the_most_common_class_is_not_usable(right):
    # 300 of 500 rows have the most common label
    said = words(
        teacher=answered(480, figure="accuracy", size=24_000, common=300),
        student=answered(right, figure="accuracy", size=9_000, common=300, wrong_first=True),
    )
    assert said.startswith("No student is") and "the most common answer" in said


def test_a_classifier_of_older_figures_is_held_against_a_guess():
    student = answered(120, figure="accuracy", size=9_000, rows=False) | {"classes": 4}
    assert "no more than a guess among 4 classes" in words(
        teacher=answered(480, figure="accuracy", size=24_000, rows=False), student=student
    )


def test_a_model_far_from_the_teacher_is_not_called_the_best():
    said = words(teacher=answered(490, size=24_000), student=answered(60, size=9_000))
    assert said.startswith("No model comes near what teacher does: the nearest, student, has 12.0\u202f%")
    assert "best" not in said


def test_rows_too_few_for_any_test_are_called_too_few():
    few = {"teacher": answered(4, 4, size=24_000, rows=False), "a": answered(3, 4, size=9_000, rows=False)}
    for scores in few.values():
        scores["sets"]["test"] |= {
            "row_right": packed([True, True, True, scores is few["teacher"]]),
            "row_digest": "same",
        }
    assert "no test could tell any two of these models apart" in words(**few)
    # equality that no outcome could have refuted is none, so the smallest does not win by it
    assert [model.label for model in chosen(**few, b=answered(1, 4, size=900, rows=False)).equals] == ["a"]


def test_rows_too_few_to_show_that_a_model_is_good_do_not_show_that_it_is_bad():
    said = words(teacher=answered(4, 4, size=24_000), student=answered(3, 4, size=9_000))
    assert said.startswith(
        "No model is shown to be usable: student has 75.0\u202f% exact match on test, not shown to be"
    )
    assert said.endswith("give more test rows.")


def test_one_model_alone_is_held_against_nothing():
    assert words(teacher=answered(490, size=24_000)) == (
        "teacher reaches 98.0\u202f% exact match on test; there is no smaller model to compare it with."
    )
    assert "teacher is not usable" in words(teacher=answered(0, size=24_000))


def test_models_of_the_same_size_are_compared_though_none_is_small():
    said = words(hard=answered(400, size=9_000), soft=answered(460, size=9_000))
    assert said.startswith("The best of the other models is soft")
    assert "It is not smaller than hard" in said and "better than hard by more than chance" in said


BASE = [3.0 + number / 50 for number in range(40)]


def test_lower_perplexity_is_better_and_windows_are_paired():
    noise = [0.001 * (-1) ** number for number in range(40)]
    choice = chosen(
        given=read(BASE, 24_000),
        int8=read([loss + 0.02 + wobble for loss, wobble in zip(BASE, noise, strict=True)], 12_000),
        alike=read([loss + 0.02 - wobble for loss, wobble in zip(BASE, noise, strict=True)], 6_000),
        int4=read([loss + 0.3 + wobble for loss, wobble in zip(BASE, noise, strict=True)], 5_000),
    )
    # between windows the losses differ far more than between models, so only pairs tell int4 from the others
    assert [model.label for model in choice.equals] == ["int8", "alike"]
    assert choice.chosen.label == "alike"
    assert "it is worse than given by more than chance (a t-test on pairs" in " ".join(summary(choice))


def test_a_perplexity_twice_as_high_is_far_from_the_reference():
    said = words(given=read(BASE, 24_000), int4=read([loss + 0.9 for loss in BASE], 5_000))
    assert said.startswith("No model comes near") and "best" not in said


def test_other_tokens_are_compared_by_bits_a_byte():
    choice = chosen(given=read(BASE, 24_000), other=read(BASE[:30], 12_000, digest="other"))
    assert choice.section.main.name == "bits_per_byte"
    assert chosen(given=read(BASE, 24_000), same=read(BASE, 12_000)).section.main.name == "perplexity"


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), None])
def test_a_figure_that_is_no_number_is_no_good_model(broken):
    worse = read(BASE, 5_000)
    worse["sets"]["test"]["perplexity"] = broken
    choice = chosen(given=read(BASE, 24_000), broken=worse)
    assert choice.chosen is None
    assert "No student is usable: broken has no finite perplexity on test." in " ".join(summary(choice))


def test_a_teacher_that_is_not_usable_is_no_measure_of_the_others():
    said = words(teacher=answered(0, size=24_000), student=answered(300, size=9_000))
    assert said.startswith("teacher itself is not usable, so that being near to it says nothing: of the other models")
    assert "comes near" not in said
