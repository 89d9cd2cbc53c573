"""Services: processes that outlive the step that started them, such as a model server, and never the run.

A step asks for a service by `reach`; it is started once and shared by all steps of the run that name the same one. The
runner stops it before a heavy step that does not use it, and at the end of the run. A small keeper process is the
server's parent: it ends the server's whole process group on request, and when the process that owns the run is gone,
however it ended. Should the keeper be killed too, the next run on the store ends what is left (`sweep`).

STORE/services/NAME.json   which processes belong to the service, and where it listens; never the run's secret
STORE/services/NAME.log    what it printed
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from potstill.engine.processes import Process, run_name
from potstill.engine.resources import VISIBLE
from potstill.engine.running.service_state import (
    GRACE_SECONDS,
    POLL_SECONDS,
    State,
    in_words,
    last_lines,
    read_state,
    stop,
)
from potstill.engine.store.disk import writing
from potstill.engine.store.file_locks import ALONE, lock_file
from potstill.errors import PotstillError

HOST = "127.0.0.1"
"""Services listen here only."""
PORT_TRIES = 3
"""Times another port is tried when someone took the free one first."""


@dataclass(frozen=True)
class Service:
    """What to start, and how to see that it is ready."""

    name: str
    """Steps that name the same service share it; letters, digits and hyphens."""
    command: tuple[str, ...]
    """Program and arguments; `{port}` stands for the port. Never a secret: every user of the machine can read it."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables besides those of the step."""
    secret_variable: str = ""
    """The variable by which the service learns the run's secret; empty for none."""
    health: str = "/health"
    """Path that answers 200 when the service is ready."""
    start_seconds: float = 900.0
    """How long it may take until then."""
    stop_seconds: float = GRACE_SECONDS
    """How long it may take to end before it is killed; 10, in which vLLM ends requests and gives back memory."""
    label: str = ""
    """What messages call it; empty for its name."""


@dataclass(frozen=True)
class Access:
    """What a step needs to reach the services of its run."""

    folder: Path
    """Where their states and logs are."""
    owner: Process
    """The process that the run lives in; no service outlives it."""
    run: str
    """Name of the run, part of its services' file names."""
    secret: str = field(repr=False)
    """Shared by the run and its services; travels in environments and pipes only."""
    devices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """GPUs of each service, by its name, where the run shares them out; the others see those of the step."""

    def path(self, name: str) -> Path:
        """Return the state file of the service `name`."""
        return self.folder / f"{name}.{self.run}.json"


@dataclass(frozen=True)
class Running:
    """A service that is ready."""

    port: int
    """Where it listens, on `HOST`."""
    secret: str = field(repr=False)
    """What requests must carry."""
    state: Path
    """Its state file."""

    def is_alive(self) -> bool:
        """Return whether the service runs."""
        state = read_state(self.state)
        return state is not None and state.is_alive()

    def ended(self) -> str:
        """Return how the service ended, with its last lines; empty while it lives."""
        state = read_state(self.state)
        if state is not None and state.is_alive():
            return ""
        deadline = time.monotonic() + GRACE_SECONDS
        while state and state.exit is None and state.keeper.alive() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)  # the keeper is about to say how it ended
            state = read_state(self.state)
        code = state.exit if state else None
        how = f"ended with {in_words(code)}" if code is not None else "is gone"
        return f"{how}. It last printed:\n{self.printed()}"

    def printed(self) -> str:
        """Return the last lines that the service printed."""
        return last_lines(self.state.with_suffix(".log"), self.secret)


class Services:
    """The services of one run, seen from the process that owns it."""

    def __init__(self, root: Path) -> None:
        """Keep them in the store at `root`; nothing is written before the first one starts."""
        self.access = Access(root / "services", Process.this(), run_name(), secrets.token_urlsafe(32))

    def running(self) -> set[str]:
        """Return the names of those that were started and not stopped."""
        ending = f".{self.access.run}.json"
        return {path.name.removesuffix(ending) for path in self.access.folder.glob(f"*{ending}")}

    def keep_only(self, names: Iterable[str]) -> None:
        """Stop all but the services `names`."""
        for name in self.running() - set(names):
            stop(self.access.path(name))

    def close(self) -> None:
        """Stop all, and leave no file behind but the logs of those that failed."""
        self.keep_only(())
        for path in self.access.folder.glob(f"*.{self.access.run}.*"):
            if path.suffix != ".log":
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.access.folder.rmdir()


@runtime_checkable
class HasServices(Protocol):
    """Something that services answer for, such as a teacher behind servers."""

    def service_gpus(self) -> Mapping[str, int]:
        """Return the GPUs of each of its services, by name."""


_ACCESS: ContextVar[Access | None] = ContextVar("services of the run", default=None)


def current() -> Access | None:
    """Return the access of the step that runs here, or None outside of a run."""
    return _ACCESS.get()


@contextlib.contextmanager
def within(access: Access | None) -> Iterator[None]:
    """Give the code inside access to a run's services."""
    token = _ACCESS.set(access)
    try:
        yield
    finally:
        _ACCESS.reset(token)


@contextlib.contextmanager
def private() -> Iterator[Access]:
    """Yield an access for code that runs outside of a run; its services are stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="potstill-services-") as folder:
        services = Services(Path(folder))
        try:
            yield services.access
        finally:
            services.close()


def named_in(value: object) -> dict[str, int]:
    """Return the GPUs of each service that `value` will use, by name.

    Its parts give them by `service_gpus()`, or by `service_name()` where there is one that takes none.
    """
    if isinstance(value, Mapping):
        return named_in(list(value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return {name: count for item in value for name, count in named_in(item).items()}
    own = {} if isinstance(value, type) else _own_services(value)
    if own or not is_dataclass(value) or isinstance(value, type):
        return own
    return named_in([getattr(value, name) for name in value.__dataclass_fields__])


def _own_services(value: object) -> dict[str, int]:
    """Return the GPUs of the services that an object names, by name."""
    if isinstance(value, HasServices):
        return dict(value.service_gpus())
    name: str = value.service_name() if hasattr(value, "service_name") else ""
    return {name: 0} if name else {}


def reach(service: Service, access: Access) -> Running:
    """Return the run's service, which is started if it does not run yet.

    Raises:
        PotstillError: it ended before it was ready, or took too long; with the last lines that it printed.
    """
    path = access.path(service.name)
    problem = ""
    with writing(access.folder.parent), _locked(path.with_suffix(".lock")):
        for _ in range(PORT_TRIES):
            state = read_state(path)
            if state is None or not state.is_alive():
                state = _start(service, access, path)
            running = Running(state.port, access.secret, path)
            problem = _wait_until_ready(service, running)
            if not problem:
                return running
            stop(path, keep_log=True)
            if "ddress already in use" not in problem:  # "Address" or "address"
                break
    raise PotstillError(f"{service.label or service.name} {problem}")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one step at a time start a service: the second waits until the first one's is ready."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another run, which ends, has just removed the empty folder
            lock = path.open("w")
            break
    with lock:
        lock_file(lock, path, ALONE)
        yield


def _start(service: Service, access: Access, path: Path) -> State:
    """Start a keeper, which starts the service; return the state that it writes."""
    port = free_port()
    order = {
        "name": service.name,
        "command": [part.replace("{port}", str(port)) for part in service.command],
        "environment": dict(service.environment),
        "owner": asdict(access.owner),
        "port": port,
        "stop_seconds": service.stop_seconds,
    }
    environment = dict(os.environ)
    if service.name in access.devices:
        environment[VISIBLE] = ",".join(access.devices[service.name])
    if service.secret_variable:
        environment[service.secret_variable] = access.secret
    # or the state of a dead service would be read as the new one's
    path.unlink(missing_ok=True)
    # -P: a module of the working folder must not be taken for one of Python or of Potstill
    command = [sys.executable, "-P", "-m", "potstill.engine.running.supervisor", str(path)]
    done = subprocess.run(
        command, input=json.dumps(order), text=True, env=environment, capture_output=True, check=False
    )
    state = read_state(path)
    if done.returncode or state is None:
        raise PotstillError(f"{service.label or service.name} can't be started: {done.stderr.strip()[-2000:]}")
    return state


def _wait_until_ready(service: Service, running: Running) -> str:
    """Wait until the service answers; return what went wrong, or nothing."""
    import http.client  # costs a tenth of the time to load Potstill

    deadline = time.monotonic() + service.start_seconds
    while time.monotonic() < deadline:
        problem = running.ended()
        if problem:
            return problem.replace("ended with", "ended before it was ready, with")
        connection = http.client.HTTPConnection(HOST, running.port, timeout=5)
        try:
            connection.request("GET", service.health)
            if connection.getresponse().status == 200:
                return ""
        except (OSError, http.client.HTTPException):
            pass  # it does not listen yet
        finally:
            connection.close()
        time.sleep(POLL_SECONDS)
    return f"was not ready after {service.start_seconds:g} s. It last printed:\n{running.printed()}"


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as trial:
        # another process may take the port before the server binds it; `reach` tries another one then
        trial.bind((HOST, 0))
        return int(trial.getsockname()[1])
