"""The chat asks servers on this machine and those that the user names, sends no other key, and streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faulty_server import faulty_server
from potstill import Endpoint, Pipeline, Step
from potstill.engine.pipeline import open_store
from potstill.engine.progress import Silent
from potstill.errors import BadInput
from potstill.looking.all_runs import all_runs, steps_with_artifacts
from potstill.teachers.protocol import Request, Sampling
from potstill.ui.chat_endpoints import allowed_of, key_variable_for
from potstill.ui.chat_models import ChatModel, models_of
from potstill.ui.chat_worker import teacher_of


class Ask(Step):
    """Stands for a step that asked a teacher."""

    teacher: Endpoint

    def run(self) -> Any:
        return [{"asked": True}]


def offered(folder: Path, teacher: Endpoint, *endpoints: str) -> list[ChatModel]:
    Pipeline("talk", outputs={"asked": Ask(teacher, name="asked")}).run(store=folder, watcher=Silent())
    steps = steps_with_artifacts(open_store(folder), all_runs(open_store(folder))[0])
    return models_of(steps, allowed_of(endpoints))


def test_only_named_servers_are_offered_and_the_store_names_no_key(tmp_path: Path) -> None:
    teacher = Endpoint("https://llm.example/v1", "m", api_key_env="AWS_SECRET_ACCESS_KEY", system="Be brief.")
    assert offered(tmp_path, teacher) == []
    assert offered(tmp_path, teacher, "https://llm.example.org/v1", "http://llm.example/v1") == []
    (model,) = offered(tmp_path, teacher, "https://llm.example/v1")
    assert (model.engine, model.settings["api_key_env"], model.settings["system"]) == ("Endpoint", "", "Be brief.")
    (keyed,) = offered(tmp_path, teacher, "https://llm.example/v1,MY_KEY")
    assert keyed.settings["api_key_env"] == "MY_KEY"
    assert not {"insecure", "redirect_hosts", "extra_headers", "api_key_header"} & set(keyed.settings)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1.evil.org/v1", "https://127.0.0.1@evil.org/v1", "file:///etc/passwd", "https://[::1/v1"]
)
def test_addresses_that_only_look_local_are_not_asked(url: str) -> None:
    assert key_variable_for(url, ()) is None


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(BadInput, match="no http or https address"):
        allowed_of(["llm.example"])


@pytest.mark.parametrize("streams", [True, False])
def test_a_server_on_this_machine_answers_without_any_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streams: bool
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-secret-of-mine")
    texts: list[str] = []
    with faulty_server(streams=streams) as server:
        (model,) = offered(tmp_path, Endpoint(server.url, "m"))
        teacher = teacher_of({"engine": model.engine, "model": model.model, "settings": model.settings})
        with teacher.open(threads=1) as session:
            request = Request([{"role": "user", "content": "turn it on"}], Sampling(max_tokens=8))
            response = session.stream(request, texts.append)  # type: ignore[attr-defined]
    assert (response.text, response.finish_reason) == ("re: turn it on", "stop")
    assert texts == (["re:", "re: turn", "re: turn it", "re: turn it on"] if streams else [])
    assert server.keys == {""}
