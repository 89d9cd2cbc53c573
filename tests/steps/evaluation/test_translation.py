"""EvaluateTranslation: right figures for a model that is known, and errors that name the row."""

import pyarrow.parquet
import pytest

import learning
import translating
from potstill.errors import BadInput
from potstill.metrics.kept_rows import FILE
from potstill.steps.evaluation.translation import EvaluateTranslation


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return translating.learned(tmp_path_factory.mktemp("model"), "bart")


def measure(folder, model, sets, **fields):
    context = learning.context(folder)
    given = {name: learning.dataset(rows) for name, rows in sets.items()}
    return EvaluateTranslation(str(model), None, max_tokens=20, **fields).run(str(model), given, context), context


def test_what_was_learned_by_heart_gets_full_marks_by_either_search(tmp_path, model):
    known = translating.rows()
    wrong = [row | {"output": "etwas ganz anderes steht hier"} for row in known]
    for method in ("greedy", "beam"):
        result, context = measure(tmp_path / method, model, {"known": known, "wrong": wrong}, method=method, beams=2)
        good, bad = result["sets"]["known"], result["sets"]["wrong"]
        assert (good["n"], good["cut"]) == (8, 0)
        assert (good["bleu"], good["chrf"], good["length_ratio"]) == pytest.approx((100, 100, 1))
        assert bad["bleu"] < 5 and bad["chrf"] < 40
        assert good["examples"][0] == {"output": known[0]["output"], "reference": known[0]["output"]}
        assert result["tokens_per_s"] > 0 and result["parameters"] > 1000 and result["engine"]["method"] == method
        assert context.ledger.counts()["kept"] == 16
        kept = pyarrow.parquet.read_table(context.out / FILE).to_pylist()
        assert [row["set"] for row in kept] == ["known"] * 8 + ["wrong"] * 8
        assert [row["score_chrf"] for row in kept[:8]] == good["row_scores"]
        assert (kept[0]["answer"], kept[8]["gold"]) == (known[0]["output"], wrong[0]["output"])


def test_rows_that_cant_be_measured_are_named_together(tmp_path, model):
    rows = [*translating.rows(2), {"id": "long", "instruction": "q" * 200, "output": "x"}]
    rows[0]["output"] = None
    with pytest.raises(BadInput) as actual:
        measure(tmp_path, model, {"test": rows, "empty": []})
    text = str(actual.value)
    assert "row '0' of the test set 'test': 'output' must be text" in text
    assert "row 'long' of the test set 'test': 201 tokens of the prompt" in text and "'empty' has no rows" in text


def test_no_test_sets_are_refused_before_anything_runs():
    assert "no test sets" in "".join(problem.message for problem in EvaluateTranslation("x", {}).check())
