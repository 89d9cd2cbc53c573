"""Who holds what of the machine: steps that run, and the servers that stand between them. No GPU has two steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from potstill.engine.resources import Machine, Resources, given, wanted
from potstill.engine.step import Step


@dataclass(frozen=True)
class Grant:
    """What a step may use while it runs."""

    threads: int | None = None
    """Threads to compute with, where the step was given cores by name."""
    devices: tuple[str, ...] | None = None
    """GPUs that its process sees; None leaves them as they are, where there are none to share out."""
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """GPUs of each server that it uses, by the server's name."""


@runtime_checkable
class Sharing(Protocol):
    """An executor that shares out one machine's cores, GPUs and memory."""

    @property
    def budget(self) -> Budget:
        """What there is, and who holds it."""


@dataclass
class Budget:
    """The cores, GPUs and memory of one machine."""

    machine: Machine
    """What there is."""
    jobs: int = 1
    """Steps that may run at once, among which the cores are shared out."""
    _held: dict[int | str, tuple[Resources, tuple[str, ...]]] = field(default_factory=dict)

    def wanted(self, step: Step) -> Resources:
        """Return what a step takes, its servers included."""
        return wanted(step, self.machine, max(1, self.machine.cpus // self.jobs))

    def fits(self, step: Step, services: Mapping[str, int], idle: Iterable[str] = ()) -> bool:
        """Return whether a step and its `services` (name: GPUs) have room, if the `idle` services made some."""
        own, new = self._needs(step, services)
        free = self.free(idle)
        enough = own.cpus <= free.cpus and own.memory <= free.memory
        shared = self._shared(own, services)
        if shared is None:
            return enough and own.gpus + sum(new.values()) <= len(free.gpus)
        return (
            enough
            and own.gpus <= len(free.gpus)
            and own.gpus + max(new.values(), default=0) <= len(free.gpus) + len(shared)
        )

    def take(self, step: Step, services: Mapping[str, int]) -> Grant:
        """Give a step and its `services`, which have room, what they need.

        A service keeps its GPUs when the step ends, for the next one that uses it.
        """
        own, new = self._needs(step, services)
        free = self.free().gpus
        mine, rest = free[: own.gpus], free[own.gpus :]
        shared = self._shared(own, services)
        for name, count in new.items():
            devices = (*rest, *(shared or ()))[:count]
            self._held[name] = Resources(0, count), devices
            rest = rest if shared is not None else rest[count:]
        self._held[id(step)] = own, mine
        threads = own.cpus if given(step, "cpus") is not None else None
        if not self.machine.gpus:
            return Grant(threads)
        return Grant(threads, mine, {name: self._held[name][1] for name in services})

    def _shared(self, own: Resources, services: Mapping[str, int]) -> tuple[str, ...] | None:
        """Return the GPUs that services of one step already have, where they must share them; None where they needn't.

        Servers of several teachers may be more than the machine has GPUs for, though each of them fits.
        """
        if not self.machine.gpus or own.gpus + sum(services.values()) <= len(self.machine.gpus):
            return None
        held = [device for name in services if name in self._held for device in self._held[name][1]]
        return tuple(dict.fromkeys(held))

    def _needs(self, step: Step, services: Mapping[str, int]) -> tuple[Resources, dict[str, int]]:
        """Return what a step takes itself, and the GPUs that those of its services need which have none yet."""
        asked = dict(services) if self.machine.gpus else dict.fromkeys(services, 0)
        whole = self.wanted(step)
        # of a service whose name shows only when the step runs, the step itself holds the GPUs
        apart = min(step.placement().server_gpus if self.machine.gpus else 0, sum(asked.values()))
        own = Resources(whole.cpus, whole.gpus - apart, whole.memory)
        return own, {name: count for name, count in asked.items() if name not in self._held}

    def give_back(self, *holders: int | str) -> None:
        """Free what a step (by its `id`), or a service (by its name), has held."""
        for holder in holders:
            self._held.pop(holder, None)

    def free(self, idle: Iterable[str] = ()) -> Machine:
        """Return what nobody but the `idle` services holds."""
        left_out = set(idle)
        holders = [held for holder, held in self._held.items() if holder not in left_out]
        taken = {device for _, devices in holders for device in devices}
        used = [resources for resources, _ in holders]
        return Machine(
            self.machine.cpus - sum(one.cpus for one in used),
            tuple(device for device in self.machine.gpus if device not in taken),
            self.machine.memory - sum(one.memory for one in used),
        )
