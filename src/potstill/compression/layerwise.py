"""The loop that layer-wise methods share: per block record inputs, change weights, pass the new outputs on.

GPTQ (Frantar et al. 2022, section 4) and Wanda (Sun et al. 2023, section 3) both treat one block at a time on the
outputs of the blocks already compressed, so that memory is that of one block's inputs beside the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from potstill.compression.architecture import architecture_of, blocks_of, stacks_of
from potstill.compression.block_parts import passing_on
from potstill.compression.expert_layers import is_gate
from potstill.compression.text_pairs import Pairs, decoded, encoded
from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


class Statistic(Protocol):
    """A running statistic of a linear layer's inputs."""

    def add(self, inputs: Tensor) -> None:
        """Update with `inputs` [N, I]."""


Kept = TypeVar("Kept", bound=Statistic)


@dataclass(frozen=True)
class Call:
    """What a block is called with besides its hidden states: positions, mask."""

    args: tuple[object, ...]
    """By position."""
    named: dict[str, object]
    """By name."""


@dataclass
class Block:
    """One block with what it is called with, a call per batch."""

    name: str
    """Path in the model, such as `model.layers.3`."""
    module: nn.Module
    """The block itself; its weights may be changed in place."""
    inputs: list[Tensor]
    """Per batch the hidden states [B, T, H] that enter the block."""
    calls: list[Call]
    """Per batch the other arguments."""

    @property
    def layers(self) -> dict[str, nn.Linear]:
        """The linear layers by their path in the model."""
        return linear_layers(self.module, self.name)

    @torch.no_grad()
    def outputs(self) -> Iterator[Tensor]:
        """Run the block as it is now; yield its hidden states [B, T, H] per batch."""
        for hidden, call in zip(self.inputs, self.calls, strict=True):
            out = self.module(hidden, *call.args, **call.named)
            yield out[0] if isinstance(out, tuple) else out

    def record(self, make: Callable[[nn.Linear], Kept]) -> dict[str, Kept]:
        """Run the block and return, by layer path, the statistic `make(layer)` of the layer's inputs.

        Layers that read the same tensor (query, key and value; gate and up) share one statistic.

        Raises:
            BadInput: activations are infinite or NaN.
        """
        statistics: dict[str, Kept] = {}
        seen: dict[int, tuple[Tensor, str]] = {}

        def hook(path: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
            def take(module: nn.Module, args: tuple[Tensor, ...]) -> None:
                # holding the tensor keeps its id from being used again within this batch
                owner = seen.setdefault(id(args[0]), (args[0], path))[1]
                if path not in statistics:
                    assert isinstance(module, nn.Linear)
                    statistics[path] = statistics[owner] if owner in statistics else make(module)
                if owner == path:
                    _check_finite(path, args[0])
                    statistics[path].add(args[0].reshape(-1, args[0].shape[-1]))

            return take

        handles = [layer.register_forward_pre_hook(hook(path)) for path, layer in self.layers.items()]
        try:
            for _ in self.outputs():
                seen.clear()
        finally:
            for handle in handles:
                handle.remove()
        # experts that no token was sent to have an empty statistic: methods round or rank their weights by themselves
        return statistics | {path: make(layer) for path, layer in self.layers.items() if path not in statistics}


def walk(
    model: PretrainedModel, batches: Sequence[Tensor], device: torch.device | str | None = None
) -> Iterator[Block]:
    """Yield each block of `model`, first to last, called with the outputs of the blocks before as they are now.

    A model that is not on the `device` goes there block by block, one at a time, and back ("block offload").

    Args:
        model: a model of transformers whose layers are `nn.Linear`; it is put into evaluation mode.
        batches: token ids [B, T], each batch of texts of one length, so that nothing is padded.
        device: where blocks compute; the GPU if there is one, else where the model is.

    Raises:
        BadInput: the model's type is not known.
    """
    model.eval()
    path, modules = blocks_of(model)
    # blocks that only record must not be asked to fill a cache; encoders have none
    cache = {} if architecture_of(model).is_encoder else {"use_cache": False}

    def run(number: int) -> None:
        model.base_model(input_ids=batches[number].to(model.device), **cache)

    yield from _walk_list(model, path, modules, run, len(batches), device)


def walk_pairs(
    model: PretrainedModel, batches: Sequence[Pairs], device: torch.device | str | None = None
) -> Iterator[Block]:
    """Yield each block of an encoder-decoder: the encoder's as `walk` does, then the decoder's.

    The decoder reads the decoder inputs, and its cross-attention what the encoder puts out, as it is by then.

    Raises:
        BadInput: the model's type is not known.
    """
    model.eval()
    (encoder_path, encoder_blocks), (decoder_path, decoder_blocks) = stacks_of(model)

    def encode(number: int) -> Tensor:
        return encoded(model, batches[number])

    def decode(number: int) -> Tensor:
        return decoded(model, batches[number], read[number])

    yield from _walk_list(model, encoder_path, encoder_blocks, encode, len(batches), device)
    with torch.no_grad():
        read = [encode(number) for number in range(len(batches))]
    yield from _walk_list(model, decoder_path, decoder_blocks, decode, len(batches), device)


def _walk_list(
    model: PretrainedModel,
    path: str,
    modules: nn.ModuleList,
    run: Callable[[int], object],
    count: int,
    device: torch.device | str | None,
) -> Iterator[Block]:
    """Yield the blocks in the list at `path`; `run(number)` passes one of `count` batches through them."""
    hidden, calls = _first_inputs(model, modules, run, count)
    home = model.device
    place = device or ("cuda" if torch.cuda.is_available() else home)
    hidden = _moved(hidden, place)
    for number, module in enumerate(modules):
        # masks and rotary embeddings were made where the model is
        moved = [Call(_moved(call.args, place), _moved(call.named, place)) for call in calls[number]]
        # moved here, not all at the start: the GPU then holds one block and the batches' hidden states
        block = Block(f"{path}.{number}", module.to(place), hidden, moved)
        try:
            yield block
            if number + 1 < len(modules):
                # outputs of the block as it is now, changed: later blocks are fitted to the inputs that they will
                # really see; in place of its inputs, batch by batch
                for place_of, states in enumerate(block.outputs()):
                    hidden[place_of] = states
        finally:
            module.to(home)


def sharing(statistics: Mapping[str, Kept]) -> list[tuple[Kept, list[str]]]:
    """Return each distinct statistic of `Block.record`, with the paths of all layers that read those inputs."""
    paths: dict[int, list[str]] = {}
    for path, statistic in statistics.items():
        paths.setdefault(id(statistic), []).append(path)
    return [(statistics[own[0]], own) for own in paths.values()]


def linear_layers(module: nn.Module, prefix: str) -> dict[str, nn.Linear]:
    """Return the linear layers inside `module` by their path, which starts with `prefix`."""
    return {f"{prefix}.{name}": layer for name, layer in module.named_modules() if isinstance(layer, nn.Linear)}


def block_layers(model: PretrainedModel) -> dict[str, nn.Linear]:
    """Return all linear layers of the blocks by their path; the embeddings and the head are not among them."""
    layers: dict[str, nn.Linear] = {}
    for path, modules in stacks_of(model):
        layers |= linear_layers(modules, path)
    return layers


def quantizable(layers: Mapping[str, nn.Linear]) -> dict[str, nn.Linear]:
    """Return those of the `layers`, by path, that can be quantized: all but gates of experts, which servers keep."""
    return {path: layer for path, layer in layers.items() if not is_gate(path)}


@torch.no_grad()
def _first_inputs(
    model: PretrainedModel, modules: nn.ModuleList, run: Callable[[int], object], count: int
) -> tuple[list[Tensor], list[list[Call]]]:
    """Capture what the blocks are called with: the first hidden states, and the other arguments by block."""
    hidden: list[Tensor] = []
    calls: list[list[Call]] = [[] for _ in modules]
    arch = architecture_of(model)

    def note(number: int, module: nn.Module) -> Callable[..., Any]:
        # a block that is run once more sees what it has put out before
        inner = module.forward if arch.is_repeated else passing_on(arch, module)

        def forward(states: Tensor, *args: object, **named: object) -> Any:
            if number == 0:
                hidden.append(states)
            calls[number].append(Call(args, named))
            return inner(states, *args, **named)

        return forward

    for number, module in enumerate(modules):
        # an instance attribute hides the class's forward, so the model's own code prepares masks and positions
        module.forward = note(number, module)
    try:
        for number in range(count):
            run(number)
    finally:
        for module in modules:
            del module.forward  # the class's own forward shows again
    return hidden, calls


def _moved(value: object, device: torch.device | str) -> Any:
    """Return `value` with the tensors in it on `device`: a tensor, or lists, tuples and dicts that may hold some."""
    if isinstance(value, Tensor):
        return value.to(device)
    if type(value) is list:
        return [_moved(one, device) for one in value]
    if type(value) is tuple:
        return tuple(_moved(one, device) for one in value)
    if type(value) is dict:
        return {name: _moved(one, device) for name, one in value.items()}
    return value


def _check_finite(path: str, inputs: Tensor) -> None:
    # a finite sum has finite parts, and takes an eighth of the time
    if math.isfinite(inputs.sum(dtype=torch.float32)):
        return
    if bad := int((~torch.isfinite(inputs)).sum()):
        raise BadInput(
            f"the inputs of {path} hold {bad} infinite or NaN values: the model's weights are broken, "
            "or they overflow float16 (save the model as bfloat16 or float32)"
        )
