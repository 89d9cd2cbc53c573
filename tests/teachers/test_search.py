"""Searches for outputs: they find what transformers' own search finds, and no output depends on its batch."""

import json

import pytest
import torch

import tiny
import translating
from potstill.prompts import render
from potstill.teachers.search import Decoder, Hypothesis, Search

MESSAGES = [render("answer.jinja", row) for row in translating.rows()]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """An encoder-decoder that has half learned its task, and a random causal model."""
    return {
        "t5": translating.learned(tmp_path_factory.mktemp("t5"), steps=25),
        "causal": tiny.causal_lm(tmp_path_factory.mktemp("causal"), layers=1),
    }


def own(folder, ids, **settings):
    """Return texts and scores of transformers' own search for one prompt."""
    decoder = Decoder(folder, "float32", 1)
    result = decoder.model.generate(
        torch.tensor([ids]),
        max_new_tokens=8,
        eos_token_id=2,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_scores=True,
        **({"decoder_start_token_id": 0} if decoder.two_sided else {}),
        **settings,
    )
    start = 1 if decoder.two_sided else len(ids)
    return [decoder.tokenizer.decode(row[start:], skip_special_tokens=True) for row in result.sequences], result


@pytest.mark.parametrize("kind", ["t5", "causal"])
def test_a_beam_is_that_of_transformers_with_its_scores(folders, kind):
    decoder = Decoder(folders[kind], "float32", 1)
    prompts = [decoder.ids(messages) for messages in MESSAGES[:3]]
    search = Search("beam", beams=4, length_penalty=0.6, max_tokens=8)
    # together, so that padding and neighbours would show
    for ids, actual in zip(prompts, decoder.write(prompts, search, [0] * 3), strict=True):
        texts, result = own(folders[kind], ids, num_beams=4, num_return_sequences=4, length_penalty=0.6)
        assert [one.text for one in actual] == texts
        scores = [one.score(0.6) for one in actual]
        assert scores == pytest.approx(result.sequences_scores.tolist(), abs=1e-4)
        assert search.ranked(actual)[0].finish_reason == "stop" or all(one.finish_reason == "length" for one in actual)


@pytest.mark.parametrize("kind", ["t5", "causal"])
def test_greedy_takes_the_most_probable_tokens_and_tells_their_probability(folders, kind):
    decoder = Decoder(folders[kind], "float32", 1)
    prompts = [decoder.ids(messages) for messages in MESSAGES[:3]]
    for ids, [actual] in zip(prompts, decoder.write(prompts, Search(max_tokens=8), [0] * 3), strict=True):
        [text], result = own(folders[kind], ids, do_sample=False)
        assert actual.text == text
        logprobs = [float(step[0].log_softmax(-1).max()) for step in result.scores]
        assert (actual.tokens, actual.logprob) == (len(logprobs), pytest.approx(sum(logprobs), abs=1e-3))


def test_what_is_drawn_depends_on_the_seed_not_on_the_batch(folders):
    decoder = Decoder(folders["t5"], "float32", 1)
    prompts = [decoder.ids(messages) for messages in MESSAGES[:4]]
    search = Search("best_of", temperature=1.5, max_tokens=8)
    together = decoder.write(prompts, search, [1, 2, 3, 4])
    for number in (3, 0):
        [alone] = decoder.write([prompts[number]], search, [number + 1])
        assert alone[0].text == together[number][0].text
        assert alone[0].logprob == pytest.approx(together[number][0].logprob, abs=1e-3)
    others = {decoder.write([prompts[1]], search, [seed])[0][0].text for seed in range(6)}
    assert len(others) > 1


def test_a_models_own_settings_are_left_out_but_for_what_it_needs_to_write(folders, tmp_path):
    plain = folders["t5"]
    for path in plain.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    settings = json.loads((plain / "generation_config.json").read_text())
    changed = settings | {"repetition_penalty": 9.0, "min_length": 7, "num_beams": 3, "forced_bos_token_id": 40}
    (tmp_path / "generation_config.json").write_text(json.dumps(changed))
    search = Search(max_tokens=6)
    first, second = (Decoder(folder, "float32", 1) for folder in (plain, tmp_path))
    ids = first.ids(MESSAGES[1])
    second._kept["forced_bos_token_id"] = None
    assert first.write([ids], search, [0]) == second.write([ids], search, [0])
    forced = Decoder(tmp_path, "float32", 1).write([ids], search, [0])[0][0]
    assert forced.text.startswith(first.tokenizer.decode([40]))


def test_a_learned_translation_ends_by_itself(tmp_path):
    decoder = Decoder(translating.learned(tmp_path, "bart"), "float32", 1)
    rows = translating.rows()
    prompts = [decoder.ids(messages) for messages in MESSAGES]
    for search in (Search(max_tokens=20), Search("beam", beams=2, max_tokens=20)):
        best = [search.ranked(actual)[0] for actual in decoder.write(prompts, search, [0] * 8)]
        assert [(one.text, one.finish_reason) for one in best] == [(row["output"], "stop") for row in rows]
    assert "the model has 64 places" in decoder.refusal(prompts[0], 64)
    assert decoder.refusal(prompts[0], 63) == ""


def test_whole_outputs_rank_before_cut_ones_and_by_their_score():
    cut, long, short = (
        Hypothesis("cut", "length", -0.1, 4),
        Hypothesis("long", "stop", -4.0, 8),
        Hypothesis("short", "stop", -3.0, 3),
    )
    assert [one.text for one in Search(length_penalty=1.0).ranked([cut, short, long])] == ["long", "short", "cut"]
    assert [one.text for one in Search(length_penalty=0.0).ranked([cut, long, short])] == ["short", "long", "cut"]
    unknown = Hypothesis("unknown", "stop", float("nan"), 3)
    assert Search().ranked([unknown, cut, long])[1] is unknown


def test_the_journals_key_of_a_search_names_what_changes_its_outputs_only():
    assert Search(beams=3).identity() == Search(beams=9, length_penalty=0.1).identity()
    assert Search("best_of", samples=3).identity() == Search("best_of", samples=9).identity()
    assert Search("beam", beams=3).identity() != Search("beam", beams=4).identity()
    assert Search("best_of", temperature=0.5).identity() != Search("best_of").identity()
