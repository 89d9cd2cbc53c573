"""Learned masks: what they are expected to leave, and how a model under them is the model that is cut."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import tiny
from potstill.compression.architecture import architecture_of, with_linear_layers
from potstill.compression.layerwise import block_layers
from potstill.compression.pruning import hard_concrete
from potstill.compression.pruning.l0_masks import COARSE_AND_FINE, GROUPS, HIDDEN, UNITS, Costs, L0Masks, Lagrangian
from potstill.compression.pruning.masked_model import Masked, build_in, cut, unevenness
from potstill.compression.pruning.shapes import Shape, shape_of

SMALL = Shape(layers=2, hidden=8, units=6, heads=4, groups=2, head_size=4)


def masks_of(shape, kinds, projections=2, **values):
    masks = L0Masks(shape, Costs.of(shape, projections), kinds)
    for kind, value in values.items():
        masks.scaled[kind].data.copy_(torch.as_tensor(value))
    return masks.eval()


def random(shape, kinds, spread=3.0):
    """Return masks of which about half are closed, for certain."""
    torch.manual_seed(0)
    masks = masks_of(shape, kinds)
    for parameter in masks.scaled.values():
        # log alpha is +-20
        parameter.data = torch.where(torch.rand_like(parameter) < 0.5, -22.0, 18.0)
        parameter.data[..., 0] = 18.0
    return masks


def test_the_expected_sparsity_is_that_of_the_simulation():
    torch.manual_seed(0)
    masks = masks_of(SMALL, (*COARSE_AND_FINE, HIDDEN)).train()
    for parameter in masks.scaled.values():
        parameter.data.uniform_(-4, 1)
    expected, simulated, rounds = float(masks.expected_sparsity()), 0.0, 500
    with torch.no_grad():
        for _ in range(rounds):
            masks.draw()
            simulated += 1 - float(masks.remaining({kind: (now > 0).float() for kind, now in masks.now.items()}))
    assert expected == pytest.approx(simulated / rounds, abs=0.02)


def test_parts_cost_the_weights_that_hang_on_them(tmp_path):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny.causal_lm(tmp_path))
    shape = shape_of(model)
    costs = Costs.of(shape, len(architecture_of(model).units))
    whole = shape.layers * shape.hidden * (shape.groups * costs.group + shape.units * costs.unit)
    assert whole == sum(layer.weight.numel() for layer in block_layers(model).values())
    masks = masks_of(shape, (UNITS,))
    masks.scaled[UNITS].data[0] = -100.0
    assert float(masks.expected_sparsity()) == pytest.approx(
        (shape.units * costs.unit * shape.hidden + 0.0) / whole, abs=0.02
    )


def test_as_much_stays_as_is_asked_for():
    location = torch.tensor([[9.0, -9.0, 8.0, -9.0, 7.0, -8.0], [-9.0, 9.0, -9.0, -7.0, -6.0, -9.0]])
    masks = masks_of(SMALL, (UNITS,), **{UNITS: location})
    two = masks.final({UNITS: 2})[UNITS]
    assert (two > 0).tolist() == [[True, False, True, False, False, False], [False, True, False, False, True, False]]
    # what had been closed by mistake is at least half open
    assert two[1, 4] == pytest.approx(0.5, abs=0.4)
    assert unevenness({UNITS: two}) == ""
    # of 12 units half go; blocks compete with each other
    share = 0.5 * 12 * 3 / (12 * 3 + 4 * Costs.of(SMALL, 2).group)
    half = masks.final(share)[UNITS]
    assert (half > 0).sum(-1).tolist() == [3, 3]
    assert unevenness(masks.final(share * 7 / 6)) == "blocks keep from 2 to 3 feed-forward units"


def test_of_sub_layers_those_that_are_likely_to_go_go_unless_that_is_too_much():
    masks = masks_of(SMALL, (*COARSE_AND_FINE,), attention=[-9.0, 5.0], feed_forward=[5.0, -8.0])
    masks.scaled[UNITS].data[0] = torch.arange(6) - 3.0
    most = masks.final(0.9)
    assert (most["attention"] > 0).tolist() == [False, True] and (most["feed_forward"] > 0).tolist() == [True, False]
    # a quarter is less than one of them: only units go, the least likely ones
    few = masks.final(0.03)
    assert all((few[kind] > 0).all() for kind in ("attention", "feed_forward", "groups"))
    assert (few[UNITS][0] > 0).tolist() == [False, True, True, True, True, True]
    # what is in between is met as far as whole parts go: at most a group or a sub-layer is left over
    torch.manual_seed(0)
    for kind in (GROUPS, UNITS):
        masks.scaled[kind].data.normal_()
    for goal in (0.3, 0.5, 0.7, 0.8):
        open_ = {kind: (gates > 0).float() for kind, gates in masks.final(goal).items()} | {HIDDEN: torch.ones(8)}
        assert goal - 24 / 132 < 1 - float(masks.remaining(open_)) <= goal + 1e-5


def test_the_multipliers_hold_the_constraint_and_the_goal_is_approached():
    shape, steps = SMALL, 240
    torch.manual_seed(0)
    masks, ratio = L0Masks(shape, Costs.of(shape, 2), COARSE_AND_FINE, 100.0), 100.0
    lagrangian = Lagrangian(torch.zeros(1), torch.tensor([0.6]), steps, 0.5, ratio)
    assert float(lagrangian.goal()) == 0
    optimizer = torch.optim.Adam([*masks.parameters(), *lagrangian.parameters()], lr=1e-3)
    for step in range(steps):
        optimizer.zero_grad()
        # without the constraint everything would stay: the loss wants all gates open
        wanted = sum(masks.open_probability(kind).sum() for kind in COARSE_AND_FINE)
        (lagrangian.penalty(masks.expected_sparsity().reshape(1)) - 0.01 * wanted).backward()
        optimizer.step()
        lagrangian.seen += 1
        if step == 59:
            assert float(lagrangian.goal()) == pytest.approx(0.3, abs=0.01)
    assert float(masks.expected_sparsity()) == pytest.approx(0.6, abs=0.03)


def test_masks_find_the_units_that_matter():
    torch.manual_seed(0)
    masks = L0Masks(SMALL, Costs.of(SMALL, 2), (UNITS,), 100.0).train()
    matters = torch.tensor([[1.0, 0, 0, 1, 0, 1], [0, 1.0, 0, 0, 1, 1]])
    lagrangian = Lagrangian(torch.ones(2), torch.full((2,), 0.5), 300, 0.2, 100.0)
    optimizer = torch.optim.Adam([*masks.parameters(), *lagrangian.parameters()], lr=1e-3)
    for _ in range(300):
        optimizer.zero_grad()
        masks.draw()
        missing = (matters * (1 - masks.now[UNITS])).square().sum()
        (missing + lagrangian.penalty(masks.shares((UNITS,)))).backward()
        optimizer.step()
        lagrangian.seen += 1
    assert torch.equal(masks.final({UNITS: 3})[UNITS] > 0, matters > 0)
    assert (masks.open_probability(UNITS) > 0.5).tolist() == (matters > 0).tolist()


def decoder(kind, folder):
    import transformers

    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 24, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "max_position_embeddings": 32}
    if kind == "GPT2":
        config = transformers.GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4, n_positions=32, n_inner=24)
        model = transformers.GPT2LMHeadModel(config)
    elif kind == "Bert":
        model = transformers.BertForSequenceClassification(transformers.BertConfig(**sizes))
    else:
        more = {"num_key_value_heads": 2, "head_dim": 8}
        model = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**sizes, **more))
    with_linear_layers(model)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Linear, nn.LayerNorm)) and module.bias is not None:
                module.bias.normal_(0, 0.5)
    return model.eval()


IDS = torch.arange(3, 20)[None]


@pytest.mark.parametrize("kind", ["Qwen3", "GPT2", "Bert"])
def test_a_model_with_its_gates_built_in_is_the_model_under_gates(tmp_path, kind):
    model = decoder(kind, tmp_path)
    masks = random(shape_of(model), COARSE_AND_FINE)
    masks.scaled["attention"].data[1] = -22.0
    masked = Masked(model, masks)
    plain = model(IDS).logits
    masked.release()
    assert not torch.allclose(model(IDS).logits, plain)
    gates = {kind: hard_concrete.expected(masks.log_alpha(kind)).detach() for kind in COARSE_AND_FINE}
    build_in(model, gates, masks.shape)
    torch.testing.assert_close(model(IDS).logits, plain, atol=1e-5, rtol=1e-4)
    assert "blocks 1 have no attention" in unevenness(gates)


def test_a_cut_model_is_the_model_under_gates(tmp_path):
    model = decoder("Qwen3", tmp_path)
    shape, kinds = shape_of(model), (GROUPS, UNITS, HIDDEN)
    counts = {GROUPS: 1, UNITS: 16, HIDDEN: 24}
    masks = masks_of(shape, kinds)
    for kind, count in counts.items():
        order = torch.rand_like(masks.scaled[kind]).argsort(-1)
        masks.scaled[kind].data = torch.where(order < count, 18.0, -22.0)
    masked = Masked(model, masks)
    plain = model(IDS).logits
    masked.release()
    gates = masks.final(counts)
    build_in(model, gates, shape)
    cut(model, gates, counts)
    torch.testing.assert_close(model(IDS).logits, plain, atol=1e-5, rtol=1e-4)
    new = shape_of(model)
    assert (new.groups, new.heads, new.units, new.hidden) == (1, 2, 16, 24)


def test_gates_are_drawn_once_a_pass_so_that_checkpointed_layers_see_them_again(tmp_path):
    model = decoder("Qwen3", tmp_path).train()
    masks = L0Masks(shape_of(model), Costs.of(shape_of(model), 2), (UNITS,)).train()
    masked = Masked(model, masks)
    losses, gradients = [], []
    for checkpointing in (False, True):
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.zero_grad()
        torch.manual_seed(1)
        loss = model(IDS, use_cache=False).logits.square().mean()
        loss.backward()
        losses.append(float(loss.detach()))
        gradients.append(model.model.layers[0].mlp.down_proj.weight.grad.clone())
    masked.release()
    assert losses[0] == losses[1]
    torch.testing.assert_close(gradients[0], gradients[1])
