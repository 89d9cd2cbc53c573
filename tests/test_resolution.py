"""Each extra can be installed with the pinned versions on every supported Python: a resolver's dry run.

It asks the package index for metadata and downloads no package. torch is left out but for `gpu`, as scripts/setup.sh
installs its CPU build before all else, which pip's index does not have.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
UV = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
UNREACHABLE = re.compile(r"error sending request|Failed to fetch|dns error|timed out|Connection refused", re.IGNORECASE)

pytestmark = [pytest.mark.index, pytest.mark.skipif(UV is None, reason="uv is not installed")]


def pins(extra: str, folder: Path) -> list[str]:
    """Return the options that hold an extra to the tested versions."""
    common = (ROOT / "constraints.txt").read_text()
    if extra != "gpu":
        folder.joinpath("without-torch.txt").write_text("torch; sys_platform == 'none'\n")
        return ["--constraint", str(ROOT / "constraints.txt"), "--override", str(folder / "without-torch.txt")]
    for_gpus = (ROOT / "constraints-gpu.txt").read_text()  # over the others: of a package in both, these count
    names = {line.partition("==")[0] for line in for_gpus.splitlines()}
    others = [line for line in common.splitlines() if line.partition("==")[0] not in names]
    folder.joinpath("pins.txt").write_text("\n".join([for_gpus, *others]))
    return ["--constraint", str(folder / "pins.txt")]


@pytest.mark.parametrize("python", ["3.11.5", "3.12", "3.13"])  # mkdocs-material needs 3.11.5
@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_is_resolved(extra: str, python: str, tmp_path: Path) -> None:
    assert UV is not None
    # the interpreter runs what must be built to be read; what is resolved is for the other version
    interpreter = ["--python", sys.executable, "--no-python-downloads", "--python-version", python]
    quietly = ["--quiet", "--no-header", "--no-annotate", "--no-config"]
    command = [UV, "pip", "compile", "pyproject.toml", "--extra", extra, *pins(extra, tmp_path), *interpreter, *quietly]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip(f"the package index can't be reached: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    resolved = {line.partition("==")[0] for line in done.stdout.splitlines()}
    named = {re.split(r"[^\w-]", text)[0].lower().replace("_", "-") for text in EXTRAS[extra]}
    assert named - {"potstill", "torch"} <= resolved
