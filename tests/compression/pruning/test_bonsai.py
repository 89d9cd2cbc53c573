from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch

import compressing
from cutting import ids, model
from potstill.compression.loss import batches_of, minus_perplexity
from potstill.compression.pruning.bonsai import Goal, candidates, cut, goals, priors, regressed
from potstill.compression.pruning.gates import gated
from potstill.compression.pruning.shapes import shape_of

BATCHES = batches_of([(row, 0) for row in ids()])


def test_the_prior_is_wandas_score_of_the_weights_that_read_a_part():
    result = model("llama")
    read = []
    handle = result.model.layers[0].mlp.down_proj.register_forward_pre_hook(lambda _, args: read.append(args[0]))
    units, groups = priors(result, [ids()])
    handle.remove()
    norms = read[0].reshape(-1, 48).norm(dim=0)
    weight = result.model.layers[0].mlp.down_proj.weight.abs()
    assert torch.allclose(units[0], (weight * norms).mean(0), rtol=1e-5)
    assert [len(one) for one in groups] == [2, 2, 2]


def test_any_figure_of_merit_decides_what_goes():
    """Units that write where the figure does not look are worthless to it, however large their weights are."""
    result = model("llama", num_hidden_layers=1)
    down = result.model.layers[0].mlp.down_proj
    useless = torch.randperm(48, generator=torch.Generator().manual_seed(3))[:24]
    down.weight.data[:16, useless] = 0
    down.weight.data[16:, useless] *= 5
    seen = []
    down.register_forward_hook(lambda *args: seen.append(args[2][..., :16]))
    result(input_ids=ids())
    whole = seen[-1]

    def merit(tried, batches):
        with torch.no_grad():
            tried(input_ids=ids())
        return -float((seen[-1] - whole).square().sum())

    every = candidates(result, BATCHES, Goal(24, 2))
    actual = regressed(result, BATCHES, every, merit, 100, torch.Generator().manual_seed(0))
    assert len(set(every[0].kept(actual.worth).tolist()) & set(useless.tolist())) <= 3
    assert len(set(every[0].kept(every[0].prior).tolist()) & set(useless.tolist())) > 12
    assert actual.tau > 0.5 > actual.prior_tau


def test_what_is_cut_is_what_was_gated():
    result = model("qwen3")
    every = candidates(result, BATCHES, Goal(32, 2))
    losing = [one for one in every if one.gone]
    worth = torch.rand(sum(len(one.members) for one in losing), generator=torch.Generator().manual_seed(0))
    parts = worth.split([len(one.members) for one in losing])
    gates = []
    for one, part in zip(losing, parts, strict=True):
        stays = torch.isin(one.members, one.kept(part))
        gates.append(one.gate(stays))
    with gated([one.layer for one in losing], gates):
        masked = minus_perplexity(result, BATCHES)
    cut(result, every, worth)
    assert minus_perplexity(result, BATCHES) == pytest.approx(masked, rel=1e-4)
    assert (shape_of(result).units, shape_of(result).groups) == (32, 2)


def test_rounds_end_at_the_goal():
    result = goals(512, 4, Goal(256, 1), 0.1)
    assert result[-1] == Goal(256, 1)
    assert len(result) == 8
    assert all(first.units >= second.units and first.groups >= second.groups for first, second in pairwise(result))
    assert goals(512, 4, Goal(500, 4), 0.5) == [Goal(500, 4)]


def test_a_trained_model_loses_less_than_by_the_prior():
    from potstill.data import home
    from potstill.models import folder
    from potstill.steps.compression.calibration import calibration_texts

    loaded = folder.load(str(home.FOLDER / "teacher"))
    loaded.model.float()
    sizes = {"samples": 6, "max_length": 256, "seed": 0}
    drawn = calibration_texts(compressing.rows(), loaded.tokenizer, loaded.model.config, prompt="answer.jinja", **sizes)
    batches = batches_of(drawn.texts)
    old = shape_of(loaded.model)
    goal = Goal(old.units // 2, old.groups)
    by_prior, by_trying = copy.deepcopy(loaded.model), loaded.model
    cut(by_prior, candidates(by_prior, batches, goal), None)
    every = candidates(by_trying, batches, goal)
    actual = regressed(by_trying, batches, every, minus_perplexity, 24, torch.Generator().manual_seed(2))
    cut(by_trying, every, actual.worth)
    assert minus_perplexity(by_trying, batches) > minus_perplexity(by_prior, batches)
