from __future__ import annotations

import math

import pytest
import torch

import exported
from potstill.exporting.logprobs import chosen
from potstill.exporting.probe import Answers, InMemory, answers_of, own_texts, probe_of


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return exported.source(exported.causal(tmp_path_factory.mktemp("probe")))


def test_perplexity_is_that_of_cross_entropy(source):
    ids = exported.ids()
    answers = answers_of(InMemory(source.model, source.tokenizer), probe_of([(ids, 0)]))
    given = torch.tensor([ids])
    with torch.no_grad():
        loss = source.model(input_ids=given, labels=given).loss
    assert answers.perplexity == pytest.approx(math.exp(loss), rel=1e-5)
    assert answers.scored == len(ids) - 1


def test_log_probabilities_without_torch_are_the_same(source):
    ids = exported.ids()
    with torch.no_grad():
        logits = source.model(input_ids=torch.tensor([ids])).logits[0, :-1]
    expected = InMemory(source.model, source.tokenizer).log_probabilities(ids)
    assert chosen(logits.numpy(), ids[1:]) == pytest.approx(expected, abs=1e-4)


def test_greedy_continuation_is_that_of_generate_and_stops_at_the_end(source):
    ids = exported.ids(6)
    result = source.model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)[0, 6:].tolist()
    memory = InMemory(source.model, source.tokenizer)
    assert list(memory.continued(ids, 12)) == result
    source.model.generation_config.eos_token_id = result[2]
    try:
        assert list(memory.continued(ids, 12)) == result[: result.index(result[2]) + 1]
    finally:
        source.model.generation_config.eos_token_id = source.tokenizer.eos_token_id


def test_own_texts_are_likelier_than_random_ones_and_the_same_again(source):
    texts = own_texts(source.model, seed=0)
    assert texts == own_texts(source.model, seed=0)
    assert texts != own_texts(source.model, seed=1)
    memory = InMemory(source.model, source.tokenizer)
    random = torch.randint(0, source.model.config.vocab_size, (8, 48)).tolist()
    assert (
        answers_of(memory, probe_of(texts)).perplexity
        < answers_of(memory, probe_of([(ids, 4) for ids in random])).perplexity
    )


@pytest.mark.parametrize(("surprise", "perplexity"), [(0.0, 1.0), (1e9, math.inf)])
def test_a_surprise_without_bounds_has_a_perplexity(surprise, perplexity):
    assert Answers(surprise, 10, (), ()).perplexity == perplexity


def test_a_surprise_that_is_no_number_has_a_perplexity_that_is_none():
    assert math.isnan(Answers(math.nan, 10, (), ()).perplexity)


def test_what_is_given_is_not_scored_and_is_the_prompt(source):
    ids = exported.ids(20)
    probe = probe_of([(ids, 15)])
    memory = InMemory(source.model, source.tokenizer)
    answers = answers_of(memory, probe)
    assert answers.scored == 5
    assert answers.surprise == pytest.approx(-sum(memory.log_probabilities(ids)[-5:]))
    assert probe.prompts == (tuple(ids[:15]),)
