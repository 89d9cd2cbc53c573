"""Runs that `torchrun`, `accelerate launch` or `srun` start several times: process 0 drives, the others help it.

The variables that they set name the processes and an address. Process 0 runs the pipeline as ever. The others wait for
the steps in which several processes work together, do their part in a process of their own, and wait again until the
run has ended. They hear of both through PyTorch's key-value store at that address, which `torchrun` keeps itself, and
process 0 where nobody does. All need one file system: what is to be done lies in the store's folder.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from potstill.engine.processes import die_with_parent
from potstill.engine.resources import VISIBLE, visible_gpus
from potstill.errors import PotstillError, RequestError

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]  # torch exports it without saying so

LAUNCH = "POTSTILL_LAUNCH"
"""Variable by which the processes of a run know that others stand beside it."""
TORCH = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""What `torchrun` and `accelerate launch` set; libraries in a step would take themselves for one of several."""
SLURM = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE")
"""What `srun` sets in their place."""
POLL_SECONDS = 0.1
"""How often is looked for news."""


@dataclass(frozen=True)
class Launch:
    """This process among those that were started together."""

    rank: int
    """Its number; process 0 drives."""
    size: int
    """How many there are."""
    local_rank: int
    """Its number on its machine."""
    local_size: int
    """How many there are on its machine."""
    address: str
    """Where the key-value store is."""
    port: int
    """Its port."""
    hosted: bool
    """Whether the launcher of the processes keeps the store."""
    attempt: str
    """Sets a restart apart from what was before it."""
    number: int = 0
    """The task that this process does its part of."""

    @property
    def is_local(self) -> bool:
        """Whether all processes are on this machine."""
        return self.local_size == self.size

    def store(self, host: bool = False) -> Store:
        """Return the store, which this process may `host`."""
        from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

        try:
            store = TCPStore(self.address, self.port, is_master=host, wait_for_workers=False)
        except (RuntimeError, ValueError) as error:
            raise PotstillError(
                f"the processes can't meet at MASTER_ADDR={self.address}, MASTER_PORT={self.port}: "
                f"{str(error).splitlines()[0]}"
            ) from error
        return PrefixStore(f"potstill/{self.attempt}", store)


def launched() -> Launch | None:
    """Return this process's launch, or None if it stands alone.

    Raises:
        RequestError: the variables don't make sense.
    """
    own = os.environ.get(LAUNCH)
    if own is not None:
        return Launch(**json.loads(own))
    names = TORCH if "RANK" in os.environ and "WORLD_SIZE" in os.environ else SLURM
    # a shell in a Slurm allocation has its variables too: without an address nobody meant several processes
    if names[0] not in os.environ or "MASTER_ADDR" not in os.environ:
        return None
    try:
        launch = _read(names)
    except (KeyError, ValueError) as error:
        raise RequestError(
            f"the variables {', '.join(names)}, MASTER_PORT of a launch are not whole: {error}"
        ) from error
    return launch if launch.size > 1 else None


def _read(names: tuple[str, ...]) -> Launch:
    """Return what the variables say."""
    rank, size = (int(os.environ[name]) for name in names[:2])
    return Launch(
        rank,
        size,
        int(os.environ.get(names[2], rank)),
        int(os.environ.get(names[3], size)),
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"),
    )


def settle(launch: Launch) -> None:
    """Keep the launch for the processes that this one starts, and from the libraries in them."""
    os.environ[LAUNCH] = json.dumps(asdict(launch))
    for name in TORCH:
        os.environ.pop(name, None)


@cache
def _kept(launch: Launch) -> Store:
    """Return the store of process 0, which may live in this process: as long as it does."""
    return launch.store(host=not launch.hosted)


@contextmanager
def leading(launch: Launch) -> Iterator[Callable[[bool], None]]:
    """Be process 0; yields what takes whether the run failed, which the others are sent, as an error is."""
    settle(launch)
    store, failed = _kept(launch), True

    def ended(with_failures: bool) -> None:
        nonlocal failed
        failed = with_failures

    try:
        yield ended
    finally:
        _post(store, {"end": failed})


def help_out(launch: Launch) -> None:
    """Be another process: do its part of each task, until the run of process 0 has ended.

    Raises:
        PotstillError: that run failed, or its process is gone.
    """
    settle(launch)
    store = launch.store()
    try:
        while "end" not in (task := _next(store)):
            _do(store, replace(launch, number=task["number"]), task)
    except RuntimeError as error:
        raise PotstillError("process 0 of this launch is gone, and the run with it") from error
    if task["end"]:
        raise PotstillError("the run failed in process 0 of this launch, which says why")


def post(launch: Launch, module: str, folder: str) -> tuple[Launch, list[Remote]]:
    """Have every other process run `module` with a folder, its number and their count; return what stands for them."""
    store = launch.store()
    number = _post(store, {"module": module, "folder": folder})
    own = replace(launch, number=number)
    return own, [Remote(store, number, rank) for rank in range(1, launch.size)]


class Remote:
    """Another process's part of a task, as if it were a child of this one."""

    def __init__(self, store: Store, number: int, rank: int) -> None:
        """Watch process `rank` at the task `number`."""
        self._store, self._key = store, f"{number}/{rank}"
        self.returncode: int | None = None
        """Its exit code, once it has ended."""

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        if self.returncode is None and self._store.check([f"{self._key}/exit"]):
            self.returncode = int(self._store.get(f"{self._key}/exit"))
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code when it has ended.

        Raises:
            TimeoutExpired: it has not after `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(self._key, timeout or 0.0)
            time.sleep(POLL_SECONDS)
        return code

    def kill(self) -> None:
        """End it."""
        if self.poll() is None:
            self._store.set(f"{self._key}/kill", "1")


def _post(store: Store, task: Mapping[str, Any]) -> int:
    """Give all other processes a task; return its number."""
    number = int(store.add("tasks", 1))
    store.set(f"{number}/task", json.dumps({**task, "number": number}))
    return number


_NUMBERS = itertools.count(1)
"""The numbers of the tasks that this process has not seen yet: of a second run they go on."""


def _next(store: Store) -> dict[str, Any]:
    """Wait for the next task."""
    key = f"{next(_NUMBERS)}/task"
    while not store.check([key]):
        time.sleep(POLL_SECONDS)
    return dict(json.loads(store.get(key)))


def _do(store: Store, launch: Launch, task: Mapping[str, Any]) -> None:
    """Do this process's part of a task, in a process that sees one GPU, and say how it ended."""
    environment = {**os.environ, LAUNCH: json.dumps(asdict(launch))}
    gpus = visible_gpus()
    if gpus:
        # where each process was given GPUs of its own, there is only one to see
        environment[VISIBLE] = gpus[launch.local_rank] if launch.local_rank < len(gpus) else gpus[0]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    parent = os.getpid()
    process = subprocess.Popen(
        [sys.executable, "-m", task["module"], task["folder"], str(launch.rank), str(launch.size)],
        stdin=subprocess.DEVNULL,
        env=environment,
        preexec_fn=lambda: die_with_parent(parent),
    )
    key = f"{launch.number}/{launch.rank}"
    try:
        while process.poll() is None:
            if store.check([f"{key}/kill"]):
                process.kill()
            time.sleep(POLL_SECONDS)
    finally:
        process.kill()
        store.set(f"{key}/exit", str(process.wait()))
