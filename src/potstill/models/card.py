"""The model card (README.md) of a folder that Potstill writes: what it is, its base model, how to serve it.

The card holds no dates and no paths, so that the same run writes the same bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from potstill.models.written import check_written
from potstill.text.inert import plain_text

SAME_TOKEN = 0.6
"""Top-1 agreement with the base model below which a compressed model is not fit to serve."""
LOSS = 0.1
"""Rise of the perplexity, as a share, above which a card says that much was lost; methods that keep a model's quality
stay well below it at 8 bits, and at 4 bits in models of some billion parameters."""
NO_BETTER = 0.98
"""Error of the layers' outputs, as a share of rounding's, above which a card says that a method did no better."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
Task = Literal[
    "text-generation",
    "text2text-generation",
    "text-classification",
    "token-classification",
    "fill-mask",
    "feature-extraction",
    "sentence-similarity",
]
"""What a model does, as the Hub calls it."""


def write_card(
    folder: Path,
    *,
    title: str,
    made_from: str,
    recipe: Mapping[str, object],
    figures: Mapping[str, float],
    licence: str | None = None,
    task: Task = "text-generation",
    served: bool = True,
) -> Path:
    """Write `folder`/README.md and return its path.

    Every step that writes a model ends here, so what it wrote is checked here too (`written.check_written`).

    Args:
        folder: a Hugging Face model folder.
        title: what the model is, in a few words.
        made_from: the model that it was made from, see `name_of`.
        recipe: the parameters of the method, by name.
        figures: metrics, by name.
        licence: a licence name as the Hub spells it (`apache-2.0`); `None` says that the base model's licence applies.
        task: what the model does, as the Hub calls it; says how the card loads it.
        served: whether vLLM loads it, if it generates text.

    Raises:
        PotstillError: the folder's model can't be loaded as it was written.
    """
    check_written(folder)
    library = "sentence-transformers" if task == "sentence-similarity" else "transformers"
    front = {"library_name": library, "pipeline_tag": task, "tags": ["potstill"]}
    if licence:
        front["license"] = licence
    if HUB_ID.fullmatch(made_from):
        front["base_model"] = made_from
    # a JSON value is a YAML value, so titles with colons, quotes or newlines can't break the front matter
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in sorted(front.items())), "---", ""]
    lines += [f"# {plain_text(title)}", "", f"Made by Potstill from {plain_text(made_from)}.", ""]
    lines += [f"Licence: {plain_text(licence) if licence else 'that of the model it was made from.'}", ""]
    for warning in warnings_of(figures):
        lines += [f"**{warning}.**", ""]
    lines += _table("How it was made", recipe) + _table("Figures", figures)
    lines += _USE[task] if served or task != "text-generation" else _GENERATE_HERE
    path = folder / "README.md"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def not_fit(figures: Mapping[str, float]) -> str:
    """Return why a model with these metrics is not fit to serve, or an empty text.

    >>> not_fit({"calibration top1": 0.9})
    ''
    """
    same = [value for name, value in figures.items() if name in ("top1", "calibration top1") and value < SAME_TOKEN]
    if not same:
        return ""
    return (
        "Not fit to serve as it is: it has the same next token as the model it was made from at "
        f"{100 * min(same):.0f} % of the positions, where {100 * SAME_TOKEN:.0f} % is the least that counts; take "
        "more bits or a milder cut, or train it again"
    )


def warnings_of(figures: Mapping[str, float]) -> list[str]:
    """Return what a compressed model's card and run warn of, by its metrics: with or without `calibration` in front."""
    return [warning for warning in (not_fit(figures), large_loss(figures), no_better(figures)) if warning]


def no_better(figures: Mapping[str, float]) -> str:
    """Return that a method did no better than rounding, by the error of the layers' outputs, or an empty text.

    >>> no_better({"error against rounding": 0.7})
    ''
    """
    names = ("error against rounding", "calibration error against rounding")
    ratios = [value for name, value in figures.items() if name in names]
    if not ratios or max(ratios) <= NO_BETTER:
        return ""
    return (
        f"No better than rounding: on the calibration rows the error of the layers' outputs is {max(ratios):.2f} times "
        "that of rounding (geometric mean over layers, a stand-in for what the models would lose); give rows like what "
        'the model will read, or more of them, or take what needs none (method="rtn")'
    )


def large_loss(figures: Mapping[str, float]) -> str:
    """Return how much a compressed model with these metrics lost, if it is much, or an empty text.

    >>> large_loss({"calibration kl": 0.01})
    ''
    """
    # the divergence from the model before is what its loss is expected to rise by
    rises = [math.expm1(value) for name, value in figures.items() if name in ("kl", "calibration kl")]
    if not rises or max(rises) <= LOSS:
        return ""
    return (
        f"Much is lost: by its divergence from the model it was made from, the perplexity is {100 * max(rises):.0f} % "
        f"higher, where {100 * LOSS:.0f} % is the most that passes; take smaller groups, more bits or a milder cut, or "
        "train it again (LayerwiseDistill, QAT, SoftLabel)"
    )


def name_of(model: str | Path) -> str:
    """Return how a card calls `model`: the title of its own card, else its folder's name, else its Hub id."""
    folder = Path(model)
    if not folder.is_dir():
        return str(model)
    card = folder / "README.md"
    if card.is_file():
        title = re.search(r"^# (.+)$", card.read_text(encoding="utf-8"), re.MULTILINE)
        if title:
            return re.sub(r"\\(.)", r"\1", title.group(1)).strip()
    return folder.name


def _table(heading: str, entries: Mapping[str, object]) -> list[str]:
    if not entries:
        return []
    rows = [f"| {plain_text(key)} | {plain_text(_value(value))} |" for key, value in sorted(entries.items())]
    return [f"## {heading}", "", "| | |", "|---|---|", *rows, ""]


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if len(text) <= 200 else text[:197] + "..."


_LOAD = [
    "```python",
    "from transformers import AutoModelForCausalLM, AutoTokenizer",
    "",
    'model = AutoModelForCausalLM.from_pretrained("FOLDER")',
    'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
    "```",
    "",
]
_GENERATE = [
    "## Use",
    "",
    "Serve it with vLLM:",
    "",
    "```sh",
    "vllm serve FOLDER",
    "```",
    "",
    "or load it with transformers:",
    "",
    *_LOAD,
]
_GENERATE_HERE = ["## Use", "", "Load it with transformers:", "", *_LOAD]


def _python(intro: str, *lines: str) -> list[str]:
    return ["## Use", "", intro, "", "```python", *lines, "```", ""]


def _pipeline(task: str, name: str, text: str) -> list[str]:
    lines = ("from transformers import pipeline", "", f'{name} = pipeline("{task}", model="FOLDER")')
    return _python("Load it with transformers:", *lines, f'{name}("{text}")')


_USE: Mapping[Task, list[str]] = {
    "text-generation": _GENERATE,
    "text2text-generation": _python(
        "Load it with transformers:",
        "from transformers import AutoModelForSeq2SeqLM, AutoTokenizer",
        "",
        'model = AutoModelForSeq2SeqLM.from_pretrained("FOLDER")',
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
        'written = model.generate(**tokenizer("a text", return_tensors="pt"), num_beams=5)',
        "tokenizer.decode(written[0], skip_special_tokens=True)",
    ),
    "text-classification": _pipeline("text-classification", "classify", "a text"),
    "token-classification": _pipeline("token-classification", "tag", "a text"),
    "fill-mask": _pipeline("fill-mask", "fill", "a [MASK] text"),
    "feature-extraction": _pipeline("feature-extraction", "features", "a text"),
    "sentence-similarity": _python(
        "Load it with sentence-transformers:",
        "from sentence_transformers import SentenceTransformer",
        "",
        'encoder = SentenceTransformer("FOLDER")',
        'encoder.encode(["a text"])',
    ),
}
