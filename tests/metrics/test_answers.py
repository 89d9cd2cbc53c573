"""Metrics against closed forms, published values and NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from potstill.metrics.answers import Z95, exact_match, percentile, valid_json, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_newcombes_published_intervals(successes, trials, low, high):
    result = wilson(successes, trials)
    assert (round(result.low, 4), round(result.high, 4)) == (low, high)
    assert result.value == successes / trials


def test_wilson_has_closed_forms_at_both_ends():
    assert wilson(0, 50).high == pytest.approx(Z95**2 / (50 + Z95**2))
    assert wilson(50, 50).low == pytest.approx(50 / (50 + Z95**2))
    assert (wilson(0, 50).low, wilson(50, 50).high) == (0.0, 1.0)


def test_wilson_ends_solve_the_score_equation():
    result = wilson(37, 120)
    for end in (result.low, result.high):
        assert abs(result.value - end) == pytest.approx(Z95 * math.sqrt(end * (1 - end) / 120))


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_what_is_no_proportion(successes, trials):
    with pytest.raises(ValueError, match="is no proportion"):
        wilson(successes, trials)


@pytest.mark.parametrize(
    ("answer", "expected", "same"),
    [
        ('{"a":1,"b":[2,null]}', '{ "b": [2, null], "a": 1.0 }', True),
        ('{"a":1}', '{"a":true}', False),
        ('{"a":"1"}', '{"a":1}', False),
        ("[1,2]", "[2,1]", False),
        ("  yes\n", "yes", True),
        ("Yes", "yes", False),
        ('{"a":1', '{"a":1}', False),
        ('{"a":1', ' {"a":1', True),
        ("NaN", "NaN", True),
        ("", "{}", False),
    ],
)
def test_exact_match(answer, expected, same):
    assert exact_match(answer, expected) is same


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", '{"a":1} and more', "NaN", "[" * 100_000])
def test_no_json(text):
    assert not valid_json(text)


@pytest.mark.parametrize("text", ["{}", "null", ' {"a": [1.5, -2e3, "é"]} \n', '"\\ud800"'])
def test_json(text):
    assert valid_json(text)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.95, 1.0])
def test_percentile_is_that_of_numpy(share):
    values = [5.0, 1.0, 9.5, 2.25, 2.0, 7.0]
    assert percentile(values, share) == pytest.approx(np.quantile(values, share))


def test_percentile_of_nothing():
    with pytest.raises(ValueError, match="at least one value"):
        percentile([], 0.5)
