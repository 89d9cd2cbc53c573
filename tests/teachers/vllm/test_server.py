"""A server that Potstill starts: asked what the engine is asked, it answers the same; it dies with its run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from potstill import VLLM
from potstill.data import home
from potstill.engine.processes import Process, group_members
from potstill.engine.running import services
from potstill.errors import BadInput, PotstillError
from potstill.prompts import render
from potstill.teachers.openai.endpoint import Endpoint
from potstill.teachers.openai.pool import Pool
from potstill.teachers.protocol import Request, Response, Sampling, Structured
from potstill.teachers.vllm import replicas

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

FOLDER = home.FOLDER / "teacher"
GREEDY = Sampling(max_tokens=48)
COMMANDS = [
    "turn on the lamp in the kitchen",
    "set the heating in the bedroom to 21 degrees",
    "open the blinds halfway",
    "start the vacuum",
    "brew four cups of coffee",
    "make the moon brighter",
]
SMALL: dict[str, Any] = {"max_model_length": 512, "max_num_seqs": 16, "kv_cache_gib": 0.2}


def teacher(mode: Any = "server", **fields: Any) -> VLLM:
    return VLLM(str(FOLDER), mode=mode, **SMALL | fields)


def request(text: str, sampling: Sampling = GREEDY, **more: Any) -> Request:
    return Request(render("home.jinja", {"instruction": text}), sampling, **more)


def answers(session: Any, requests: list[Request]) -> list[Response]:
    actual = dict(session.generate(requests))
    assert sorted(actual) == list(range(len(requests)))
    return [actual[index] for index in range(len(requests))]


@pytest.fixture(scope="module")
def access() -> Iterator[services.Access]:
    with services.private() as result:
        yield result


@pytest.fixture(scope="module")
def served(access: services.Access) -> Iterator[Any]:
    with services.within(access), teacher().open(threads=1) as session:
        yield session


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    with teacher("offline").open(threads=1) as session:
        yield session


@pytest.fixture
def restarted(served: Any, access: services.Access) -> Iterator[None]:
    """Let a test reach the server as a further step would."""
    with services.within(access):
        yield


def differences(ours: Response, theirs: Response) -> list[str]:
    """Both may compute in different batches, so figures agree to the last bits of the type and no further."""
    exact = ("text", "finish_reason", "prompt_tokens", "completion_tokens", "retryable")
    actual = [name for name in exact if getattr(ours, name) != getattr(theirs, name)]
    for name in ("token_ids", "top_ids", "top_logprobs", "token_logprobs"):
        one, other = getattr(ours, name), getattr(theirs, name)
        if one is None or other is None:
            alike = one is other
        elif (one.dtype, one.shape) != (other.dtype, other.shape):
            alike = False
        elif name == "token_ids":
            alike = np.array_equal(one, other)
        else:
            alike = name == "top_ids" or np.allclose(
                one.astype(np.float32), other.astype(np.float32), atol=0.05, equal_nan=True
            )
        actual += [] if alike else [name]
    return actual


def test_greedy_answers_are_those_of_the_engine(served: Any, engine: Any) -> None:
    asked = [request(command) for command in COMMANDS]
    asked += [request(COMMANDS[0], Sampling(max_tokens=3)), request(COMMANDS[1], Sampling(stop=('"room"',)))]
    asked += [request(COMMANDS[0], Sampling(max_tokens=24, presence_penalty=2.0))]
    for ours, theirs in zip(answers(served, asked), answers(engine, asked), strict=True):
        assert differences(ours, theirs) == []
    assert json.loads(answers(served, asked[:1])[0].text)["device"] == "light"


def test_log_probabilities_are_those_of_the_engine(served: Any, engine: Any) -> None:
    asked = [request(command, Sampling(max_tokens=48, top_k=32)) for command in COMMANDS]
    for ours, theirs in zip(answers(served, asked), answers(engine, asked), strict=True):
        assert differences(ours, theirs) == []
        assert ours.top_ids is not None and theirs.top_ids is not None
        assert np.array_equal(ours.top_ids[:, 0], theirs.top_ids[:, 0])
        assert np.mean([len(set(a) & set(b)) for a, b in zip(ours.top_ids, theirs.top_ids, strict=True)]) > 31


def test_given_texts_are_scored_as_by_the_engine(served: Any, engine: Any) -> None:
    text = '{"device":"light","room":"kitchen","action":"on","value":null}'
    asked = [request(COMMANDS[0], Sampling(top_k=k), continuation=text) for k in (0, 8)]
    for ours, theirs in zip(answers(served, asked), answers(engine, asked), strict=True):
        assert differences(ours, theirs) == []
    assert float(np.exp(answers(served, asked)[0].token_logprobs).min()) > 0.5  # type: ignore[arg-type]


def test_answers_are_held_to_a_form(served: Any) -> None:
    schema = json.dumps(
        {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
    )
    forms = [Structured(json_schema=schema), Structured(regex="(yes|no)!"), Structured(choice=("left", "right"))]
    schemed, matched, chosen = answers(served, [request("x", Sampling(structured=form)) for form in forms])
    assert isinstance(json.loads(schemed.text)["n"], int)
    assert matched.text in ("yes!", "no!")
    assert chosen.text in ("left", "right")
    bad, good = answers(served, [request("x", Sampling(structured=Structured(regex="(("))), request(COMMANDS[0])])
    assert (bad.finish_reason, bad.retryable, good.finish_reason) == ("error", False, "stop")


def test_sampling_follows_the_seed(served: Any) -> None:
    hot = Sampling(temperature=2.0, max_tokens=24)
    first, again = ([request(COMMANDS[0], hot, seed=seed) for seed in range(6)] for _ in range(2))
    texts = [response.text for response in answers(served, first + again)]
    assert texts[:6] == texts[6:]
    assert len(set(texts)) > 1


def test_a_row_that_is_too_long_is_lost_alone_and_says_how_long_it_is(served: Any, engine: Any) -> None:
    asked = [request("lamp " * 600), request(COMMANDS[0]), request("on " * 120, Sampling(max_tokens=5000))]
    ours = answers(served, asked)
    assert (ours[0].finish_reason, ours[0].retryable) == ("error", False)
    assert "tokens, and the model takes 512" in ours[0].text
    for one, other in zip(ours, answers(engine, asked), strict=True):
        assert differences(one, other) == []


def test_the_key_is_nowhere_but_in_environments(served: Any, access: services.Access) -> None:
    import urllib.error
    import urllib.request

    (state,) = [json.loads(path.read_text()) for path in access.folder.glob("*.json")]
    text = "".join(path.read_text() for path in access.folder.iterdir())
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in group_members(state["server"]["pid"])]
    assert len(access.secret) >= 32
    assert access.secret not in text + repr(served) + repr(access) + "".join(commands)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://127.0.0.1:{state['port']}/v1/models")


def test_another_step_finds_the_server_up(restarted: None, access: services.Access) -> None:
    before = [path.read_text() for path in access.folder.glob("*.json")]
    started = time.monotonic()
    other = teacher(system="Be brief.")
    assert other.service_gpus() == teacher().service_gpus() != teacher(max_num_seqs=8).service_gpus()
    assert teacher("offline").service_gpus() == {}
    with other.open(threads=1) as session:
        assert answers(session, [request(COMMANDS[0])])[0].prompt_tokens > 0
    assert time.monotonic() - started < 20
    assert [path.read_text() for path in access.folder.glob("*.json")] == before


@pytest.fixture
def endpoint(served: Any, access: services.Access, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Endpoint]:
    """Return a function that makes an endpoint of the running server."""
    monkeypatch.setenv("SERVER_KEY", access.secret)
    (state,) = [json.loads(path.read_text()) for path in access.folder.glob("*.json")]

    def make(model: str = "teacher", **fields: Any) -> Endpoint:
        return Endpoint(f"http://127.0.0.1:{state['port']}/v1", model, **{"api_key_env": "SERVER_KEY", **fields})

    return make


def through(endpoint: Endpoint, requests: list[Request]) -> list[Response]:
    with endpoint.open(threads=1) as session:
        return answers(session, requests)


def test_an_endpoint_of_it_answers_as_the_engine_does(endpoint: Any, engine: Any) -> None:
    asked = [request(command, Sampling(max_tokens=48, top_k=8)) for command in COMMANDS] * 3
    for ours, theirs in zip(through(endpoint(vllm=True), asked), answers(engine, asked), strict=True):
        assert differences(ours, theirs) == []
    plain = [request(command) for command in COMMANDS]
    pool = Pool([endpoint(concurrency=2), endpoint(concurrency=3)])
    with pool.open(threads=1) as session:
        for ours, theirs in zip(answers(session, plain), answers(engine, plain), strict=True):
            assert differences(ours, theirs) == []


def test_an_endpoint_of_it_completes_and_holds_to_forms(endpoint: Any) -> None:
    rendered = Request([{"role": "user", "content": "turn on"}], Sampling(max_tokens=4, top_k=3))
    (response,) = through(endpoint(api="completions", vllm=True), [rendered])
    assert response.completion_tokens == 4
    assert response.top_ids.shape == (4, 3)  # type: ignore[union-attr]
    schema = json.dumps(
        {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
    )
    (schemed,) = through(endpoint(), [request("x", Sampling(structured=Structured(json_schema=schema)))])
    assert isinstance(json.loads(schemed.text)["n"], int)
    (chosen,) = through(endpoint(vllm=True), [request("x", Sampling(structured=Structured(choice=("on", "off"))))])
    assert chosen.text in ("on", "off")


def test_an_endpoint_of_it_says_what_is_wrong(endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=r"404.*the models that it knows: teacher"):
        through(endpoint("no-such-model"), [request("x")])
    overflow, fine = through(endpoint(), [request("lamp " * 600), request(COMMANDS[0])])
    assert (overflow.finish_reason, overflow.retryable, fine.finish_reason) == ("error", False, "stop")
    assert "context overflow" in overflow.text
    assert "512 tokens" in overflow.text
    monkeypatch.setenv("SERVER_KEY", "wrong-key")
    with pytest.raises(BadInput, match=r"401.*check the key in the variable SERVER_KEY") as caught:
        through(endpoint(), [request("x")])
    assert "wrong-key" not in str(caught.value)


def test_a_server_that_dies_ends_the_step_with_its_last_lines(
    restarted: None, served: Any, access: services.Access
) -> None:
    state = json.loads(next(access.folder.glob("*.json")).read_text())

    def requests() -> Iterator[Request]:
        for number in range(400):
            if number == 200:
                os.killpg(state["server"]["pid"], signal.SIGKILL)
            yield request(COMMANDS[0], Sampling(max_tokens=48, temperature=1.0), seed=number)

    done = []
    with pytest.raises(PotstillError, match=r"(?s)the server of .* ended with SIGKILL.*last printed"):
        for index, _ in served.generate(requests()):
            done.append(index)
    assert done


def test_a_model_that_can_not_be_served_says_why(access: services.Access) -> None:
    with (
        services.within(access),
        pytest.raises(PotstillError, match=r"the server of .* ended before it was ready") as caught,
        teacher(dtype="float7").open(threads=1),
    ):
        pass
    assert "float7" in str(caught.value)


PIPELINE = """
from potstill import VLLM, Pipeline
from potstill.steps import LoadSeeds, PseudoLabel

teacher = VLLM({folder!r}, mode="server", max_model_length=512, max_num_seqs=4, kv_cache_gib=0.1)
rows = PseudoLabel(LoadSeeds({rows!r}, fields=("instruction",)), teacher=teacher, prompt="home.jinja", max_tokens=64)
pipeline = Pipeline("served", outputs={{"rows": rows}})
"""


def test_no_server_remains_after_kill_9_and_the_next_run_goes_on(tmp_path: Path) -> None:
    store, file, rows = tmp_path / "store", tmp_path / "pipeline.py", tmp_path / "rows.jsonl"
    count = 60
    texts = [{"id": str(n), "instruction": f"set the oven to {n} degrees"} for n in range(count)]
    rows.write_text("\n".join(map(json.dumps, texts)))
    file.write_text(PIPELINE.format(folder=str(FOLDER), rows=str(rows)))
    command = [sys.executable, "-m", "potstill", "run", f"{file}:pipeline", "--store", str(store)]
    first = subprocess.Popen([*command, "--json"], stdout=subprocess.DEVNULL, start_new_session=True)
    journalled = wait_for_rows(store, first)
    (state,) = [json.loads(path.read_text()) for path in (store / "services").glob("*.json")]
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    deadline = time.monotonic() + 10
    while (group_members(state["server"]["pid"]) or Process(**state["keeper"]).alive()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not group_members(state["server"]["pid"])
    assert not Process(**state["keeper"]).alive()
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stderr[-2000:]
    path = Path(json.loads(done.stdout.splitlines()[-1])["outputs"]["rows"]["path"])
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["rows"] == count
    assert manifest["notes"]["usage"]["cached"] >= journalled
    assert manifest["notes"]["usage"]["calls"] + manifest["notes"]["usage"]["cached"] == count
    assert not (store / "services").exists()


def wait_for_rows(store: Path, run: subprocess.Popen[bytes]) -> int:
    from potstill.engine.store.journal import Journal

    deadline = time.monotonic() + 1800
    while time.monotonic() < deadline and run.poll() is None:
        rows = Journal(store / "journal.sqlite").count("responses")
        if rows:
            return rows
        time.sleep(0.1)
    raise AssertionError("nothing was answered")


def test_the_server_is_told_all_that_the_model_would_else_say() -> None:
    command = replicas.service_of(teacher(), 3)
    assert command.environment["OMP_NUM_THREADS"] == "3"
    assert command.secret_variable == "VLLM_API_KEY"
    assert "--host" in command.command
    assert "127.0.0.1" in command.command
