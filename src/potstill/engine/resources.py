"""What steps take of a machine: cores, GPUs and memory, and what there is of them. No key depends on it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.engine.step import Step

GPUS = "POTSTILL_GPUS"
"""Variable that names the GPUs to use, as `CUDA_VISIBLE_DEVICES` does; on a machine without any, pretended ones."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Variable that names the GPUs that a process sees."""


@dataclass(frozen=True)
class Resources:
    """What a step takes while it runs."""

    cpus: int = 1
    """Cores."""
    gpus: int = 0
    """GPUs, those of servers that it starts included."""
    memory: int = 0
    """Bytes of main memory; 0 where nobody has said."""

    def __add__(self, other: Resources) -> Resources:
        """Return both together."""
        return Resources(self.cpus + other.cpus, self.gpus + other.gpus, self.memory + other.memory)

    def __str__(self) -> str:
        """Return the resources in words."""
        parts = [counted(self.cpus, "core"), counted(self.gpus, "GPU") if self.gpus else ""]
        return ", ".join([*filter(None, parts), *([in_bytes(self.memory)] if self.memory else [])])


@dataclass(frozen=True)
class Machine:
    """What there is to share out."""

    cpus: int
    """Cores that this process may use."""
    gpus: tuple[str, ...]
    """GPUs, by the names that `CUDA_VISIBLE_DEVICES` takes."""
    memory: int
    """Bytes of main memory that this process may use."""

    @classmethod
    def here(cls) -> Machine:
        """Return what this process may use of its machine."""
        return cls(available_cpus(), visible_gpus(), available_memory())


def available_cpus() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs that the environment names, else those that NVIDIA's driver knows of; loads no library."""
    for variable in (GPUS, VISIBLE):
        if variable in os.environ:
            return gpu_names(os.environ[variable])
    drivers = Path("/proc/driver/nvidia/gpus")
    count = len(list(drivers.iterdir())) if drivers.is_dir() else _listed()
    return tuple(map(str, range(count)))


def gpu_names(text: str) -> tuple[str, ...]:
    """Return the GPUs that a variable names; as in CUDA, what follows a number below 0 does not count.

    >>> gpu_names("2,3"), gpu_names(""), gpu_names("0,-1,1")
    (('2', '3'), (), ('0',))
    """
    names: list[str] = []
    for name in (part.strip() for part in text.split(",")):
        if name.startswith("-"):
            break
        if name and name not in names:
            names.append(name)
    return tuple(names)


def _listed() -> int:
    """Return how many GPUs `nvidia-smi` lists, which is all there is to ask under Windows' Linux."""
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines()) if done.returncode == 0 else 0


def available_memory() -> int:
    """Return the bytes of the machine's memory, or of the part of it that a container is given."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            sizes.append(int(Path(limit).read_text(encoding="ascii")))
        except (OSError, ValueError):  # "max" is no number
            continue
    return min(sizes)


def wanted(step: Step, machine: Machine, share: int = 1) -> Resources:
    """Return what `step` takes: what it was given, else what it is known to use.

    A step that loads a model takes a `share` of the cores, and the GPUs that its parameters mean where the machine has
    any: without one it computes on the processor. What a step was given by name it always takes.
    """
    place = step.placement()
    own: int | None = given(step, "gpus")
    if own is None:
        own = (place.own_gpus() if machine.gpus else 0) or 0
    servers = place.server_gpus if machine.gpus else 0
    cpus = given(step, "cpus") or (share if place.heavy else 1)
    return Resources(cpus, own + servers, given(step, "memory") or 0)


def given(step: Step, name: str) -> int | None:
    """Return the resource that a step was given by name; None where its class has a parameter of its own there."""
    part: Any = type(step).__dataclass_fields__[name]
    value: int | None = getattr(step, name) if part.metadata.get("unkeyed") else None
    return value


def shortage(needed: Resources, machine: Machine) -> Iterable[tuple[str, str]]:
    """Yield the name of each resource that a machine does not have enough of, and what to do."""
    if needed.gpus > len(machine.gpus):
        have = f"{counted(len(machine.gpus), 'GPU')}" + (f" ({', '.join(machine.gpus)})" if machine.gpus else "")
        remedy = f"set gpus={len(machine.gpus)} or fewer (of a trainer `processes`, of a teacher `tensor_parallel`, "
        yield (
            "gpus",
            f"takes {counted(needed.gpus, 'GPU')}, and there {'is' if len(machine.gpus) == 1 else 'are'} {have}: "
            f"{remedy}`data_parallel` and `replicas`), or run it on a machine that has them",
        )
    if needed.cpus > machine.cpus:
        yield "cpus", f"takes {counted(needed.cpus, 'core')}, and there are {machine.cpus}: set cpus={machine.cpus}"
    if needed.memory > machine.memory:
        text = f"takes {in_bytes(needed.memory)} of memory, and there are {in_bytes(machine.memory)}"
        yield "memory", f"{text}: lower memory, which is given in bytes, or run it on a larger machine"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "GPU"), counted(2, "GPU")
    ('1 GPU', '2 GPUs')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def in_bytes(number: int) -> str:
    """Return a size of memory in words.

    >>> in_bytes(3 * 2**30), in_bytes(5_000_000)
    ('3.0 GiB', '4.8 MiB')
    """
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.1f} MiB"
