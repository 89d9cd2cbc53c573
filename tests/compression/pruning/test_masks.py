from __future__ import annotations

import pytest
import torch

from potstill.compression.pruning import masks
from potstill.compression.pruning.nm_pattern import NM, check_widths, parse
from potstill.errors import BadInput


def test_patterns_by_name():
    assert parse("unstructured") is None
    assert parse("2:4") == NM(2, 4)
    assert parse("1:4").sparsity == 0.75


@pytest.mark.parametrize("text", ["4:4", "0:4", "5:4", "2-4", "half", "2:4:8", ""])
def test_what_is_no_pattern_is_refused(text):
    with pytest.raises(BadInput, match=r"is no pattern: give 'unstructured', or N:M with 0 < N < M"):
        parse(text)


def test_runs_that_do_not_divide_the_widths_are_told_those_that_do():
    check_widths({"a": 8, "b": 24}, 4, "pattern 2:4")
    with pytest.raises(
        BadInput, match=r"pattern 2:16 takes runs of 16 .* b has 24; runs that fit all layers: 2, 4, 8$"
    ):
        check_widths({"a": 16, "b": 24}, 16, "pattern 2:16")


def test_of_every_group_the_highest_stay():
    score = torch.tensor([[4.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 9.0]])
    assert masks.by_pattern(score, NM(2, 4)).int().tolist() == [[1, 0, 0, 1, 0, 0, 1, 1]]


@pytest.mark.parametrize("count", [0, 1, 7, 63, 100, 191])
def test_the_lowest_of_several_layers_are_those_of_one_sorted_list(count):
    generator = torch.Generator().manual_seed(0)
    # rounded to few values, so that the threshold falls into ties
    layers = [(torch.rand(shape, generator=generator) * 20).round() / 7 for shape in ((4, 16), (8, 8), (2, 32))]
    actual = list(masks.among([lambda score=score: score for score in layers], [1, 1, 1], count))
    order = torch.cat([score.flatten() for score in layers]).sort(stable=True).indices[:count]
    expected = torch.ones(192, dtype=torch.bool)
    expected[order] = False
    assert torch.equal(torch.cat([mask.flatten() for mask in actual]), expected)


def test_groups_go_as_a_whole_and_never_too_many():
    # 3 weights behind each score of the first layer, 2 behind each of the second
    layers = [torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0, 2.0, 9.0]])]
    actual = list(masks.among([lambda: layers[0], lambda: layers[1]], [3, 2], 6))
    assert [mask.int().tolist() for mask in actual] == [[[0, 1]], [[0, 1, 1]]]


def test_nothing_and_a_share_out_of_range():
    assert (masks.share_of(100, 0.29), masks.share_of(1000, 1 - 1e-12), masks.share_of(0, 0.5)) == (29, 999, 0)
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        masks.share_of(100, 1.0)
