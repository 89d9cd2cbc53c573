"""A finished evaluation's figures, and a report's page, to the trackers that the trainings behind it report to.

It is called in the process of the run, when the step's artifact is in the store. Each tracker gets a result once: the
engine remembers which have it. What a tracker refuses is a warning, as the result is safe, and is sent by the next run.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potstill.engine.step import Step
    from potstill.engine.store.artifacts import Artifact

RUNS = Path("runs")
"""Folder of the working directory for what is written as files, that of the trainings' curves, too."""
PROJECT = "potstill"
"""What trackers that sort runs by project call it, unless the user's environment says otherwise."""
PAGE = "index.html"


@dataclass(frozen=True)
class Result:
    """What is sent of a step."""

    name: str
    """Name of the run: the step and the beginning of its key."""
    figures: Mapping[str, float]
    """By name; those of a test set behind its name and a slash."""
    parameters: Mapping[str, Any]
    """Parameters of the step, by name."""
    lineage: tuple[str, ...]
    """Names of the steps that it was made from."""
    page: Path | None
    """The page of a report."""


def send(step: Step, artifact: Artifact, before: Sequence[Step], sent: set[str]) -> Iterator[str]:
    """Send what a step made to the trackers that the trainings among the steps `before` it report to.

    It is the method `send_results` of steps that measure; those that were `sent` it get nothing. Yields what a tracker
    refused, as a warning.
    """
    named = dict.fromkeys(str(name) for one in before for name in getattr(one, "report_to", ()))
    trackers = [name for name in named if name not in sent]
    if not trackers:
        return
    result = result_of(artifact)
    for tracker in trackers:
        try:
            _SENDERS[tracker](result)
            sent.add(tracker)
        except Exception as error:  # noqa: BLE001 - whatever a tracker's library raises, the result is safe
            what = f"{tracker} did not take what {type(step).__name__} made: {type(error).__name__}: {error}"
            yield f"{what}; the next run sends it again"


def result_of(artifact: Artifact) -> Result:
    """Return what is sent of an artifact: of a report, the page, as its figures were sent by the evaluations."""
    from potstill.engine.inventory import read_metrics

    manifest = artifact.manifest
    page = artifact.path / PAGE
    is_report = manifest["makes"] == "report"
    figures = {} if is_report else dict(_numbers(read_metrics(artifact.path / "metrics.json")))
    return Result(
        f"{manifest['name']}-{artifact.key[:8]}",
        figures,
        manifest["params"],
        tuple(str(name) for names in manifest["inputs"].values() for name in names),
        page if is_report and page.is_file() else None,
    )


def _numbers(metrics: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers in metrics by their joined names; test sets stand first, without `sets`."""
    for name, value in metrics.items():
        place = f"{before}{name}"
        if isinstance(value, Mapping):
            yield from _numbers(value, before if name == "sets" else f"{place}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield place, float(value)


def _to_csv(result: Result) -> None:
    folder = _folder(result)
    if result.page is not None:
        (folder / "report.html").write_bytes(result.page.read_bytes())
    if result.figures:
        with (folder / "figures.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("figure", "value"))
            table.writerows(result.figures.items())


def _to_tensorboard(result: Result) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(_folder(result))) as writer:
        for name, value in result.figures.items():
            writer.add_scalar(name, value, 0)
        writer.add_text("made from", ", ".join(result.lineage))
        if result.page is not None:
            # TensorBoard shows no page: a text says where it is
            _to_csv(result)
            writer.add_text("report", "report.html, beside this file")


def _to_trackio(result: Result) -> None:
    import trackio

    trackio.init(project=PROJECT, name=result.name, config=_config(result))
    try:
        if result.figures:
            trackio.log(dict(result.figures))
        if result.page is not None:
            trackio.save(str(result.page))
    finally:
        trackio.finish()


def _to_wandb(result: Result) -> None:
    import wandb

    with wandb.init(project=PROJECT, name=result.name, config=_config(result), tags=["potstill"]) as run:
        run.log(dict(result.figures))
        if result.page is not None:
            run.log({"report": wandb.Html(result.page.read_text(encoding="utf-8"), inject=False)})


def _to_mlflow(result: Result) -> None:
    import mlflow

    with mlflow.start_run(run_name=result.name):
        mlflow.set_tags({"made from": ", ".join(result.lineage)})
        mlflow.log_params({name: str(value)[:500] for name, value in result.parameters.items()})
        # its names know neither brackets nor plus signs
        mlflow.log_metrics({_plain_name(name): value for name, value in result.figures.items()})
        if result.page is not None:
            mlflow.log_artifact(str(result.page))


def _folder(result: Result) -> Path:
    """Return the folder of a result, made if it isn't there."""
    folder = RUNS / "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in result.name)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _config(result: Result) -> dict[str, Any]:
    """Return the parameters with what the result was made from."""
    return {**result.parameters, "made from": list(result.lineage)}


def _plain_name(name: str) -> str:
    """Return a name with the letters alone that all trackers take."""
    return "".join(letter if letter.isalnum() or letter in "-_./ " else "_" for letter in name)


_SENDERS = {
    "csv": _to_csv,
    "tensorboard": _to_tensorboard,
    "trackio": _to_trackio,
    "wandb": _to_wandb,
    "mlflow": _to_mlflow,
}
