"""What lies beside the weights of an export: file digests and how to serve it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.engine.digests import file_digest, walk

if TYPE_CHECKING:
    from potstill.exporting.exporter import Serving

DIGESTS = "SHA256SUMS"
"""Digests of all other files, as `sha256sum --check` reads them."""
SERVE = "SERVE.md"
"""How to serve the model."""


def write_digests(folder: Path) -> Path:
    """Write the digests of all files of `folder`, and return the path."""
    lines = [f"{file_digest(path)}  {path.relative_to(folder)}" for path in walk(folder) if path.name != DIGESTS]
    (folder / DIGESTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / DIGESTS


def command_of(folder: Path) -> str:
    """Return the command that `SERVE.md` in `folder` says to run there: its second block."""
    # the first block installs the runtime, the second one runs it
    blocks = re.findall(r"^```(?:sh|python)\n(.*?)^```$", (folder / SERVE).read_text(encoding="utf-8"), re.S | re.M)
    return str(blocks[1]).strip()


def write_serving(folder: Path, serving: Serving, verdict: str) -> Path:
    """Write how to serve what is in `folder`, and what the check on this machine said; return the path."""
    lines = ["# Serving this model", "", serving.intro, "", "```sh", serving.install, "```", ""]
    lines += ["In this folder:", "", f"```{serving.language}", serving.command.strip(), "```", ""]
    lines += [serving.more.strip(), ""] if serving.more else []
    lines += [verdict, "", f"`sha256sum --check {DIGESTS}` says whether all files arrived whole.", ""]
    (folder / SERVE).write_text("\n".join(lines), encoding="utf-8")
    return folder / SERVE


def point_to_serving(card: Path) -> None:
    """Let the model card's last section send to `SERVE.md`: its own is about loading safetensors."""
    text = card.read_text(encoding="utf-8")
    card.write_text(f"{text.partition('## Use')[0]}## Use\n\nSee [{SERVE}]({SERVE}).\n", encoding="utf-8")
