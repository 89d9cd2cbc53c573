from __future__ import annotations

from potstill.compression.quantization.wide_layers import left_wide

HARM = {"a": 0.02, "b": 0.3, "c": 0.05} | {f"other {number}": 0.001 for number in range(40)}
WEIGHTS = dict.fromkeys(HARM, 10)


def test_those_harmed_far_more_than_others_stay_wide_as_far_as_the_budget_goes():
    # the mean harm of a layer is 0.0095: "a" has twice of it, "c" five times
    assert left_wide(HARM, WEIGHTS, HARM, budget=100) == ["b", "c"]
    assert left_wide(HARM, WEIGHTS, HARM, budget=15) == ["b"]
    assert left_wide(HARM, WEIGHTS, HARM, budget=5) == []


def test_only_those_that_may_stay_do():
    assert left_wide(HARM, WEIGHTS, {"c", "a"}, budget=100) == ["c"]


def test_where_all_are_harmed_alike_none_stays():
    harm = dict.fromkeys("abcdefgh", 0.1)
    assert left_wide(harm, dict.fromkeys(harm, 10), harm, budget=1000) == []


def test_a_large_layer_must_be_harmed_more_than_a_small_one():
    harm = {"small": 0.1, "large": 0.1} | {f"other {number}": 0.001 for number in range(90)}
    weights = dict.fromkeys(harm, 10) | {"large": 400}
    assert left_wide(harm, weights, harm, budget=1000) == ["small"]


def test_a_model_that_8_bits_hardly_harm_keeps_them_everywhere():
    harm = {path: own * 1e-3 for path, own in HARM.items()}
    assert left_wide(harm, WEIGHTS, HARM, budget=100) == []
