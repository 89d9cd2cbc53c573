# make demo    the main job on the embedded teacher: offline, on a CPU
# make test    all tests, those that start vLLM and the slow ones included
# Both make .venv first where it is missing or outdated; PYTHON=/path/to/python3.11 says which Python to make it with.

export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: demo test

demo:
	@scripts/setup.sh
	.venv/bin/potstill demo

test:
	@scripts/setup.sh tests
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
