#!/usr/bin/env bash
# Runs what needs no torch (engine, data steps, endpoints, texts) on each other Python that Potstill supports and that
# is installed here; says which. The environments are made anew in a temporary folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

TESTS=(tests/engine/code tests/engine/keys tests/engine/rows tests/engine/store tests/engine/test_*.py
    tests/steps/loading tests/steps/rows tests/teachers/openai tests/text tests/labelling tests/prompts)

for minor in 12 13; do
    python=$(compgen -G "$HOME/.pyenv/versions/3.$minor.*/bin/python" | sort -V | tail -1 || true)
    python=${python:-$(command -v "python3.$minor" || true)}
    if [ -z "$python" ] || ! "$python" -c '' 2>/dev/null; then
        echo "== Python 3.$minor is not installed here: not tried"
        continue
    fi
    echo "== $("$python" --version)"
    "$python" -m venv "$work/$minor"
    "$work/$minor/bin/python" -m pip --disable-pip-version-check install --quiet --constraint constraints.txt \
        --editable ".[data]" pytest pytest-xdist pillow rouge-score scipy
    "$work/$minor/bin/python" -m pytest -n 2 --dist loadfile -m "not slow and not vllm" "${TESTS[@]}"
done
