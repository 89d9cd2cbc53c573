"""The cards of what is pushed, in the Hub's form: relation to the base, licences, sources, results; no path of here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from potstill.engine.context import Ancestor
from potstill.models.identity import export_in
from potstill.models.licences import Licence, Source, front_matter
from potstill.text.inert import plain_text

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

Relation = Literal["adapter", "quantized", "finetune"]
"""What a model is to its base, as the Hub calls it."""
MARK = "<!-- written by `potstill push`: without this line, the text is kept as it is -->"
"""Stands in a card that a later push may overwrite."""
METRICS: Mapping[str, tuple[str, ...]] = {
    "Evaluate": ("exact_match",),
    "EvaluateClassifier": ("accuracy", "macro_f1"),
    "EvaluateTokenClassifier": ("f1", "precision", "recall"),
    "EvaluateTranslation": ("bleu", "chrf"),
    "EvaluatePerplexity": ("perplexity", "word_perplexity", "bits_per_byte"),
    "EvaluateChoices": ("accuracy",),
    "EvaluateAgreement": ("agreement", "top1", "kl"),
    "EvaluateGrades": ("grade",),
    "EvaluatePairs": ("win_rate",),
    "LMEval": (),
}
"""Figures that a card lists, by the step that measured them; of the harness, all that a task has."""
HARNESS = "LMEval"
BESIDE = ("n", "row_right", "row_digest")
"""What the harness's tasks have besides figures."""
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"))
"""The Hub's size categories: fewer rows than each."""
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def relation_of(folder: Path) -> Relation:
    """Return what the model in `folder` is to its base: the Hub would guess it from the files, at times wrongly."""
    if (folder / "adapter_config.json").is_file():
        return "adapter"
    config = folder / "config.json"
    settings = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    is_quantized = isinstance(settings, dict) and "quantization_config" in settings
    return "quantized" if is_quantized or export_in(folder) else "finetune"


def model_card(
    lineage: Sequence[Ancestor],
    repo: str,
    licence: Licence,
    sources: Sequence[Source],
    evaluations: Sequence[tuple[Ancestor, Mapping[str, Any]]],
) -> str:
    """Return the card of the last artifact of a lineage, a model.

    Args:
        lineage: it and its ancestors.
        repo: where it is pushed to.
        licence: what it stands under.
        sources: what it was made from.
        evaluations: the steps that measured it, with what they returned.
    """
    from huggingface_hub import ModelCardData

    model = lineage[-1]
    assert model.folder is not None  # what is pushed lies in the store
    own = front_matter(model.folder / "README.md")
    bases = [one.name for one in sources if one.role == "base" and one.is_on_hub]
    data = [one.name for one in sources if one.role == "data" and one.is_on_hub]
    teachers = [one.name for one in sources if one.role == "teacher" and one.is_on_hub]
    task = str(own.get("pipeline_tag") or "text-generation")
    results = [result for step, metrics in evaluations for result in _results(step, metrics, task)]
    extra: dict[str, Any] = {"base_model_relation": relation_of(model.folder)} if bases else {}
    extra |= {"distilled_from": teachers} if teachers else {}
    card = ModelCardData(
        model_name=repo.rpartition("/")[2],
        library_name=str(own.get("library_name") or "transformers"),
        pipeline_tag=task,
        tags=["potstill"],
        base_model=bases or None,
        datasets=data or None,
        eval_results=results or None,
        **_licence(licence),
        **extra,
    )
    text = (model.folder / "README.md").read_text(encoding="utf-8") if own else f"# {plain_text(model.name)}\n"
    body = body_of(text).strip()
    # the card in the artifact says that the base's licence applies; this one names it, or says that nobody knows it
    # by a function: a name from somebody's card may hold what a replacement reads as a group
    stated = f"Licence: {plain_text(licence)}."
    body = re.sub(r"^Licence: .*$", lambda _: stated, body, count=1, flags=re.MULTILINE)
    body = body.replace("FOLDER", repo)
    return "\n".join(
        ["---", card.to_yaml().strip(), "---", "", body, "", *_measured(evaluations), *_made_from(sources)]
    )


def data_card(lineage: Sequence[Ancestor], repo: str, licence: Licence, sources: Sequence[Source]) -> str:
    """Return the card of the last artifact of a lineage, rows."""
    from huggingface_hub import DatasetCardData

    rows = lineage[-1]
    count = int(rows.manifest.get("rows") or 0)
    is_synthetic = any(one.role == "teacher" for one in sources)
    outputs = [str(name) for name in rows.manifest["outputs"]]
    splits = [{"split": name, "path": f"data/{name}/*.parquet"} for name in outputs]
    card = DatasetCardData(
        pretty_name=repo.rpartition("/")[2],
        annotations_creators="machine-generated" if is_synthetic else None,
        size_categories=next((name for most, name in SIZES if count < most), "n>10M"),
        source_datasets=[one.name for one in sources if one.role == "data" and one.is_on_hub] or None,
        tags=[*(["synthetic"] if is_synthetic else []), "potstill"],
        # without it, what is a split is guessed from names
        configs=[{"config_name": "default", "data_files": splits or [{"split": "train", "path": "data/*.parquet"}]}],
        **_licence(licence),
    )
    lines = ["---", card.to_yaml().strip(), "---", "", f"# {plain_text(repo.rpartition('/')[2])}", ""]
    lines += [f"{count:,} rows, made by Potstill (step {plain_text(rows.name)}, {plain_text(rows.type)}).", ""]
    lines += [f"Licence: {plain_text(licence)}.", "", "## How it was made", ""]
    lines += ["| Step | Type | Rows | Left out |", "|---|---|---|---|"]
    for step in lineage:
        if step.manifest.get("rows") is not None:
            counts = step.manifest.get("counts") or {}
            lost = [f"{reason}: {number:,}" for reason, number in (counts.get("filtered") or {}).items()]
            cells = (step.name, step.type, f"{step.manifest['rows']:,}", "; ".join(lost))
            lines.append(f"| {' | '.join(map(plain_text, cells))} |")
    return "\n".join([*lines, "", *_made_from(sources)])


def body_of(card: str) -> str:
    """Return a card without its front matter."""
    return re.sub(r"\A---\s*\n.*?\n---[ \t]*\n", "", card, flags=re.DOTALL)


def _licence(licence: Licence) -> dict[str, Any]:
    """Return the fields of a licence; one that nobody knows is called so."""
    fields = {"license": licence.id or "unknown"}
    if licence.id == "other":
        fields |= {"license_name": licence.name or "see-the-sources", "license_link": licence.link or "LICENSE"}
    return fields


def _results(step: Ancestor, metrics: Mapping[str, Any], task: str) -> Iterator[EvalResult]:
    """Yield the figures of one evaluation as `model-index` holds them."""
    from huggingface_hub import EvalResult

    for name, metric, value in _figures(step, metrics):
        slug = re.sub(r"[^\w-]+", "-", name).strip("-") or "test"
        yield EvalResult(
            task_type=task,
            dataset_type=slug,
            dataset_name=f"{name} ({'lm-evaluation-harness' if step.type == HARNESS else 'own test set'})",
            dataset_split="test",
            metric_type=metric,
            metric_value=value,
        )


def _figures(step: Ancestor, metrics: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Yield test set, metric and value of one evaluation."""
    sets = metrics.get("sets")
    for name, scores in sets.items() if isinstance(sets, Mapping) else ():
        if not isinstance(scores, Mapping):
            continue
        for metric, value in _values(step, scores):
            if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
                yield str(name), metric, round(float(value), 6)


def _values(step: Ancestor, scores: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield the values of one test set by metric, those of the measures that were asked for among them."""
    names = METRICS.get(step.type, ())
    if step.type == HARNESS:
        names = tuple(name for name in scores if name not in BESIDE and not name.endswith(("_low", "_high")))
    yield from ((name, scores[name]) for name in names if name in scores)
    measures = scores.get("measures")
    for name, figures in measures.items() if isinstance(measures, Mapping) else ():
        if name not in names and isinstance(figures, Mapping):
            yield str(name), figures.get("value")


def _measured(evaluations: Sequence[tuple[Ancestor, Mapping[str, Any]]]) -> list[str]:
    """Return the figures as a table."""
    rows = [figure for step, metrics in evaluations for figure in _figures(step, metrics)]
    if not rows:
        return []
    lines = ["## Evaluation", "", "| Test set | Metric | Value |", "|---|---|---|"]
    return [
        *lines,
        *(f"| {plain_text(name)} | {plain_text(metric)} | {value:.4g} |" for name, metric, value in rows),
        "",
    ]


def _made_from(sources: Sequence[Source]) -> list[str]:
    """Return what went into it, with licences, as a table."""
    lines = ["## Made from", "", "| What | Name | Licence |", "|---|---|---|"]
    lines += [f"| {one.role} | {plain_text(one.name)} | {plain_text(one.licence)} |" for one in sources]
    return [*(lines if sources else ["## Made from", "", "Nothing is known of that."]), "", MARK, ""]
