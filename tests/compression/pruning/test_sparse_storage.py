from __future__ import annotations

import torch

from potstill.compression.pruning.sparse_storage import sparse_storage, total


def test_formats_by_hand():
    weight = torch.zeros(4, 8, dtype=torch.bfloat16)
    weight[0, 1] = weight[2, 7] = weight[3, 0] = 1.5
    actual = sparse_storage(weight)
    assert actual.dense == 64
    assert actual.csr == 3 * 2 + 3 * 2 + 5 * 4
    assert actual.bitmask == 3 * 2 + 4
    assert sparse_storage(torch.ones(2, 70_000)).csr == 140_000 * (4 + 4) + 12


def test_csr_has_as_many_numbers_as_torchs():
    weight = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    weight[weight.abs() < 0.7] = 0
    sparse = weight.to_sparse_csr()
    bytes_of = 4 * len(sparse.values()) + 2 * len(sparse.col_indices()) + 4 * len(sparse.crow_indices())
    assert sparse_storage(weight).csr == bytes_of


def test_at_half_the_weights_csr_saves_nothing_in_16_bits_and_the_others_do():
    weight = torch.randn(64, 256, generator=torch.Generator().manual_seed(0)).bfloat16()
    weight[:, ::2] = 0
    one, both = sparse_storage(weight), total([weight, weight])
    assert one.csr > one.dense > one.bitmask > one.dense / 2
    assert one.zstd < one.dense
    assert vars(both) == {name: 2 * size for name, size in vars(one).items()}
