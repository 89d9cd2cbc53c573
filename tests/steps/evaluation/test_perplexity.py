"""EvaluatePerplexity: the model's own loss, every token once, and errors that say what is wrong."""

import math

import pytest
import torch

import learning
import tiny
from potstill.errors import BadInput
from potstill.metrics.perplexity import Stream, document_windows, measured, stream
from potstill.steps.evaluation.perplexity import EvaluatePerplexity

TEXTS = [f"turn on the light in room {number} please" for number in range(20)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("model"))


def measure(folder, model, sets, **fields):
    given = {name: learning.dataset([{"text": text} for text in texts]) for name, texts in sets.items()}
    return EvaluatePerplexity(str(model), None, **fields).run(str(model), given, learning.context(folder))


def test_windows_predict_every_token_but_the_first_once():
    windows = list(Stream(list(range(10)), 0).windows(4))
    assert windows == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert [token for window in Stream(list(range(9)), 0).windows(4) for token in window[1:]] == list(range(1, 9))


def test_the_interval_is_that_of_the_windows_means():
    loss = measured([(10.0, 5), (20.0, 5), (15.0, 5)], 30)
    assert loss.figures()["loss"] == pytest.approx(3.0)
    # windows' means are 2, 4 and 3: their standard error is 1 / sqrt(3)
    assert loss.deviation == pytest.approx(1 / math.sqrt(3))
    assert loss.figures()["bits_per_byte"] == pytest.approx(45 / math.log(2) / 30)
    assert math.isnan(measured([(10.0, 5)], 30).deviation)


def test_the_figure_is_the_models_own_loss(tmp_path, model):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    result = measure(tmp_path, model, {"test": TEXTS}, window=64, batch_size=3)
    tokens = stream(AutoTokenizer.from_pretrained(model), TEXTS, "\n\n").tokens
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype="auto").eval()
    total = 0.0
    for start in range(0, len(tokens) - 1, 63):
        ids = torch.tensor([tokens[start : start + 64]])
        total += float(loaded(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
    figures = result["sets"]["test"]
    assert figures["tokens"] == len(tokens) - 1
    assert figures["loss"] == pytest.approx(total / (len(tokens) - 1), rel=2e-3)
    assert figures["perplexity_low"] < figures["perplexity"] < figures["perplexity_high"]
    assert result["tokens_per_s"] > 0 and result["parameters"] > 1000


def test_all_that_is_wrong_is_said_together(tmp_path, model):
    with pytest.raises(BadInput) as actual:
        measure(tmp_path, model, {"empty": [""], "test": TEXTS}, window=1024)
    assert "'empty' has no text in 'text'" in str(actual.value)
    assert "window is 1024, but the model reads 512" in str(actual.value)


@pytest.mark.slow
def test_document_by_document_it_is_lm_evaluation_harness_s_figure(tmp_path, model):
    pytest.importorskip("lm_eval")
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    # the last is longer than the model reads
    texts = [*TEXTS[:5], "Привет, 東京 and\n\ntwo  spaces", " ".join(TEXTS * 8)]
    task = {
        "task": "reading",
        "output_type": "loglikelihood_rolling",
        "custom_dataset": lambda **_: {"test": learning.dataset([{"text": text} for text in texts])},
        "test_split": "test",
        "doc_to_text": "",
        "doc_to_target": "{{text}}",
        "metric_list": [{"metric": name} for name in ("word_perplexity", "byte_perplexity", "bits_per_byte")],
    }
    theirs = simple_evaluate(
        HFLM(str(model), device="cpu", dtype="float32"),
        tasks=[task],
        task_manager=TaskManager(include_defaults=False),
        bootstrap_iters=0,
    )["results"]["reading"]
    metrics = measure(tmp_path, model, {"test": texts}, window=512, documents=True)
    figures = metrics["sets"]["test"]
    for name in ("word_perplexity", "byte_perplexity", "bits_per_byte"):
        assert figures[name] == pytest.approx(theirs[f"{name},none"], rel=1e-3)
    assert len(figures["row_scores"]) == len(texts)
    joined = measure(tmp_path / "joined", model, {"test": texts}, window=512)["sets"]["test"]
    assert joined["bits_per_byte"] != pytest.approx(figures["bits_per_byte"], rel=1e-3)


def test_the_loss_of_each_window_or_document_is_kept(tmp_path, model):
    import pandas

    for documents in (False, True):
        folder = tmp_path / str(documents)
        metrics = measure(folder, model, {"test": TEXTS[:6]}, window=16, documents=documents)["sets"]["test"]
        rows = pandas.read_parquet(next(folder.rglob("rows.parquet")))
        total = (rows.score_loss * rows.completion_tokens).sum()
        assert rows.completion_tokens.sum() == metrics["tokens"]
        assert total / metrics["tokens"] == pytest.approx(metrics["loss"])
        assert ("words" in rows.columns) == documents
        assert not documents or list(rows.input) == TEXTS[:6]


def test_windows_of_a_document_predict_each_token_once_and_read_as_much_as_they_may():
    for length in range(1, 12):
        tokens = list(range(1, length + 1))
        windows = list(document_windows(tokens, 0, 4))
        assert [token for window, scored in windows for token in window[len(window) - scored :]] == tokens
        assert all(len(window) == min(length, 4) + 1 for window, _ in windows)
