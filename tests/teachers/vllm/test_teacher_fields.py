"""The teacher's fields: the server's command line, what its identity covers, and what is refused before it starts."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

import tiny
from potstill.errors import BadInput, MissingExtra
from potstill.teachers.protocol import with_system
from potstill.teachers.vllm.settings import Speculative
from potstill.teachers.vllm.teacher import VLLM

HOME = Path(__file__).parents[3] / "src" / "potstill" / "data" / "home" / "teacher"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.causal_lm(tmp_path_factory.mktemp("model") / "tiny")


def values(line: list[str]) -> dict[str, str]:
    return dict(option.removeprefix("--").partition("=")[::2] for option in line)


def test_the_server_gets_every_field_on_its_command_line(folder: Path) -> None:
    plain = values(VLLM(folder).server_arguments())
    assert plain["model"] == str(folder)
    assert plain["served-model-name"] == "teacher"
    assert plain["enable-prefix-caching"] == ""
    assert plain["logprobs-mode"] == "raw_logprobs"
    assert not {"lora-modules", "speculative-config", "revision", "quantization", "host", "port", "api-key"} & set(
        plain
    )
    teacher = VLLM(
        folder,
        mode="server",
        dtype="float32",
        quantization="fp8",
        max_model_length=99,
        max_num_seqs=7,
        kv_cache_gib=0.5,
        memory_fraction=0.4,
        tensor_parallel=2,
        data_parallel=3,
        prefix_caching=False,
        enforce_eager=False,
        thinking=False,
        speculative=Speculative("draft_model", 2, folder),
        seed=5,
        trust_remote_code=True,
    )
    chosen = values(teacher.server_arguments())
    expected = {
        "dtype": "float32",
        "quantization": "fp8",
        "max-model-len": "99",
        "max-num-seqs": "7",
        "kv-cache-memory-bytes": str(2**29),
        "gpu-memory-utilization": "0.4",
        "tensor-parallel-size": "2",
        "data-parallel-size": "3",
        "no-enable-prefix-caching": "",
        "no-enforce-eager": "",
        "seed": "5",
        "trust-remote-code": "",
        "max-logprobs": "-1",
    }
    assert expected.items() <= chosen.items()
    assert json.loads(chosen["speculative-config"]) == {
        "method": "draft_model",
        "num_speculative_tokens": 2,
        "model": str(folder),
    }
    assert json.loads(chosen["default-chat-template-kwargs"]) == {"enable_thinking": False}


def test_the_server_knows_the_adapter_by_the_teachers_name(tmp_path: Path) -> None:
    adapter = fake_adapter(tmp_path / "adapter", rank=20)
    line = values(VLLM(HOME, lora=adapter).server_arguments())
    assert line["served-model-name"] != "teacher"
    assert json.loads(line["lora-modules"]) == {"name": "teacher", "path": str(adapter)}
    assert (line["enable-lora"], line["max-lora-rank"]) == ("", "32")


@pytest.mark.vllm
def test_vllms_server_understands_the_command_line(folder: Path, tmp_path: Path) -> None:
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    adapter = fake_adapter(tmp_path / "adapter", rank=8)
    teacher = VLLM(folder, lora=adapter, max_model_length=99, speculative=Speculative(), thinking=True)
    parsed = make_arg_parser(FlexibleArgumentParser()).parse_args(teacher.server_arguments())
    assert parsed.model == str(folder)
    assert parsed.lora_modules[0].path == str(adapter)
    assert (parsed.max_logprobs, parsed.max_model_len, parsed.max_lora_rank) == (-1, 99, 8)
    assert parsed.speculative_config["method"] == "ngram"
    assert parsed.default_chat_template_kwargs == {"enable_thinking": True}


def fake_adapter(folder: Path, rank: int) -> Path:
    """Make a folder that has an adapter's files."""
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": 4, "rank_pattern": {"q_proj": rank}}))
    (folder / "adapter_model.safetensors").write_bytes(bytes(rank))
    return folder


def test_identity_covers_what_changes_the_answer(folder: Path, tmp_path: Path) -> None:
    base = VLLM(folder).identity()
    how = VLLM(
        str(folder),
        mode="server",
        max_num_seqs=3,
        kv_cache_gib=9,
        enforce_eager=False,
        seed=4,
        prefix_caching=False,
        data_parallel=2,
        tensor_parallel=2,
        memory_fraction=0.5,
    )
    assert how.identity() == base
    adapter, other_adapter = fake_adapter(tmp_path / "a", 8), fake_adapter(tmp_path / "b", 16)
    assert VLLM(folder, lora=adapter).identity() == VLLM(folder, lora=str(adapter)).identity()
    assert VLLM(folder, lora=adapter).identity() != VLLM(folder, lora=other_adapter).identity()
    for other in (
        VLLM(folder, lora=adapter),
        VLLM(folder, speculative=Speculative()),
        VLLM(folder, speculative=Speculative(model=folder)),
        VLLM(folder, thinking=True),
        VLLM(folder, system="x"),
        VLLM(folder, dtype="float32"),
        VLLM(folder, quantization="fp8"),
        VLLM(folder, max_model_length=9),
        VLLM(folder, trust_remote_code=True),
        VLLM(tiny.causal_lm(tmp_path / "other", seed=1)),
    ):
        assert other.identity() != base


def test_a_path_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        VLLM(str(tmp_path / "nothing")).identity()


def test_a_folder_that_is_no_adapter(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        VLLM(folder, lora=tmp_path / "nothing").identity()
    with pytest.raises(BadInput, match=r"adapter_config\.json"):
        VLLM(folder, lora=folder).identity()


def test_an_adapter_of_too_high_a_rank(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="rank 600"):
        VLLM(HOME, lora=fake_adapter(tmp_path / "adapter", rank=600)).server_arguments()


def test_data_parallel_needs_a_server(folder: Path) -> None:
    assert "mode='server'" in str(*VLLM(folder, data_parallel=2).check())
    assert not list(VLLM(folder, data_parallel=2, mode="server").check())


@pytest.mark.parametrize(("driver", "extra"), [("/usr/bin/nvidia-smi", "gpu"), (None, "cpu")])
def test_without_vllm_the_pip_line_fits_the_machine(
    folder: Path, monkeypatch: pytest.MonkeyPatch, driver: str | None, extra: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: driver)
    assert f"potstill[{extra}]" in str(*VLLM(folder).check())


def test_without_vllm_the_pip_line_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import potstill.teachers.vllm.engine  # noqa: F401 - below nothing can be imported

    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [])
    assert "pip install" in str(*VLLM(folder).check())
    with pytest.raises(MissingExtra, match=r'pip install "potstill\[(cpu|gpu)\]"'), VLLM(folder).open(threads=1):
        pass


def test_a_system_prompt_goes_first() -> None:
    user = {"role": "user", "content": "u"}
    assert with_system("", [user]) == [user]
    assert with_system("s", [user]) == [{"role": "system", "content": "s"}, user]
    assert with_system("s", [{"role": "system", "content": "t"}, user])[0]["content"] == "s\n\nt"
