from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from potstill.compression.agreement import agreement


def head(vocab: int = 3) -> nn.Linear:
    layer = nn.Linear(vocab, vocab, bias=False)
    layer.weight.data = torch.eye(vocab)
    return layer


def test_equal_states_agree():
    states = [torch.randn(300, 3), torch.randn(4, 3)]
    assert agreement(head(), states, states) == {"kl": 0.0, "top1": 1.0}


def test_divergence_by_hand():
    before, after = torch.tensor([0.5, 0.25, 0.25]), torch.tensor([0.25, 0.5, 0.25])
    actual = agreement(head(), [before.log()[None]], [after.log()[None]])
    assert actual["kl"] == pytest.approx(0.25 * math.log(2))
    assert actual["top1"] == 0.0
