"""Run every step on a tiny model of every type, check what it wrote, and write docs/reference/architectures.md.

python scripts/architectures.py [--names 'A;B'] [--columns A,B] [--again] [--seconds N] [--results FILE] [--page FILE]

Each cell is a line of FILE (JSON), by default scripts/architectures.jsonl; what is there already is run with --again
only, so that a part can be run alone, parts beside each other into files of their own, and the page is written from
all. All take twenty minutes on one core, half a minute a type; vLLM, which runs only where it is named, 100 seconds a
type.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
Results = dict[tuple[str, str], dict[str, Any]]
"""By name of the type and column: the cell."""


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", default="", help="types, by semicolon, as their names have commas; all without")
    parser.add_argument("--columns", default="", help="steps, by comma; all without")
    parser.add_argument("--again", action="store_true", help="run cells that are there already once more")
    parser.add_argument("--results", type=Path, default=ROOT / "scripts" / "architectures.jsonl")
    parser.add_argument("--page", type=Path, help="Markdown file to write from all results")
    parser.add_argument("--seconds", type=float, default=1e9, help="start no cell after so many seconds")
    asked = parser.parse_args()
    import type_matrix
    import typed_models

    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    names = asked.names.split(";") if asked.names else list(typed_models.ALL)
    columns = asked.columns.split(",") if asked.columns else standard(type_matrix.COLUMNS)
    done = results(asked.results)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        for number, name in enumerate(names):
            missing = [column for column in columns if asked.again or (name, column) not in done]
            missing = [column for column in missing if makes_sense(name, column)]
            folder = Path(place) / f"model-{number}"
            if missing and time.monotonic() - begun < asked.seconds:
                typed_models.folder(folder, name)
            for column in missing:
                if time.monotonic() - begun > asked.seconds:
                    break
                started = time.monotonic()
                cell = type_matrix.cell(name, column, folder, Path(place) / "work")
                seconds = round(time.monotonic() - started, 2)
                why = without_folders(cell.why)
                line = {"name": name, "column": column, "verdict": cell.verdict, "why": why, "seconds": seconds}
                done[name, column] = line
                with asked.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
    write(asked.results, done)
    print(summary(done))
    if asked.page:
        asked.page.write_text(page(done), encoding="utf-8")


def standard(columns: Iterable[str]) -> list[str]:
    """Return the columns that run without being named."""
    import type_matrix

    return [column for column in columns if column not in type_matrix.WHEN_NAMED]


def makes_sense(name: str, column: str) -> bool:
    """Return whether a column is for a type at all: formats of language models are not for encoders."""
    import type_matrix
    import typed_models

    if column in type_matrix.EXPERTS_ONLY:
        return name in typed_models.EXPERT_MODELS
    return not (type_matrix.reads(name) and column in type_matrix.ENCODER_ONLY_LACKS)


def results(path: Path) -> Results:
    """Return the cells of a file of results."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {(line["name"], line["column"]): line for line in map(json.loads, lines)}


def summary(done: Results) -> str:
    """Return how many cells there are of each verdict, and how long they took: all, and those of the slowest types."""
    verdicts = Counter(line["verdict"] for line in done.values())
    seconds: Counter[str] = Counter()
    for (name, column), line in done.items():
        seconds[name] += line["seconds"] if column != "vLLM" else 0
    slowest = ", ".join(f"{name} {taken:.0f} s" for name, taken in seconds.most_common(3))
    return f"{dict(verdicts)}; {seconds.total():.0f} s without vLLM, the most {slowest}"


def write(path: Path, done: Results) -> None:
    """Write the cells in the order of the tables, each once."""
    import type_matrix
    import typed_models

    places = [(name, column) for name in typed_models.ALL for column in type_matrix.COLUMNS]
    lines = [json.dumps(done[place]) for place in places if place in done]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def without_folders(text: str) -> str:
    """Return a reason without the names of folders that are gone."""
    return re.sub(rf"{tempfile.gettempdir()}/[^\s:;,]*", "FOLDER", text)


def page(done: Results) -> str:
    """Return the page: a table for each group of types, and the reasons under it."""
    import type_matrix
    import typed_models

    parts = [HEAD]
    for title, types, note in (
        ("Causal models", typed_models.CAUSAL, ""),
        ("Encoders", typed_models.ENCODERS, ENCODERS),
        ("Mixtures of experts", typed_models.EXPERT_MODELS, EXPERTS),
        ("Models that see images", typed_models.VISION, VISION),
        ("Encoder-decoders", typed_models.ENCODER_DECODERS, DECODERS),
    ):
        columns = [column for column in type_matrix.COLUMNS if any((name, column) in done for name in types)]
        reasons: dict[str, int] = {}
        rows = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
        for name, (kind, *_) in types.items():
            cells = [_shown(done.get((name, column)), reasons) for column in columns]
            rows.append(f"| {name} (`{kind}`) | {' | '.join(cells)} |")
        if columns:
            notes = [f"{number}. {reason}" for reason, number in reasons.items()]
            parts += [f"## {title}\n", *([note] if note else []), "\n".join(rows) + "\n", "\n".join(notes) + "\n"]
    return "\n".join(parts)


def _shown(line: dict[str, Any] | None, reasons: dict[str, int]) -> str:
    """Return a cell; a reason gets a number."""
    if line is None:
        return ""
    if line["verdict"] == "works":
        return "works"
    reason = without_folders(line["why"]).replace("|", "\\|").replace("\n", " ")
    return f"{line['verdict']} ({reasons.setdefault(reason, len(reasons) + 1)})"


HEAD = """# Which steps work on which models

Written by `scripts/architectures.py`: each cell runs the step on a tiny model of the type with random weights, loads
what it wrote with transformers, and checks what the step promises. *Train hard*, *train soft*, *LoRA* and *QLoRA*
(`HardLabel`, `SoftLabel`; of encoders `Classifier`, whose head is new): the first loss is what transformers gives row
by row, and the weights change. *Keep layers* and *depth*: the logits are those of the model with the other blocks
passed over. *Magnitude*, *Wanda* and *2:4*: bit for bit the dense model under the mask. *Width*, *hidden* (with heads)
and *Bonsai*: a smaller model that loads. Quantized ones: logits to the bit those of the numbers stored, and no further
from the original than twice what rounding to nearest is (*NF4* and *GOBO*: it loads, within the rounding). Exports:
read by a runtime, which answers as the model in memory. *Compressed-tensors* and *vLLM* are `Export` of the model of
*int8* (where that can't be, of the 16-bit one), read by transformers, and served by vLLM on a processor. A number
stands for the reason under the table. What is said of each type is in one place,
`potstill/compression/model_types.py`.
"""
ENCODERS = "*GGUF*, *ONNX* and *OpenVINO* are `Export` for causal models, and `ExportEncoder` here.\n"
EXPERTS = (
    "Experts are quantized one by one, by the tokens that each sees, and read by Potstill; [Mixtures of experts]"
    "(../howto/experts.md) says who else reads them.\n"
)
VISION = "The whole is refused with the step to take: `TextPart`. The table is of the model that it writes.\n"
DECODERS = (
    "Encoder-decoders are trained and decoded, pruned block by block in both halves, and written to ONNX; they have "
    "two lists of blocks, which the other methods that go block by block don't know.\n"
)

if __name__ == "__main__":
    main()
