"""Several servers of one model: the same answers, GPUs of their own, and one that dies costs what it had in flight."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import running
import tiny
from potstill import VLLM, Pipeline
from potstill.data import home
from potstill.engine.encoding import digest
from potstill.engine.resources import GPUS, Machine, wanted
from potstill.engine.running import services
from potstill.errors import BadInput, PotstillError
from potstill.prompts import render
from potstill.steps import LoadSeeds, PseudoLabel
from potstill.teachers.placement import placed
from potstill.teachers.protocol import Request, Sampling
from potstill.teachers.vllm import replicas

FOLDER = home.FOLDER / "teacher"
SMALL: dict[str, Any] = {"max_model_length": 512, "max_num_seqs": 8, "kv_cache_gib": 0.1}


def teacher(**fields: Any) -> VLLM:
    return VLLM(str(FOLDER), **SMALL | fields)


def request(number: int) -> Request:
    text = render("home.jinja", {"instruction": f"set the heating to {number % 30} degrees"})
    return Request(text, Sampling(max_tokens=32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.causal_lm(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def access(tmp_path: Path) -> Iterator[services.Access]:
    with services.private() as result:
        yield result


def test_several_replicas_mean_servers_of_which_each_takes_gpus_of_its_own(folder: Path) -> None:
    many = VLLM(folder, tensor_parallel=2, replicas=3)
    own = placed(many, PseudoLabel(LoadSeeds("x"), teacher=many).placement())
    assert (own.heavy, own.gpus, own.server_gpus) == (True, 0, 6)
    assert set(many.service_gpus().values()) == {2}
    assert len(many.service_gpus()) == 3
    assert VLLM(folder, mode="server", data_parallel=2).server_gpus == 2
    assert VLLM(folder, tensor_parallel=2).gpus == 2
    step = PseudoLabel(LoadSeeds("x"), teacher=[many, VLLM(folder, tensor_parallel=4)])
    assert wanted(step, Machine(8, tuple("012345678"), 2**30)).gpus == 10
    assert wanted(step, Machine(8, (), 2**30)).gpus == 0


def test_a_run_with_one_and_with_two_replicas_shares_the_first(folder: Path) -> None:
    one, two = VLLM(folder, mode="server"), VLLM(folder, replicas=2)
    assert one.service_gpus().keys() < two.service_gpus().keys()


def test_identity_and_keys_do_not_depend_on_replicas(folder: Path) -> None:
    one, two = VLLM(folder), VLLM(folder, replicas=2)
    assert one.identity() == two.identity()
    assert digest(one) == digest(two)


def test_a_copy_in_one_server_needs_no_mode_beside_replicas(folder: Path) -> None:
    assert not [*VLLM(folder, replicas=2, data_parallel=2).check()]
    (problem,) = VLLM(folder, data_parallel=2).check()
    assert "mode='server'" in problem.message


def test_outside_of_a_run_each_replica_gets_its_part_of_the_gpus(
    folder: Path, access: services.Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GPUS, "0,1,2,GPU-x,4")
    many = VLLM(folder, replicas=2, tensor_parallel=2)
    given = replicas._with_devices(many, access).devices
    assert list(given.values()) == [("0", "1"), ("2", "GPU-x")]
    shared_out = replace(access, devices={"vllm-x": ("7",)})
    assert replicas._with_devices(many, shared_out) is shared_out
    with pytest.raises(BadInput, match=r"3 replicas take 6 GPUs, and there are 5: set replicas=2"):
        replicas._with_devices(VLLM(folder, replicas=3, tensor_parallel=2), access)
    monkeypatch.setenv(GPUS, "")
    assert replicas._with_devices(many, access) is access


def test_each_is_told_its_threads_and_says_which_it_is(folder: Path) -> None:
    first, second = (replicas.service_of(VLLM(folder, replicas=2), 3, number) for number in range(2))
    assert first.environment == second.environment
    assert first.command == second.command
    assert first.name != second.name
    assert second.label.endswith("(replica 2 of 2)")


@pytest.mark.vllm
@pytest.mark.slow
def test_replicas_answer_as_one_does_and_those_left_go_on_when_one_dies(access: services.Access) -> None:
    two, count = teacher(replicas=2), 160
    with services.within(access):
        with teacher(mode="server").open(threads=1) as session:
            expected = {index: response.text for index, response in session.generate(map(request, range(30)))}
        with two.open(threads=2) as session:
            states = [json.loads(access.path(name).read_text()) for name in two.service_gpus()]
            assert len({state["port"] for state in states}) == 2

            def asked() -> Iterator[Request]:
                for number in range(count):
                    if number == count // 2:
                        os.killpg(states[0]["server"]["pid"], signal.SIGKILL)
                    yield request(number)

            actual = dict(session.generate(asked()))
            assert sorted(actual) == list(range(count))
            assert {response.finish_reason for response in actual.values()} == {"stop"}
            assert all(response.text == expected[index % 30] for index, response in actual.items())
            os.killpg(states[1]["server"]["pid"], signal.SIGKILL)
            with pytest.raises(PotstillError, match=r"(?s)replica . of 2\) ended with SIGKILL.*Every answer so far"):
                list(session.generate(map(request, range(4))))
        with two.open(threads=2) as session:  # the next step starts them again
            assert len(list(session.generate(map(request, range(4))))) == 4


@pytest.mark.vllm
@pytest.mark.slow
def test_a_run_with_replicas_has_the_rows_of_a_run_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GPUS, "")
    rows = tmp_path / "rows.jsonl"
    texts = [{"id": str(n), "instruction": f"set the oven to {n} degrees"} for n in range(24)]
    rows.write_text("\n".join(map(json.dumps, texts)))

    def made(store: str, who: VLLM) -> Any:
        seeds = LoadSeeds(str(rows), fields=("instruction",))
        labels = PseudoLabel(seeds, teacher=who, prompt="home.jinja", max_tokens=32)
        with closing(running.Here()) as place:  # under several workers `__main__` has no file to start a process from
            return Pipeline("p", outputs={"rows": labels}).run(store=tmp_path / store, executor=place)["rows"]

    one, two = made("one", teacher()), made("two", teacher(replicas=2))
    assert one.key == two.key
    assert one.dataset().to_list() == two.dataset().to_list()
    assert not (tmp_path / "two" / "services").exists()
