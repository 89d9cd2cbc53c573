from __future__ import annotations

import json

import pytest

import exported
from potstill.compression.cpu_kernels import flags, int4_problem, unserved


def test_avx_512_serves_4_bits_and_avx2_does_not(tmp_path):
    old = tmp_path / "old"
    old.write_text("processor\t: 0\nflags\t\t: fpu sse avx2\nbugs\t\t:\n")
    new = tmp_path / "new"
    new.write_text("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16\n")
    assert flags(new) == {"fpu", "avx2", "avx512f", "avx512_bf16"}
    assert int4_problem(flags(new)) is None
    assert "no AVX-512" in (int4_problem(flags(old)) or "")


def test_where_nothing_can_be_read_nothing_is_said(tmp_path):
    assert int4_problem(flags(tmp_path / "missing")) is None


@pytest.mark.parametrize("knows", ["avx2", "avx2 avx512f"])
@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("bits", [4, 8, None])
def test_only_4_bits_on_a_processor_without_avx_512_are_not_served(tmp_path, monkeypatch, bits, gpu, knows):
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    processor = tmp_path / "cpuinfo"
    processor.write_text(f"flags : fpu {knows}\n")
    config = {} if bits is None else {"quantization_config": exported.quantization(bits)}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert bool(unserved(tmp_path, processor)) == (bits == 4 and not gpu and "avx512f" not in knows)


@pytest.mark.parametrize("config", [None, "", "[", "[1]"])
def test_a_folder_that_can_not_be_read_is_left_to_who_loads_it(tmp_path, config):
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    processor = tmp_path / "cpuinfo"
    processor.write_text("flags : fpu avx2\n")
    assert unserved(tmp_path, processor) is None


@pytest.mark.parametrize(("knows", "bits", "served"), [("avx512f", 8, False), ("avx512f amx_tile", 8, True)])
def test_quantized_experts_want_amx(tmp_path, monkeypatch, knows, bits, served):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    processor = tmp_path / "cpuinfo"
    processor.write_text(f"flags : fpu {knows}\n")
    config = {"num_experts": 4, "quantization_config": exported.quantization(bits)}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert (unserved(tmp_path, processor) is None) == served
    # in 16 bits they are served anywhere
    (tmp_path / "config.json").write_text(json.dumps({"num_experts": 4}))
    assert unserved(tmp_path, processor) is None
