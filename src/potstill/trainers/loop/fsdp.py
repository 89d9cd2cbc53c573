"""Weights, gradients and optimizer state split over the processes of a training, for students too large for one GPU.

Fully sharded data parallelism (Zhao et al. 2023, arXiv 2304.11277, section 3), as PyTorch has it: a layer's weights are
gathered when it is computed, and its gradients are added up and split again. What is computed stays the same.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from potstill.errors import BadInput
from potstill.trainers.loop.hf_trainer import Part, StudentTrainer

WEIGHTS, OPTIMIZER, SCHEDULER, STATE = "model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json"
"""Files of a checkpoint: whole, so that a training can go on from it with another number of processes."""


def shard(model: nn.Module, size: int) -> None:
    """Split the weights of `model` over `size` processes, layer by layer."""
    mesh = init_device_mesh(next(model.parameters()).device.type, (size,))
    layers = set(getattr(model, "_no_split_modules", None) or ())
    for module in model.modules():
        if type(module).__name__ in layers:
            fully_shard(module, mesh=mesh)
    # what lies outside of the layers stays gathered until the gradient is there: an objective may use it too
    fully_shard(model, mesh=mesh, reshard_after_forward=False)
    for unit in _split(model):
        unit.set_gradient_divide_factor(1.0)
        unit.set_force_sum_reduction_for_comms(True)


def make_whole(model: nn.Module) -> None:
    """Give every process the whole weights again, in its memory, as if `model` had never been split."""
    for module in _split(model):
        module.reshard()
    whole: dict[int, nn.Parameter] = {}  # one for each, as the output layer may share the embedding's
    for layer in model.modules():
        for name, parameter in layer._parameters.items():
            if isinstance(parameter, DTensor):
                if id(parameter) not in whole:
                    whole[id(parameter)] = nn.Parameter(parameter.full_tensor().cpu(), parameter.requires_grad)
                layer._parameters[name] = whole[id(parameter)]
    for module in _split(model):
        state = module._get_fsdp_state()
        state._pre_forward_hook_handle.remove()
        state._post_forward_hook_handle.remove()
        module.__class__ = type(module).__bases__[1]  # FSDP put a class of its own before the model's
    model.cpu()


def _split(model: nn.Module) -> list[FSDPModule]:
    """Return the modules that are gathered and split as one."""
    return [module for module in model.modules() if isinstance(module, FSDPModule)]


def whole_tensors(values: object, keep: bool) -> Any:
    """Return nested dicts and lists with whole tensors instead of this process's parts, in memory.

    All processes must ask; one that doesn't `keep` them only helps.
    """
    if isinstance(values, DTensor):
        whole = values.full_tensor()
        return whole.cpu() if keep else None
    if isinstance(values, Mapping):
        return {name: whole_tensors(value, keep) for name, value in values.items()}
    return [whole_tensors(value, keep) for value in values] if isinstance(values, list) else values


def part_of(whole: Tensor, like: Tensor) -> Tensor:
    """Return this process's part of a `whole` tensor, if `like` is split."""
    whole = whole.to(like.device, like.dtype)
    return distribute_tensor(whole, like.device_mesh, like.placements) if isinstance(like, DTensor) else whole


class ShardedTrainer(StudentTrainer):
    """A trainer whose model is split; every process takes part in writing and reading a checkpoint."""

    spares = True

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Split the model, and train."""
        shard(self.model, self.group.size)
        return super().train(*args, **kwargs)

    def finish(self) -> None:
        """Make the model whole, if it was split."""
        make_whole(self.model)

    def even(self, parts: Sequence[Part], spare: Sequence[Part]) -> list[tuple[Part, int]]:
        """Return parts with their weight, as many in each process: they compute every layer together."""
        missing = max(self.group.gather(len(parts))) - len(parts)
        return [*((part, 1) for part in parts), *[(spare[0], 0)] * missing]

    def add_gradients(self) -> None:
        """Do nothing: they were added up when they were made."""

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the whole weights; process 0 does it, with the others' help."""
        tensors = whole_tensors(self.model.state_dict(), not self.group.rank)
        if self.group.rank:
            return
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        # a tied weight is named once
        names = {name for name, _ in (*self.model.named_parameters(), *self.model.named_buffers())}
        save_file({name: tensors[name].contiguous() for name in sorted(names & tensors.keys())}, folder / WEIGHTS)

    def _save_checkpoint(self, model: nn.Module, trial: object) -> None:
        """Write a checkpoint, its state last, and delete the one before."""
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        self.save_model(str(folder))
        optimizer = whole_tensors(self.optimizer.state_dict(), not self.group.rank)
        if self.group.rank:
            return
        torch.save(optimizer, folder / OPTIMIZER)
        torch.save(self.lr_scheduler.state_dict(), folder / SCHEDULER)
        self._save_rng_state(str(folder))
        self.state.save_to_json(str(folder / STATE))
        for other in folder.parent.glob("checkpoint-*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Read weights, and keep this process's part.

        Raises:
            BadInput: they were written by a training that didn't split them, in another form.
        """
        path = Path(resume_from_checkpoint) / WEIGHTS
        if not path.exists():
            raise BadInput(f"sharding: the checkpoint {path.parent} holds no {WEIGHTS}: go on as it began, without")
        found = load_file(path)
        known = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        with torch.no_grad():
            for name, tensor in found.items():
                known[name].copy_(part_of(tensor, known[name]))

    def _load_optimizer_and_scheduler(self, checkpoint: str) -> None:
        """Read what the optimizer knows, and keep this process's part."""
        state = torch.load(Path(checkpoint) / OPTIMIZER, map_location="cpu", weights_only=True)
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        for number, kept in state["state"].items():
            like = parameters[number]
            for name, value in kept.items():
                if isinstance(value, Tensor) and value.shape == like.shape:
                    kept[name] = part_of(value, like)
        self.optimizer.load_state_dict(state)
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint) / SCHEDULER, weights_only=True))
