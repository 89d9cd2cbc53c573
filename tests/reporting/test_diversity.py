"""How varied generated texts are: a table where it was measured, a sentence where nobody looked."""

from __future__ import annotations

from potstill.engine.context import Ancestor
from potstill.reporting.diversity import NOT_MEASURED, diversity_table, parted, unmeasured
from potstill.reporting.model_table import Evaluation
from potstill.reporting.number_formats import NONE

MEASURED = {
    "rows": 2_000,
    "distinct": {"1": 0.6, "2": 0.85},
    "ngrams": {"1": 10},
    "words": {"p50": 5.0},
    "self_rouge_l": 0.25,
}


def evaluation(**metrics):
    return Evaluation("texts", "step", metrics, None)


def test_what_diversity_measured_is_a_line_and_other_figures_stay_apart():
    varied, others = parted([evaluation(**MEASURED), evaluation(words=3)])
    assert [one.metrics for one in others] == [{"words": 3}]
    [line] = diversity_table(varied).lines
    assert line == ("texts", "2,000", "60.0\u202f%", "85.0\u202f%", "0.25", "5.00", NONE)
    assert diversity_table([]) is None


def test_it_is_said_where_a_teacher_wrote_texts_and_nobody_looked():
    written = [Ancestor("tasks", "SelfInstruct", "k", (), {})]
    assert unmeasured([], written) == NOT_MEASURED
    assert unmeasured([evaluation(**MEASURED)], written) == ""
    assert unmeasured([], [Ancestor("rows", "LoadSeeds", "k", (), {})]) == ""
