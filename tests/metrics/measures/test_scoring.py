"""Several measures at once: nothing is lost, whatever a measure does; and what is wrong is said at once."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from potstill.errors import BadInput
from potstill.metrics import BLEU, ROUGE, TER, ChrF, ExactMatch, JSONFields, JSONSchema, Matches, TokenF1, score_rows
from potstill.metrics.answers import wilson
from potstill.metrics.measures.by_name import NAMED, measures_of
from potstill.metrics.measures.measure import CorpusMeasure, Measure, as_measure
from potstill.metrics.uncertainty.means import mean_interval

ANSWERS, GOLDS = ["Ulm", "in Bonn", "x"], ["Ulm", ["Bonn", "Berlin"], "y"]


def length(answer, gold):
    return len(answer)


def by_row(answer, gold, row):
    return row["weight"]


def test_a_table_of_rows_and_a_summary_with_intervals():
    actual = score_rows([ExactMatch(), TokenF1(), ChrF(), length], ANSWERS, GOLDS)
    assert actual.rows["exact_match"] == [1, 0, 0]
    assert actual.table()[1]["token_f1"] == pytest.approx(2 / 3)
    share = actual.summary["exact_match"]
    assert (share.value, share.low, share.high) == tuple(vars(wilson(1, 3)).values())
    assert share.interval == "wilson"
    f1 = mean_interval(actual.rows["token_f1"])
    assert (actual.summary["token_f1"].low, actual.summary["token_f1"].interval) == (max(0.0, f1.low), "student")
    assert actual.summary["chrf++"].signature.startswith("nrefs:var|")
    assert actual.summary["chrf++"].interval == "bootstrap"
    assert actual.figures()["length"]["value"] == pytest.approx(11 / 3)


def test_names_functions_and_measures_are_taken_together():
    assert list(measures_of("exact_match")) == ["exact_match"]
    named = measures_of(["ROUGE-L", "chrF++", length, lambda answer, gold: 1, TER(), ROUGE("1"), length])
    assert list(named) == ["rouge_l", "chrf++", "length", "<lambda>", "ter", "rouge_1", "length 2"]
    assert list(measures_of([JSONSchema({}), JSONSchema({"type": "null"})])) == ["json_schema", "json_schema 2"]
    assert all(isinstance(one, Measure) for one in named.values())
    assert isinstance(BLEU(), CorpusMeasure)
    assert not isinstance(as_measure(length), CorpusMeasure)


def test_a_function_may_look_at_the_row():
    rows = [{"weight": 2}, {"weight": True}, {"weight": np.float32(0.5)}]
    assert score_rows([by_row], ANSWERS, GOLDS, rows).rows["by_row"] == [2, 1, 0.5]
    assert score_rows([max], ["b"], ["a"]).summary["max"].failed == 1  # a text is no score
    assert score_rows([lambda *all_of_it: len(all_of_it)], ANSWERS, GOLDS).rows["<lambda>"] == [3, 3, 3]


@pytest.mark.parametrize("kind", [bool, np.bool_])
def test_a_function_that_says_yes_or_no_has_a_share(kind):
    def starts(answer, gold):
        return kind(answer[:1] == gold[:1])

    actual = score_rows([starts], ["ab", "b", "c"], ["a", "b", "d"]).summary["starts"]
    assert (actual.interval, actual.largest) == ("wilson", 1.0)
    assert (actual.value, actual.low, actual.high) == tuple(vars(wilson(2, 3)).values())
    mixed = iter([True, 0.5, None])
    other = score_rows([lambda answer, gold: next(mixed)], ["a"] * 3, ["b"] * 3).summary["<lambda>"]
    assert (other.interval, other.largest, other.n) == ("student", None, 2)


def test_unknown_measures_are_refused_with_the_nearest_name():
    with pytest.raises(BadInput) as raised:
        score_rows(["exact_mach", "rouge", "json_schema", ExactMatch, 3, "zzzz"], ANSWERS, GOLDS)
    said = str(raised.value)
    assert "no measure 'exact_mach', did you mean 'exact_match'?" in said
    assert "no measure 'rouge', did you mean 'rouge_" in said
    assert "write JSONSchema(schema)" in said
    assert "the class ExactMatch: call it, ExactMatch()" in said
    assert "not 3" in said
    assert "no measure 'zzzz'; known are" in said


def test_a_measure_that_raises_costs_its_score_alone():
    def fails(answer, gold):
        if answer == "x":
            raise KeyError("no x")
        return 1

    actual = score_rows([fails, "exact_match"], ANSWERS, GOLDS, [{"id": f"r{n}"} for n in range(3)])
    assert actual.rows["fails"] == [1, 1, None]
    summary = actual.summary["fails"]
    assert (summary.value, summary.n, summary.failed) == (1, 2, 1)
    assert summary.errors == ("row 'r2': KeyError: 'no x'",)
    assert actual.summary["exact_match"].n == 3

    def always(answer, gold):
        raise RuntimeError("\ud800")

    summary = score_rows([always], ANSWERS, GOLDS).summary["always"]
    assert (summary.value, summary.low, summary.n, summary.failed, len(summary.errors)) == (None, None, 0, 3, 3)


def test_a_figure_that_cannot_be_computed_costs_no_other_one():
    class Broken(BLEU):
        def corpus(self, answers, golds):
            raise ZeroDivisionError("no rows left")

    actual = score_rows([Broken(), "exact_match"], ANSWERS, GOLDS).summary
    assert actual["bleu"].value is None
    assert actual["bleu"].errors == ("all rows together: ZeroDivisionError: no rows left",)
    assert actual["exact_match"].value == pytest.approx(1 / 3)


def test_missing_and_impossible_scores_are_counted():
    scores = iter([None, math.nan, math.inf, 1.0])
    actual = score_rows([lambda answer, gold: next(scores)], ["a"] * 4, ["b"] * 4)
    summary = actual.summary["<lambda>"]
    assert actual.rows["<lambda>"] == [None, None, None, 1]
    assert (summary.n, summary.missing, summary.not_finite, summary.value) == (1, 1, 2, 1)


def test_rows_without_a_right_answer_have_no_score_by_measures_that_need_one():
    actual = score_rows(["exact_match", "bleu", Matches("a"), "valid_json"], ["a", "b", "c"], [None, [], "c"])
    assert (actual.summary["exact_match"].n, actual.summary["exact_match"].missing) == (1, 2)
    assert actual.summary["bleu"].n == 1
    assert actual.summary["matches(pattern=a)"].value == pytest.approx(1 / 3)
    assert actual.summary["valid_json"].n == 3
    none = score_rows(["exact_match", "bleu"], ["a"], [None]).summary
    assert none["bleu"].value is none["exact_match"].value is None


@pytest.mark.parametrize(
    ("answers", "golds", "options", "said"),
    [
        ([], [], {}, "the test set is empty"),
        (["a"], ["a", "b"], {}, "1 answers have 2 right answers"),
        (["a"], ["a"], {"rows": []}, "1 answers have 0 rows"),
        (["a"], ["a"], {"clusters": [1, 2]}, "1 answers have 2 clusters"),
        (["a", None], ["a", "b"], {}, "the answer of row 1 must be text, got None"),
        (["a"], [3], {}, "the right answer of row 0 must be text or a list of texts, got 3"),
        (["a"], [["b", 3]], {}, "the right answer of row 0"),
    ],
)
def test_what_does_not_fit_is_refused(answers, golds, options, said):
    with pytest.raises(BadInput, match=said):
        score_rows(["exact_match"], answers, golds, **options)


def test_no_measure_is_refused():
    with pytest.raises(BadInput, match="no measure is given"):
        score_rows([], ["a"], ["a"])


@pytest.mark.parametrize("measure", ["exact_match", "token_f1", "rouge_l", "bleu", "ter", "length"])
@pytest.mark.parametrize("right", [True, False])
def test_scores_that_are_all_the_same_have_an_honest_interval(measure, right):
    answers = ["the cat sat on it"] * 10
    given = length if measure == "length" else measure
    one = score_rows([given], answers, answers if right else ["quite another thing"] * 10).summary[measure]
    if measure in ("exact_match", "token_f1", "rouge_l"):
        assert one.low <= one.value <= one.high
        assert one.high - one.low > 0.2
        assert one.interval == "wilson"
    else:  # no bound that it is at, so nothing says how far other rows would be off
        assert one.low is one.high is None
        assert one.interval == ""


def test_a_single_row_has_a_figure():
    actual = score_rows(["token_f1", "bleu", "exact_match", length], ["a b"], ["a c"]).summary
    assert actual["token_f1"].value == 0.5
    assert actual["token_f1"].low is actual["bleu"].low is actual["length"].low is None
    assert actual["token_f1"].interval == actual["bleu"].interval == ""
    assert actual["exact_match"].low == 0


def test_rows_of_one_cluster_count_as_alike():
    clusters = [number // 20 for number in range(200)]
    right = "the cat sat on the mat"
    answers = [right if cluster % 2 else "a dog sat on the mat" for cluster in clusters]
    plain = score_rows(["exact_match", "bleu"], answers, [right] * 200).summary
    actual = score_rows(["exact_match", "bleu"], answers, [right] * 200, clusters=clusters).summary
    assert actual["exact_match"].interval == "clustered"
    for name in actual:
        assert actual[name].high - actual[name].low > 2 * (plain[name].high - plain[name].low)


EVERY = [one for one in NAMED if one not in {"label", "json_schema", "matches"}]


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_no_interval_leaves_the_scale_of_its_measure(seed, clustered):
    """Drawn answers, nearly all of them right or nearly all wrong, where Student's interval is too wide."""
    rng = np.random.default_rng(seed)
    golds = [f'{{"n": {number}}}' for number in range(int(rng.integers(2, 12)))]
    answers = [gold if rng.random() < rng.choice([0.1, 0.9]) else "other words 7" for gold in golds]
    clusters = rng.integers(0, 4, len(golds)).tolist() if clustered else None
    for name, one in score_rows(EVERY, answers, golds, clusters=clusters).summary.items():
        if one.low is not None and one.high is not None:
            most = math.inf if one.largest is None else one.largest
            assert 0 <= one.low <= one.value <= one.high <= most, name


def test_the_same_call_has_the_same_result():
    given = (["bleu", JSONFields()], ['{"a": 1}', '{"a": 2}', "x"], ['{"a": 1}'] * 3)
    assert score_rows(*given) == score_rows(*given)
    assert score_rows(*given).summary["json_fields"].parts == {"a": pytest.approx(1 / 3)}


def test_measures_load_nothing_heavy():
    script = (
        "import sys; from potstill.metrics import score_rows\n"
        "score_rows(['exact_match', 'token_f1', 'rouge_l', 'numeric_answer', 'valid_json'], ['1'], ['1'])\n"
        "heavy = {'torch', 'transformers', 'pyarrow', 'datasets', 'pandas', 'sacrebleu', 'jsonschema', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
