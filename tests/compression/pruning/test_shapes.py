from __future__ import annotations

from dataclasses import replace

import pytest
from transformers import AutoConfig

from cutting import model
from potstill.compression.architecture import architecture_for
from potstill.compression.pruning.shapes import Shape, problems, shape_of, shared, with_heads

QWEN = Shape(layers=28, hidden=1024, units=3072, heads=16, groups=8, head_size=128)
MINILM = Shape(layers=6, hidden=384, units=1536, heads=12, groups=12, head_size=32)


def arch(kind):
    return architecture_for(AutoConfig.for_model(kind))


def wrong(kind, old, align=64, **sizes):
    heads = sizes.pop("heads", old.heads)
    return list(problems(kind, arch(kind), old, replace(with_heads(old, heads), **sizes), align))


@pytest.mark.parametrize("kind", ["qwen3", "llama", "gpt2", "bert"])
def test_the_sizes_of_a_model(kind):
    shape = shape_of(model(kind))
    groups = {"qwen3": 4, "llama": 2}.get(kind, 4)
    heads = 8 if kind == "qwen3" else 4
    assert shape == Shape(layers=3, hidden=32, units=48, heads=heads, groups=groups, head_size=8)


def test_widths_that_are_not_aligned_say_which_fit():
    assert wrong("qwen3", QWEN, units=2000) == [
        "intermediate_size=2000 is not a multiple of 64: take 1984 or 2048, or align=16"
    ]
    assert wrong("qwen3", QWEN, units=5000) == [
        "intermediate_size=5000: the model has 3072, so take a multiple of 64 from 64 to 3072"
    ]
    assert wrong("qwen3", QWEN, units=40) == ["intermediate_size=40 is not a multiple of 64: take 64, or align=8"]
    assert wrong("qwen3", QWEN, hidden=1000)[0].startswith("hidden_size=1000 is not a multiple of 64: take 960 or 1024")


def test_heads_go_in_whole_groups():
    assert wrong("qwen3", QWEN, heads=7)[0].startswith("heads=7 splits a key-value group: 2 query heads share")
    assert "2, 4, 6, 8, 10, 12, 14, 16" in wrong("qwen3", QWEN, heads=7)[0]
    assert wrong("qwen3", QWEN, heads=20) == ["heads=20: the model has 16, so take 1 to 16"]
    assert wrong("qwen3", QWEN, heads=10) == []


def test_types_without_a_head_size_keep_heads_and_channels_in_step():
    (problem,) = wrong("bert", MINILM, heads=8)
    assert "8 heads go with hidden_size=256, and hidden_size=384 with heads=12" in problem
    assert "llama and qwen3" in problem
    assert wrong("bert", MINILM, heads=8, hidden=256) == []
    assert wrong("qwen2", QWEN, hidden=960)[0].startswith("a model of type 'qwen2' has no head_dim")


def test_llama_wants_its_heads_to_divide_the_channels():
    llama = Shape(layers=2, hidden=1024, units=512, heads=8, groups=4, head_size=128)
    assert wrong("llama", llama, heads=6) == [
        "heads=6: the hidden_size of models of type 'llama', 1024, must be a multiple of its heads: take heads=2 or 4 "
        "or 8, or another hidden_size"
    ]


def test_heads_that_are_not_aligned():
    tiny = Shape(layers=2, hidden=128, units=512, heads=4, groups=4, head_size=32)
    assert wrong("qwen3", tiny, heads=3) == [
        "heads=3 of 32 features are 96, not a multiple of 64: take other heads, or align=32"
    ]


def test_a_share_is_rounded_to_what_fits():
    assert shared("qwen3", arch("qwen3"), QWEN, 0.3, 64) == replace(QWEN, units=2176, heads=12, groups=6)
    assert shared("bert", arch("bert"), MINILM, 0.5, 64) == replace(MINILM, units=768)
    llama = Shape(layers=2, hidden=1024, units=512, heads=8, groups=4, head_size=128)
    assert shared("llama", arch("llama"), llama, 0.3, 64).heads in (4, 8)
