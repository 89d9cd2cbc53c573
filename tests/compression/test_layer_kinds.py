"""Which layers stay keeps the kinds that a model alternates, and its config says so."""

import pytest
import transformers

from potstill.compression.layer_kinds import cut_config, lost, most, spread
from potstill.errors import BadInput


@pytest.mark.parametrize(
    ("kinds", "every", "kept"),
    [
        ("aaaa", 2, (0, 2)),
        ("abab", 2, (0, 1)),
        ("aaabaaab", 2, (0, 2, 3, 5)),
        ("daaaaa", 2, (0, 2, 4)),
        ("aabaab", 2, (0, 2, 4)),
        ("ab", 1, (0, 1)),
    ],
)
def test_every_nth_layer_holds_every_kind(kinds, every, kept):
    assert spread(kinds, every) == kept
    assert not lost(kinds, kept)


@pytest.mark.parametrize(
    ("kinds", "scores", "count", "kept"),
    [
        ("aaaa", [3, 1, 2, 4], 2, (0, 3)),
        ("abab", [9, 1, 8, 2], 2, (0, 3)),
        ("aaabaaab", [9, 8, 7, 1, 6, 5, 4, 2], 4, (0, 1, 2, 7)),
    ],
)
def test_the_highest_scores_within_each_kind(kinds, scores, count, kept):
    assert most(kinds, scores, count) == kept


def test_fewer_layers_than_kinds_are_refused():
    with pytest.raises(BadInput, match="1 layers can't hold the 2 kinds"):
        most("abab", [1, 2, 3, 4], 1)


def test_numbers_of_layers_are_renumbered():
    config = transformers.Qwen3MoeConfig(num_hidden_layers=6, decoder_sparse_step=2, mlp_only_layers=[3])
    cut_config(config, (1, 2, 3, 5), 6)  # of old layers 1 and 5 have experts
    assert (config.decoder_sparse_step, config.mlp_only_layers, config.num_hidden_layers) == (1, [1, 2], 4)
    config = transformers.DeepseekV3Config(num_hidden_layers=6, first_k_dense_replace=3)
    cut_config(config, (0, 2, 4), 6)
    assert config.first_k_dense_replace == 2
    config = transformers.GPTNeoConfig(num_layers=4, attention_types=[[["global", "local"], 2]])
    cut_config(config, (1, 2), 4)
    assert config.attention_layers == ["local", "global"] and config.attention_types == [
        [["local"], 1],
        [["global"], 1],
    ]


@pytest.mark.parametrize(
    "config",
    [
        transformers.GPT2Config(n_layer=4, scale_attn_by_inverse_layer_idx=True),
        transformers.Gemma3nTextConfig(num_hidden_layers=4, num_kv_shared_layers=2, layer_types=["full_attention"] * 4),
    ],
)
def test_layers_tied_to_others_or_to_their_numbers_are_refused(config):
    with pytest.raises(BadInput, match="keep all layers"):
        cut_config(config, (0, 2), 4)
