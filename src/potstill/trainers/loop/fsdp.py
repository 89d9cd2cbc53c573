"""Weights, gradients and optimizer state split over the processes of a training, for students too large for one GPU.

Fully sharded data parallelism (Zhao et al. 2023, arXiv 2304.11277, section 3), as PyTorch has it: a layer's weights are
gathered when it is computed, and its gradients are added up and split again. What is computed stays the same.

Process 0 alone reads the weights. The others build the model without any, and get their parts from it, a tensor at a
time: so no GPU ever holds the whole model, and the machine's memory holds it once.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from potstill.errors import BadInput, PotstillError
from potstill.trainers.loop.hf_trainer import Part, StudentTrainer
from potstill.trainers.loop.process_group import Group

WEIGHTS, OPTIMIZER, SCHEDULER, STATE = "model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json"
"""Files of a checkpoint: unsharded, so that a training can resume from it with another number of processes."""


def shard(model: nn.Module, group: Group, device: torch.device) -> None:
    """Split the weights of `model` over the processes of a group, layer by layer; all but process 0 may have none.

    Raises:
        PotstillError: the processes have built other models.
    """
    # all processes ask, also one that has weights: each must do the same
    each = group.gather((any(weight.is_meta for weight in model.parameters()), sum(1 for _ in model.parameters())))
    if len({count for _, count in each}) > 1:
        raise PotstillError(f"the processes have built models of {[count for _, count in each]} weights: can't split")
    spread = any(empty for empty, _ in each)
    whole = {name: parameter.detach() for name, parameter in model.named_parameters()} if spread else {}
    mesh = init_device_mesh(device.type, (group.size,))
    layers = set(getattr(model, "_no_split_modules", None) or ())
    for module in model.modules():
        if type(module).__name__ in layers:
            fully_shard(module, mesh=mesh)
    # embedding and output layer stay gathered until the backward pass: an objective may use the output layer too
    fully_shard(model, mesh=mesh, reshard_after_forward=False)
    # sums, not the means that FSDP takes by default: the loss is divided by the targets of the whole batch already
    for unit in _split(model):
        unit.set_gradient_divide_factor(1.0)
        unit.set_force_sum_reduction_for_comms(True)
    if spread:
        _spread(model, {} if group.rank else whole, device)


def _spread(model: nn.Module, whole: Mapping[str, Tensor], device: torch.device) -> None:
    """Give each process its part of the `whole` weights, which process 0 has; the buffers to all."""

    def allocated(tensor: Tensor) -> Tensor:
        return torch.empty_like(tensor, device=device) if tensor.is_meta else tensor

    model._apply(allocated)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in whole:
                full = whole[name].to(device)
            else:
                full = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
            parameter.copy_(part_of(full, parameter))
        for buffer in model.buffers():
            distributed.broadcast(buffer, 0)


def make_whole(model: nn.Module) -> None:
    """Give every process the whole weights again, in its memory, as if `model` had never been split."""
    for module in _split(model):
        module.reshard()
    whole: dict[int, nn.Parameter] = {}  # by identity, as the output layer may share the embedding's
    for layer in model.modules():
        for name, parameter in layer._parameters.items():
            if isinstance(parameter, DTensor):
                if id(parameter) not in whole:
                    whole[id(parameter)] = nn.Parameter(parameter.full_tensor().cpu(), parameter.requires_grad)
                layer._parameters[name] = whole[id(parameter)]
    # FSDP has no call that undoes it
    for module in _split(model):
        state = module._get_fsdp_state()
        state._pre_forward_hook_handle.remove()
        state._post_forward_hook_handle.remove()
        module.__class__ = type(module).__bases__[1]  # fully_shard made a subclass of FSDPModule and the model's class
    model.cpu()


def _split(model: nn.Module) -> list[FSDPModule]:
    """Return the modules that are gathered and sharded as one."""
    return [module for module in model.modules() if isinstance(module, FSDPModule)]


def whole_tensors(values: object, keep: bool) -> Any:
    """Return nested dicts and lists with whole tensors instead of this process's parts, in memory.

    Collective: all processes must call it; one that doesn't `keep` the tensors gets None for each.
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
        shard(self.model, self.group, self.args.device)
        return super().train(*args, **kwargs)

    def _move_model_to_device(self, model: nn.Module, device: torch.device) -> None:
        """Leave the model where it is: `shard` moves it, layer by layer."""

    def finish(self) -> None:
        """Make the model whole, if it was split."""
        make_whole(self.model)

    def even(self, parts: Sequence[Part], spare: Sequence[Part]) -> list[tuple[Part, int]]:
        """Return micro-batches with their weight, as many in each process: gathering a layer takes all of them."""
        missing = max(self.group.gather(len(parts))) - len(parts)
        return [*((part, 1) for part in parts), *[(spare[0], 0)] * missing]

    def add_gradients(self) -> None:
        """Do nothing: FSDP reduces gradients in the backward pass."""

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Gather the weights, and write them from process 0."""
        tensors = whole_tensors(self.model.state_dict(), not self.group.rank)
        if self.group.rank:
            return
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        # safetensors refuses tensors that share memory: named_parameters lists a tied weight once
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
            raise BadInput(f"sharding: the checkpoint {path.parent} holds no {WEIGHTS}: resume as it began, without")
        own = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        # one tensor at a time: all of them may be more than a process can hold
        with torch.no_grad(), safe_open(path, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - it is no dict
                own[name].copy_(part_of(tensors.get_tensor(name), own[name]))

    def _load_optimizer_and_scheduler(self, checkpoint: str) -> None:
        """Read the optimizer's state, and keep this process's part."""
        # mapped, not read: each process keeps its part only
        state = torch.load(Path(checkpoint) / OPTIMIZER, map_location="cpu", weights_only=True, mmap=True)
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        for number, moments in state["state"].items():
            like = parameters[number]
            for name, value in moments.items():
                # moments have the shape of the weight; the count of steps is one number, the same in all processes
                if isinstance(value, Tensor) and value.shape == like.shape:
                    moments[name] = part_of(value, like)
        self.optimizer.load_state_dict(state)
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint) / SCHEDULER, weights_only=True))
