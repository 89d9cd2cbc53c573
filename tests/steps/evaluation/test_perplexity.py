"""EvaluatePerplexity: the model's own loss, every token once, and errors that say what is wrong."""

import math

import pytest
import torch

import learning
import tiny
from potstill.errors import BadInput
from potstill.metrics.perplexity import Stream, measured, stream
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
