"""Steps side by side on one machine: what each takes, what it sees, and that no GPU has two of them."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from potstill import Model, Pipeline, RequestError, Step
from potstill.engine.progress import Silent
from potstill.engine.records import Run
from potstill.engine.resources import GPUS, VISIBLE, Machine, Resources, available_memory, visible_gpus, wanted
from potstill.engine.running import forks
from potstill.engine.running.budget import Budget, Grant
from potstill.engine.running.executor import Local
from potstill.engine.running.services import current, named_in
from potstill.engine.step import Placement


class Seen(Step):
    """Says which devices it sees, and when it ran."""

    number: int = 0
    seconds: float = 0.0

    def run(self, context: Any) -> dict[str, Any]:
        began = time.time()
        time.sleep(self.seconds)
        threads = context.threads
        return {"sees": os.environ.get(VISIBLE, "all"), "began": began, "ended": time.time(), "threads": threads}


class HeavySeen(Seen):
    heavy = True


class TwoGpus(Seen):
    heavy = True
    gpus = 2


class OwnMemory(Step):
    """Has a parameter of its own by the name of a resource."""

    memory: int = 1
    heavy = True

    def run(self) -> dict[str, int]:
        return {"memory": self.memory}


@dataclass(frozen=True)
class Served:
    """A teacher behind servers."""

    servers: tuple[str, ...] = ()
    each: int = 1

    heavy = True
    gpus = 0

    @property
    def server_gpus(self) -> int:
        return self.each * len(self.servers)

    def service_gpus(self) -> Mapping[str, int]:
        return dict.fromkeys(self.servers, self.each)

    def identity(self) -> dict[str, list[str]]:
        return {"servers": list(self.servers)}


class Ask(Seen):
    teacher: Model = Served()
    heavy = True

    def placement(self) -> Placement:
        return Placement(heavy=True, gpus=0, server_gpus=self.teacher.server_gpus)  # type: ignore[union-attr]

    def run(self, teacher: Any, context: Any) -> dict[str, Any]:
        access = current()
        assert access is not None
        return {**super().run(context), "servers": {name: list(seen) for name, seen in access.devices.items()}}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    def go(outputs: Mapping[str, Step], gpus: str | None = "0,1", jobs: int = 4, **more: Any) -> Run:
        executor = Local(jobs, gpus=None if gpus is None else [name for name in gpus.split(",") if name], **more)
        try:
            return Pipeline("p", outputs=outputs).execute(
                store=tmp_path / "store", watcher=Silent(), executor=executor, jobs=jobs
            )
        finally:
            executor.close()

    return go


def metrics(run: Run, name: str) -> dict[str, Any]:
    return dict(json.loads((run[name].path / "metrics.json").read_text()))


def test_each_step_sees_its_own_devices_only(run: Any) -> None:
    steps = {"light": Seen(), "heavy": HeavySeen(), "told": Seen(1, gpus=1), "none": HeavySeen(2, gpus=0)}
    done = run(steps, "4,GPU-b")
    assert metrics(done, "light")["sees"] == metrics(done, "none")["sees"] == ""
    assert metrics(done, "heavy")["sees"] in ("4", "GPU-b")
    assert metrics(done, "told")["sees"] in ("4", "GPU-b")


class Plain(Step):
    number: int = 0

    def run(self) -> dict[str, int]:
        return {"number": self.number}


@pytest.mark.parametrize("gpus", ["0,1", ""], ids=["with GPUs", "without"])
def test_small_steps_share_a_process_on_a_machine_with_gpus_too(
    run: Any, gpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, fork = tmp_path / "forks", forks.Forks._fork_ahead

    def counted(self: Any) -> Any:
        with count.open("a") as file:
            file.write("fork\n")
        return fork(self)

    monkeypatch.setattr(forks.Forks, "_fork_ahead", counted)
    run({str(number): Plain(number) for number in range(6)}, gpus, jobs=1)
    assert len(count.read_text().splitlines()) < 4


def test_without_gpus_to_share_out_a_step_sees_what_the_run_does(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    assert metrics(run({"heavy": HeavySeen()}, ""), "heavy")["sees"] == "all"


def test_no_gpu_has_two_steps_at_a_time_and_all_are_used(run: Any) -> None:
    steps = {str(number): HeavySeen(number, 0.4) for number in range(4)} | {"wide": TwoGpus(9, 0.4)}
    ran = [metrics(run(steps), name) for name in steps]
    for one in ran:
        for other in ran:
            beside = one is not other and one["began"] < other["ended"] and other["began"] < one["ended"]
            assert not (beside and set(one["sees"].split(",")) & set(other["sees"].split(",")))
    assert {name for one in ran for name in one["sees"].split(",")} == {"0", "1"}
    assert sorted(len(one["sees"].split(",")) for one in ran) == [1, 1, 1, 1, 2]


def test_cores_and_memory_are_never_overdrawn(run: Any) -> None:
    steps = {str(number): Seen(number, 0.3, cpus=3, memory=2**20) for number in range(2)}
    first, second = (metrics(run(steps, cpus=4), name) for name in steps)
    assert first["threads"] == second["threads"] == 3
    assert first["ended"] <= second["began"] or second["ended"] <= first["began"]
    steps = {str(number): Seen(number, 0.3, memory=3 * 2**20) for number in (2, 3)}
    first, second = (metrics(run(steps, memory=5 * 2**20), name) for name in steps)
    assert first["ended"] <= second["began"] or second["ended"] <= first["began"]


def test_more_than_there_is_is_refused_with_all_problems_before_anything_runs(run: Any, tmp_path: Path) -> None:
    wide, large, many = HeavySeen(1, gpus=3), Seen(2, memory=2**60), Seen(3, cpus=4000)
    with pytest.raises(RequestError) as refused:
        run({"fine": Seen(), "a": wide, "b": large, "c": many})
    problems = {(problem.step, problem.field): problem.message for problem in refused.value.problems}
    assert set(problems) == {("outputs[a]", "gpus"), ("outputs[b]", "memory"), ("outputs[c]", "cpus")}
    assert "takes 3 GPUs, and there are 2 GPUs (0, 1): set gpus=2 or fewer" in problems["outputs[a]", "gpus"]
    assert not list((tmp_path / "store" / "artifacts").glob("*"))


def test_what_was_made_on_a_larger_machine_is_used_on_a_small_one(run: Any) -> None:
    steps = {"wide": HeavySeen(1, gpus=2)}
    assert [record.status for record in run(steps).records] == ["ran"]
    assert [record.status for record in run(steps, "").records] == ["hit"]


def test_keys_do_not_depend_on_resources(run: Any) -> None:
    first = run({"a": HeavySeen(), "b": TwoGpus()})
    again = run({"a": HeavySeen(cpus=2, gpus=2, memory=7), "b": TwoGpus(gpus=0)})
    assert [record.status for record in again.records] == ["hit", "hit"]
    assert first["a"].key == again["a"].key
    assert not {"cpus", "gpus", "memory"} & set(first["a"].manifest["params"])


def test_a_class_may_say_what_its_steps_take_and_its_key_does_not_change(run: Any) -> None:
    machine = Machine(8, ("0", "1", "2"), 2**30)
    assert wanted(TwoGpus(), machine).gpus == TwoGpus().gpus == 2
    assert wanted(TwoGpus(gpus=1), machine).gpus == 1

    class Changing(Seen):
        heavy = True
        gpus = 2

    before = run({"a": Changing()})["a"].key

    class Changing(Seen):  # type: ignore[no-redef]
        heavy = True
        gpus = 1

    assert run({"a": Changing()})["a"].key == before


def test_a_parameter_by_the_name_of_a_resource_is_the_class_s_own_and_keyed(run: Any) -> None:
    first, second = run({"a": OwnMemory(2**60)}), run({"a": OwnMemory(2)})
    assert first["a"].key != second["a"].key
    assert metrics(first, "a") == {"memory": 2**60}


@pytest.mark.parametrize("wrong", [{"gpus": -1}, {"cpus": 0}, {"gpus": "2"}, {"memory": 1.5}])
def test_resources_are_whole_numbers(wrong: Any) -> None:
    with pytest.raises(RequestError, match=next(iter(wrong))):
        Pipeline("p", outputs={"a": Seen(**wrong)}).check()


def test_a_step_that_loads_a_model_takes_a_gpu_only_where_there_is_one() -> None:
    many, none = Machine(8, ("0", "1"), 2**30), Machine(8, (), 2**30)
    assert wanted(HeavySeen(), many, 4) == Resources(4, 1)
    assert wanted(HeavySeen(), none, 4) == Resources(4, 0)
    assert wanted(Seen(), many, 4) == Resources(1, 0)
    assert wanted(HeavySeen(gpus=2), none).gpus == 2


def test_servers_keep_their_gpus_for_the_steps_that_share_them(run: Any) -> None:
    teacher = Served(("x", "y"))
    steps = {"a": Ask(0, 0.2, teacher), "b": Ask(1, 0.2, teacher)}
    a, b = (metrics(run(steps, "0,1,2"), name) for name in steps)
    assert a["servers"] == b["servers"]
    assert sorted(device for seen in a["servers"].values() for device in seen) == ["0", "1"]
    assert a["sees"] == b["sees"] == ""


def test_idle_servers_give_way_to_a_step_that_needs_their_gpus(run: Any) -> None:
    class After(HeavySeen):
        rows: Any = None

        def run(self, context: Any, rows: Any) -> dict[str, Any]:
            return super().run(context)

    asked = Ask(0, 0.0, Served(("x",), 2))
    done = run({"asked": asked, "after": After(0, 0.0, asked, gpus=2)})
    assert [record.status for record in done.records] == ["ran", "ran"]
    assert metrics(done, "after")["sees"] == "0,1"


def test_servers_of_one_step_share_gpus_where_there_are_too_few_for_all() -> None:
    budget, step, other = Budget(Machine(4, ("a", "b"), 5)), Seen(), Seen(1, gpus=1)
    assert budget.fits(step, {"x": 1, "y": 2})
    assert budget.take(step, {"x": 1, "y": 2}).services == {"x": ("a",), "y": ("a", "b")}
    assert not budget.fits(other, {})
    budget.give_back(id(step))
    assert not budget.fits(other, {})
    assert budget.fits(other, {}, idle=("x", "y"))
    assert budget.fits(step, {"x": 1, "y": 2})  # which have theirs


def test_services_are_named_with_their_gpus_at_any_depth() -> None:
    assert named_in([{"a": Served(("x",), 2)}, (Served(("y", "z")),), Served]) == {"x": 2, "y": 1, "z": 1}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({GPUS: "0,1", VISIBLE: "7"}, ("0", "1")),
        ({VISIBLE: "3, GPU-1"}, ("3", "GPU-1")),
        ({VISIBLE: ""}, ()),
        ({GPUS: ""}, ()),
        ({VISIBLE: "-1"}, ()),
        ({VISIBLE: "1,1"}, ("1",)),
    ],
)
def test_gpus_are_those_that_the_environment_names(
    variables: Mapping[str, str], expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (GPUS, VISIBLE):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert visible_gpus() == Local().budget.machine.gpus == expected


def test_memory_is_the_machine_s_at_most() -> None:
    assert 2**28 < available_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize("seed", range(200))
def test_whatever_comes_and_goes_the_budget_is_kept(seed: int) -> None:
    """Each event starts a step, if it fits, and may end the oldest before it."""
    drawn = random.Random(seed)
    machine = Machine(4, ("a", "b", "c", "d"), 5)
    budget = Budget(machine)
    running: list[tuple[Step, Grant]] = []
    servers: dict[str, tuple[str, ...]] = {}
    for _ in range(30):
        cpus, gpus, memory = drawn.randint(1, 4), drawn.randint(0, 4), drawn.randint(0, 5)
        service = drawn.choice(["", "x", "y"])
        if running and drawn.random() < 0.5:
            budget.give_back(id(running.pop(0)[0]))
        step, used = Seen(cpus=cpus, gpus=gpus, memory=memory), {service: 1} if service else {}
        if budget.fits(step, used):
            grant = budget.take(step, used)
            running.append((step, grant))
            servers |= grant.services
        taken = [device for _, grant in running for device in grant.devices or ()]
        taken += [device for devices in servers.values() for device in devices]
        assert len(taken) == len(set(taken)) <= 4
        assert all(len(grant.devices or ()) == one.gpus for one, grant in running)
        assert sum(one.cpus or 0 for one, _ in running) <= 4
        assert sum(one.memory or 0 for one, _ in running) <= 5
    for step, _ in running:
        budget.give_back(id(step))
    budget.give_back(*servers)
    assert budget.free() == machine


def test_an_interrupted_run_gives_everything_back(tmp_path: Path) -> None:
    class Stops(Step):
        started: Any = None
        unkeyed = frozenset({"started"})

        def run(self) -> Any:
            raise KeyboardInterrupt

    executor = Local(2, forks=False, gpus=["0"])
    with pytest.raises(KeyboardInterrupt):
        Pipeline("p", outputs={"a": Stops(threading.Event(), gpus=1)}).execute(
            store=tmp_path, watcher=Silent(), executor=executor
        )
    assert executor.budget.free() == executor.budget.machine
    executor.close()


def test_the_plan_says_what_steps_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GPUS, "0,1")
    light, wide, given = Seen(), TwoGpus(), Seen(1, cpus=1, memory=3 * 2**30)
    pipeline = Pipeline("p", outputs={"a": light, "b": wide, "c": given})
    planned = {step.name: step for step in pipeline.plan(store=tmp_path)}
    cores = Local().budget.machine.cpus
    assert planned["wide"].resources == Resources(cores, 2)
    assert planned["given"].as_json()["memory"] == 3 * 2**30
    assert str(planned["given"].resources) == "1 core, 3.0 GiB"
    assert str(planned["light"].resources) == "1 core"
