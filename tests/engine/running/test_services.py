"""Services outlive a step, are shared, make room, and never outlive the run, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from potstill import Model, Pipeline, Step
from potstill.engine.processes import Process, group_members, run_name
from potstill.engine.records import Run
from potstill.engine.running.service_state import State, read_state, stop, sweep, write_state
from potstill.engine.running.services import HOST, Service, Services, current, named_in, private, reach
from potstill.errors import PotstillError

SERVER = """
import http.server, os, subprocess, sys, time
print("serving with", sys.argv[1:])
stubborn = "signal.signal(15, signal.SIG_IGN);" * bool(os.environ.get("STUBBORN"))
child = subprocess.Popen([sys.executable, "-c", "import signal, time;" + stubborn + "time.sleep(600)"])
time.sleep(float(os.environ.get("SLOW", "0")))
if os.environ.get("BROKEN"):
    print("CauseError: the secret is", os.environ["SECRET"]); print("more\\n" * 30); sys.exit("no memory left")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        code = 200 if self.path == "/health" or self.headers.get("X-Key") == os.environ["SECRET"] else 401
        self.send_response(code); self.end_headers(); self.wfile.write(str(os.getpid()).encode())
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def service(name: str = "echo", **environment: str) -> Service:
    command = (sys.executable, "-c", SERVER, "{port}")
    return Service(name, command, environment, "SECRET", start_seconds=60, stop_seconds=1)


@dataclass(frozen=True)
class Served:
    """What a step's field may hold: it names a service."""

    name: str

    def service_name(self) -> str:
        return self.name

    def identity(self) -> dict[str, str]:
        return {"name": self.name}


class Ask(Step):
    """Asks a service who it is."""

    teacher: Model
    number: int = 0
    heavy = True

    def run(self, teacher: Any) -> dict[str, int]:
        access = current()
        assert access is not None
        running = reach(service(teacher.name), access)
        return {"server": asked(running.port, running.secret), "step": os.getpid()}


class Train(Step):
    """Needs the memory; says which services it found."""

    rows: Any
    heavy = True

    def run(self, rows: Any) -> dict[str, list[str]]:
        access = current()
        assert access is not None
        return {"services": sorted(path.name for path in access.folder.glob("*.json"))}


class Light(Train):
    heavy = False


class Nothing(Step):
    def run(self) -> Any:
        return [{"n": 1}]


class Fail(Ask):
    def run(self, teacher: Any) -> dict[str, int]:
        super().run(teacher)
        raise ValueError("broken")


def asked(port: int, secret: str) -> int:
    with urllib.request.urlopen(urllib.request.Request(f"http://{HOST}:{port}/who", headers={"X-Key": secret})) as said:
        return int(said.read())


def states(store: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (store / "services").glob("*.json")]


def gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while group_members(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not group_members(pid)


def metrics(run: Run, name: str) -> Any:
    return json.loads((run[name].path / "metrics.json").read_text())


def test_names_are_found_at_any_depth() -> None:
    @dataclass(frozen=True)
    class Pool:
        teachers: tuple[Any, ...]

    assert {*named_in([{"a": Served("x")}, Pool((Served("y"), Served(""))), 3, "text", Served])} == {"x", "y"}


def test_a_service_is_started_once_and_stopped_with_all_its_processes() -> None:
    with private() as access:
        first, second = (reach(service(STUBBORN="1"), access) for _ in range(2))
        assert first == second
        server = asked(first.port, access.secret)
        assert len(group_members(server)) == 2
        assert reach(service("other"), access).port != first.port
        with pytest.raises(urllib.error.HTTPError, match="401"):
            asked(first.port, "guess")
        text = "".join(path.read_text() for path in access.folder.iterdir())
        assert access.secret not in text + repr(access) + repr(first)
        command = Path(f"/proc/{server}/cmdline").read_text()
        assert access.secret not in command
    assert gone(server, 0)
    assert not access.folder.exists()


def test_a_service_that_dies_is_seen_and_started_again() -> None:
    with private() as access:
        running = reach(service(), access)
        server = asked(running.port, access.secret)
        os.kill(server, signal.SIGKILL)
        assert gone(server)
        time.sleep(0.2)
        assert "SIGKILL" in running.ended()
        assert "serving with" in running.ended()
        again = reach(service(), access)
        assert asked(again.port, access.secret) != server


def test_a_service_that_does_not_come_up_says_why_without_the_secret() -> None:
    with private() as access:
        with pytest.raises(PotstillError, match=r"echo ended before it was ready, with exit code 1") as caught:
            reach(service(BROKEN="1"), access)
        assert "no memory left" in str(caught.value)
        assert "CauseError: the secret is ***" in str(caught.value)
        assert str(caught.value).count("more") < 20
        with pytest.raises(PotstillError, match=r"not ready after 0.5 s"):
            reach(Service("slow", service().command, {"SLOW": "60"}, "SECRET", start_seconds=0.5), access)
        with pytest.raises(PotstillError, match="no-such-program"):
            reach(Service("none", ("no-such-program",), {}), access)


@pytest.mark.slow
def test_steps_share_a_service_until_one_needs_its_memory(tmp_path: Path) -> None:
    store = tmp_path / "store"
    one, two, other = Ask(Served("x")), Ask(Served("x"), 1), Ask(Served("y"))
    light, train = Light([one, two]), Train([one, two])
    last = Ask(Served("x"), 2)
    outputs = {"train": train, "one": one, "two": two, "light": light, "other": other, "last": last}
    run = Pipeline("p", outputs=outputs).run(store=store, threads=1)
    servers = {name: metrics(run, name)["server"] for name in ("one", "two", "last", "other")}
    assert len({metrics(run, name)["step"] for name in ("one", "two", "last")}) == 3
    assert servers["one"] == servers["two"] == servers["last"] != servers["other"]
    assert [name.split(".")[0] for name in metrics(run, "light")["services"]] == ["x"]
    assert metrics(run, "train")["services"] == []
    assert all(gone(server, 0) for server in servers.values())
    assert not (store / "services").exists()


def test_a_failed_run_leaves_no_service(tmp_path: Path) -> None:
    run = Pipeline("p", outputs={"a": Fail(Served("x"))}).execute(store=tmp_path, threads=1, watcher=quiet())
    assert run.failed[0].error == "ValueError: broken"
    assert not (tmp_path / "services").exists()


def quiet() -> Any:
    from potstill.engine.progress import Silent

    return Silent()


HOLD = """
import signal, sys, time
from pathlib import Path
sys.path[:0] = {path!r}
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts with Ctrl-C ignored
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and one below nohup with the end of its terminal
import test_services as t
from potstill import Pipeline

class Hold(t.Ask):
    def run(self, teacher):
        super().run(teacher)
        Path({flag!r}).write_text("up")
        time.sleep(600)

Pipeline("p", outputs={{"a": Hold(t.Served("x"))}}).run(store={store!r}, threads=1)
"""


def held(tmp_path: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start a run in a process of its own, whose step holds a service; return it and the service's state."""
    flag, store = tmp_path / "up", tmp_path / "store"
    script = tmp_path / "hold.py"
    script.write_text(HOLD.format(path=[str(Path(__file__).parent)], flag=str(flag), store=str(store)))
    main = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    deadline = time.monotonic() + 60
    while not flag.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    (state,) = states(store)
    return main, state


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_no_service_outlives_its_run(tmp_path: Path, number: signal.Signals) -> None:
    main, state = held(tmp_path)
    server, keeper = state["server"]["pid"], Process(**state["keeper"])
    assert len(group_members(server)) == 2
    os.kill(main.pid, number)
    main.wait(20)
    assert gone(server)
    deadline = time.monotonic() + 5
    while keeper.alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not keeper.alive()
    assert not states(tmp_path / "store")


@pytest.mark.slow
def test_the_next_run_ends_an_orphan_that_lost_its_keeper_too(tmp_path: Path) -> None:
    main, state = held(tmp_path)
    server, store = state["server"]["pid"], tmp_path / "store"
    assert sweep(store) == []  # its owner lives
    os.kill(state["keeper"]["pid"], signal.SIGKILL)
    os.kill(main.pid, signal.SIGKILL)
    main.wait(20)
    assert group_members(server)  # the server's own child is left
    Pipeline("q", outputs={"a": Nothing()}).run(store=store, threads=1)
    assert gone(server, 0)
    assert not (store / "services").exists()


def test_what_is_not_ours_is_never_ended(tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    dead, here = Process(2**22 + 1, "x"), Process.of(bystander.pid)
    folder = tmp_path / "services"
    folder.mkdir()

    def orphan(name: str, server: Process, owner: Process) -> None:
        state = {"name": name, "server": vars(server), "keeper": vars(dead), "owner": vars(owner), "port": 1}
        (folder / f"{name}.json").write_text(json.dumps(state))

    gone_owner = Process(2**22 + 1, here.started)
    orphan("reused", Process(bystander.pid, here.started + "1"), gone_owner)
    orphan("elsewhere", Process(bystander.pid, "otherboot:pid:1"), Process(1, "otherboot:pid:1"))
    (folder / "torn.json").write_text('{"na')
    assert sweep(tmp_path) == ["reused"]
    assert bystander.poll() is None
    assert (folder / "elsewhere.json").exists()
    bystander.kill()
    bystander.wait()


def names(run: str) -> list[str]:
    return [f"spent-x.{run}.budget", f"echo.{run}.log", f"echo.{run}.lock"]


def test_files_of_runs_elsewhere_are_left_alone_and_those_of_dead_runs_here_go(tmp_path: Path) -> None:
    folder = tmp_path / "services"
    folder.mkdir()
    alive = run_name()
    pid, mark, tick, token = alive.split("-")
    dead = [f"{2**22 + 1}-{mark}-{tick}-{token}", f"{pid}-{mark}-1-{token}"]
    elsewhere = [f"{number}-{'0' * 12}-{tick}-{token}" for number in (pid, 2**22 + 1)]
    unknown = [f"{2**22 + 1}-{token}", f"x-{mark}-{tick}-{token}", "run", f"-{mark}--"]
    for run in (alive, *dead, *elsewhere, *unknown):
        for name in names(run):
            (folder / name).touch()
    sweep(tmp_path)
    left = {name for run in (alive, *elsewhere, *unknown) for name in names(run)}
    assert {path.name for path in folder.iterdir()} == left
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    sweep(tmp_path)
    assert {path.name for path in folder.iterdir()} == set(names(alive))


def test_a_damaged_state_ends_no_process_and_no_run(tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    here, path = Process.of(bystander.pid), tmp_path / "services" / "echo.json"
    path.parent.mkdir()
    write_state(path, State("echo", here, here, here, 8000))
    whole = path.read_bytes()
    assert read_state(path) == State("echo", here, here, here, 8000)
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        assert read_state(path) in (None, State("echo", here, here, here, 8000))
    for text in ("{}", "[]", "3", "null", "", '{"na', "[" * 100_000, whole.decode().replace("8000", "null")):
        path.write_text(text)
        assert (read_state(path), sweep(tmp_path)) == (None, [])
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_services_of_a_run_that_starts_none_cost_nothing(tmp_path: Path) -> None:
    services = Services(tmp_path)
    services.keep_only(())
    services.close()
    assert not list(tmp_path.iterdir())
    stop(tmp_path / "none.json")


def test_a_light_step_in_a_fork_of_this_process_reaches_a_service(tmp_path: Path) -> None:
    class Here(Ask):
        heavy = False

    run = Pipeline("p", outputs={"a": Here(Served("x"))}).run(store=tmp_path, threads=1)
    assert metrics(run, "a")["step"] != os.getpid()
    assert gone(metrics(run, "a")["server"], 0)
