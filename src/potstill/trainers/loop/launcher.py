"""Several processes of one training: the step's own is number 0, the others run the same step beside it.

They are children of it, or were launched beside the whole run (`engine.running.ranks`), also on other machines.

Every process reads the same rows, loads the student itself, on a GPU of its own where there are any, and takes its
share of each batch (`process_group.py`). Process 0 alone writes checkpoints and the model; the others exit when the
student is trained, and die with it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import msgpack

from potstill.engine.processes import die_with_parent
from potstill.engine.running.carried import in_use, use
from potstill.engine.running.children import pickled
from potstill.engine.running.ranks import Launch, Remote, launched, post
from potstill.errors import BadInput, PotstillError

if TYPE_CHECKING:
    from datasets import Dataset

WORKER = "potstill.trainers.loop.worker"
"""What the other processes run."""
ORDER = "order"
"""File with what the other processes run."""
Worker = Union["subprocess.Popen[bytes]", Remote]
"""Another process: a child of this one, or one that was launched beside it."""
START_SECONDS = 600.0
"""How long the other processes may take to import their libraries."""
LEAVE_SECONDS = 30.0
"""How long they may take to exit, or to write why they failed."""
LOST = 3
"""Exit code of a process that fails only because another one is gone: the reason is that one's."""
COLLECTIVE = timedelta(hours=2)
"""Timeout of a collective operation: tokenizing many rows in one process may take long."""


@dataclass(frozen=True)
class Order:
    """What the other processes run."""

    step: Any
    """The step, its edges replaced by the paths behind them."""
    inputs: Mapping[str, Any]
    """Arguments of its `run`, but for the context."""
    name: str
    """Name of the step."""
    key: str
    """Key of its artifact."""
    threads: int
    """Threads of each process."""
    seed: int
    """The step's seed."""
    validation: Dataset | None
    """Rows to evaluate on."""


class LearnedError(BaseException):
    """Raised in a process other than 0 when the student is trained: process 0 does the rest."""


@contextmanager
def together(order: Order, size: int, folder: Path) -> Iterator[None]:
    """Be process 0 of `size` that train together; what they need to find each other lies in `folder`.

    Raises:
        PotstillError: another process failed or died.
        BadInput: there are fewer GPUs than processes, or the run was launched with another number of them.
    """
    import shutil

    launch = _fitting_launch(size)
    check_devices(launch.local_size if launch else size)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _write_for_us(folder / ORDER, msgpack.packb([pickle.dumps(in_use(order.step)), pickled(order)]))
    workers: Sequence[Worker]
    if launch:
        launch, workers = post(launch, WORKER, str(folder.absolute()))
    else:
        workers = [_start(folder, rank, size, order.threads) for rank in range(1, size)]
    try:
        _await_ready(workers, folder)
        with joined(folder, 0, size, launch), _watched(workers, folder):
            yield
        _leave(workers)
    except Exception as error:
        _leave(workers)
        problem = _problem(workers, folder)
        if problem is None or isinstance(error, PotstillError):
            raise
        raise PotstillError(problem) from error
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _fitting_launch(size: int) -> Launch | None:
    """Return the launch whose processes train, or None where they are to be started.

    Raises:
        BadInput: it has another number of processes.
    """
    launch = launched()
    if launch is None or launch.rank:
        return None
    if launch.size != size:
        raise BadInput(
            f"processes is {size}, but this run was launched with {launch.size}: set processes={launch.size}"
        )
    return launch


def read_order(folder: Path) -> Order:
    """Return what the other processes run, with the user's modules as this training has them.

    Raises:
        PotstillError: another user has written the file, which holds code.
    """
    import cloudpickle

    file = folder / ORDER
    if file.stat().st_uid != os.geteuid():
        raise PotstillError(f"{file} belongs to another user: it is not run")
    modules, order = msgpack.unpackb(file.read_bytes())
    use(pickle.loads(modules))  # noqa: S301 - the file is ours, and nobody else may write to it
    read: Order = cloudpickle.loads(order)
    return read


def _write_for_us(file: Path, data: bytes) -> None:
    """Write a file that holds code, which no other user may read or replace, whatever the umask is."""
    file.parent.chmod(0o700)
    # O_EXCL: a file or link that another user has put there is not followed
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(data)


def check_devices(size: int) -> None:
    """Check that there is a GPU for each process, unless there is none at all.

    Raises:
        BadInput: there are too few.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if 0 < count < size:
        raise BadInput(f"processes is {size}, but there are {count} GPUs: set processes={count}")


@contextmanager
def joined(folder: Path, rank: int, size: int, launch: Launch | None = None) -> Iterator[None]:
    """Join the process group, by a rendezvous file in `folder` or by the store of the `launch`."""
    import torch
    from torch import distributed

    # transformers warns of a process group that it has not initialized itself
    logging.getLogger("transformers.training_args").setLevel(logging.ERROR)
    if sys.platform == "linux" and (launch is None or launch.is_local):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # one machine: its host name need not resolve
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if launch is None:
        meeting = f"file://{(folder / 'meeting').absolute()}"
        distributed.init_process_group(backend, init_method=meeting, rank=rank, world_size=size, timeout=COLLECTIVE)
    else:
        store = distributed.PrefixStore(f"group/{launch.number}", launch.store())  # type: ignore[attr-defined]
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=COLLECTIVE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def _start(folder: Path, rank: int, size: int, threads: int) -> subprocess.Popen[bytes]:
    """Start another process; it sees one GPU, as its first, and prints where this one prints."""
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    environment = {**os.environ, **counts, **_device(rank), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    parent = os.getpid()
    return subprocess.Popen(
        [sys.executable, "-m", WORKER, str(folder), str(rank), str(size)],
        stdin=subprocess.DEVNULL,
        env=environment,
        preexec_fn=lambda: die_with_parent(parent),
    )


def _device(rank: int) -> dict[str, str]:
    """Return the environment in which a process sees only its own GPU."""
    import torch

    if not torch.cuda.is_available():
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(torch.cuda.device_count())))).split(",")
    return {"CUDA_VISIBLE_DEVICES": visible[rank]}


def ready_file(folder: Path, rank: int) -> Path:
    """Return the file by which a process signals that it is about to join."""
    return folder / f"ready-{rank}"


def error_file(folder: Path, rank: int) -> Path:
    """Return the file in which a process writes why it failed."""
    return folder / f"error-{rank}.txt"


@contextmanager
def _watched(workers: Sequence[Worker], folder: Path) -> Iterator[None]:
    """End this process if another one dies: on GPUs nothing else interrupts a collective operation."""
    import torch

    done = threading.Event()

    def watch() -> None:
        while not done.wait(1.0):
            if any(worker.poll() for worker in workers) and not done.wait(LEAVE_SECONDS):
                print(_problem(workers, folder), file=sys.stderr, flush=True)
                os._exit(1)

    if torch.cuda.is_available():  # with gloo a closed connection raises an error
        threading.Thread(target=watch, name="potstill-processes", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _await_ready(workers: Sequence[Worker], folder: Path) -> None:
    """Wait until the others are about to join: joining itself can't be interrupted."""
    deadline = time.monotonic() + START_SECONDS
    while not all(ready_file(folder, rank).exists() for rank in range(1, len(workers) + 1)):
        if any(worker.poll() is not None for worker in workers) or time.monotonic() > deadline:
            raise RuntimeError(f"of {len(workers) + 1} processes not all started within {START_SECONDS:.0f} s")
        time.sleep(0.02)


def _leave(workers: Sequence[Worker]) -> None:
    """Wait a while for the others to exit."""
    deadline = time.monotonic() + LEAVE_SECONDS
    for worker in workers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(max(0.0, deadline - time.monotonic()))


def _problem(workers: Sequence[Worker], folder: Path) -> str | None:
    """Return why another process failed, if one did."""
    for rank, worker in enumerate(workers, 1):
        report = error_file(folder, rank)
        if report.exists():
            return f"process {rank} of {len(workers) + 1} failed: {report.read_text(encoding='utf-8')}"
        if worker.returncode and worker.returncode != LOST:
            code = worker.returncode
            how = signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
            memory = " (out of memory? the system kills the largest process)" if how == "SIGKILL" else ""
            return f"process {rank} of {len(workers) + 1} died: {how}{memory}"
    return None
