"""What compression writes is loaded by vLLM, in one process for all, and answers as the model in memory does."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM

import compressing
import tiny
from kernels import HAS_EXACT_INT8, HAS_INT4
from potstill.compression.cpu_kernels import unserved
from potstill.data import home
from potstill.steps import MixedPrecision, QuantizeInt4, QuantizeInt8, SparseGPTPrune, WidthPrune

IDS = list(range(5, 60))
SERVE = """
import gc, json, sys
if __name__ == "__main__":
    from vllm import LLM, SamplingParams
    ids = json.loads(sys.argv[1])
    for folder in sys.argv[2:]:
        llm = LLM(folder, enforce_eager=True, max_model_len=128, max_num_seqs=4, dtype="bfloat16")
        made = llm.generate([{"prompt_token_ids": ids}], SamplingParams(max_tokens=1, prompt_logprobs=0))[0]
        print("FOUND" + json.dumps([entry[token].logprob for token, entry in zip(ids[1:], made.prompt_logprobs[1:])]))
        del llm
        gc.collect()
"""


def made(kind, folder, tmp_path, name, **fields):
    """Run the step `kind`; return its folder."""
    rows = compressing.rows()
    step = kind(str(folder), calibration=rows, **fields)
    return step.run(model=str(folder), calibration=rows, context=compressing.context(tmp_path, name))


@pytest.mark.vllm
@pytest.mark.slow
def test_vllm_gives_the_log_probabilities_of_the_models_in_memory(tmp_path):
    small = tiny.causal_lm(tmp_path / "model", layers=1)
    sizes = {"intermediate_size": 192, "heads": 2, "hidden_size": 96, "align": 32}
    folders = {
        "int8, SmoothQuant": made(QuantizeInt8, small, tmp_path, "int8", smoothquant=0.5),
        "int4, AWQ, zero points": made(QuantizeInt4, small, tmp_path, "int4", method="awq", symmetric=False),
        "int4, GPTQ by default": made(QuantizeInt4, small, tmp_path, "gptq"),
        "4, 8 and 16 bits": made(MixedPrecision, small, tmp_path, "mixed", choices=(4, 8, 16), bits=8.0),
        "2:4 zeros, int4": made(SparseGPTPrune, small, tmp_path, "sparse", pattern="2:4", bits=4),
        "narrower": made(WidthPrune, home.FOLDER / "base", tmp_path, "narrow", **sizes),
    }
    folders = {name: folder for name, folder in folders.items() if HAS_INT4 or not unserved(folder)}
    script = tmp_path / "serve.py"
    script.write_text(SERVE)
    settings = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(IDS), *map(str, folders.values())],
        env={**os.environ, **settings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    lines = [line.removeprefix("FOUND") for line in done.stdout.splitlines() if line.startswith("FOUND")]
    assert len(lines) == len(folders), done.stderr[-3000:]
    ids = torch.tensor(IDS)
    for (name, folder), line in zip(folders.items(), lines, strict=True):
        (logits,) = compressing.logits(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16), [ids])
        mine = logits[:-1].log_softmax(-1).gather(1, ids[1:, None])[:, 0]
        # the cut base model is sure of its tokens, and bfloat16 rounds large logits more: 0.25 apart from 32 on, where
        # a processor without AVX-512 adds them up in another order
        narrow = 0.1 if HAS_INT4 else 0.25
        rounding = narrow if name == "narrower" else 0.1 if name.startswith("int8") and not HAS_EXACT_INT8 else 0.02
        assert (torch.tensor(json.loads(line)) - mine).abs().max() < rounding, name
