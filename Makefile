# make demo    the main job on the embedded teacher: offline, on a CPU
# make test    all tests, those that start vLLM and the slow ones included
# make check   for work in between, under two minutes: ruff, mypy, imports, unused code and dependencies, quick tests
# All make .venv first where it is missing or outdated; PYTHON=/path/to/python3.11 says which Python to make it with.

export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

# what breaks most often, far from where it was changed: the graph, keys, plans, the loader, lists of what there is
QUICK := $(addprefix tests/,$(addsuffix .py,compression/pruning/test_wanda engine/code/test_code \
	engine/keys/test_golden_keys engine/keys/test_golden_store engine/store/test_artifacts engine/test_annotations \
	engine/test_arguments engine/test_digests engine/test_encoding engine/test_field_texts engine/test_graph \
	docs/test_site engine/test_loader engine/test_plan engine/test_settings engine/test_validate models/test_chat \
	steps/rows/test_columns test_extras test_lazy_names test_moved test_project test_readme trainers/losses/test_losses))

.PHONY: demo test check

demo:
	@scripts/setup.sh
	.venv/bin/potstill demo

test:
	@scripts/setup.sh tests
	.venv/bin/python -m pytest -m "not index" -n 2 --dist loadfile --no-loadscope-reorder

# mypy from nothing takes a minute, so it has one processor and the tests the other
check:
	@scripts/setup.sh tests
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports
	.venv/bin/vulture --config .ci/vulture.toml
	.venv/bin/deptry src
	.venv/bin/mypy --strict & mypy=$$!; \
	.venv/bin/python -m pytest -m "not slow and not vllm" $(QUICK); tests=$$?; \
	wait $$mypy && exit $$tests
