"""Load datasets from the Hugging Face Hub by commit, or from a folder that `datasets` saved."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.engine.encoding import File
from potstill.engine.step import Estimate, Step
from potstill.errors import BadInput, Problem

if TYPE_CHECKING:
    from datasets import Dataset

_COMMIT = re.compile(r"[0-9a-f]{40}")


class LoadHub(Step):
    """Reads one split of a dataset of the Hugging Face Hub; the commit that is loaded is the key.

    A branch is looked up once a run; offline, it is what the local cache holds. Give a commit as `revision` for rows
    that never change. No code of the dataset is run. Where neither the Hub nor the cache has it, the pipeline says so
    before anything runs.

    >>> clinc = LoadHub("clinc/clinc_oos", config="plus", split="train[:1000]")
    >>> Take(clinc, 10).rows
    <LoadHub unnamed, a step that has not run>
    """

    dataset: str
    """Name on the Hub, such as `clinc/clinc_oos`."""
    _: KW_ONLY
    split: str = "train"
    """Split, also a slice such as `train[:1000]`."""
    config: str = ""
    """Configuration, where the dataset has several."""
    revision: str = "main"
    """Branch, tag or commit."""
    source: HubRevision = field(init=False)
    """What the key covers: name and resolved commit; made from `dataset` and `revision`."""

    makes: ClassVar[str] = "rows"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"dataset", "revision"})

    def __post_init__(self) -> None:
        """Join name and revision."""
        # frozen dataclass
        object.__setattr__(self, "source", HubRevision(self.dataset, self.revision))

    def run(self) -> Dataset:
        """Download the split (or take it from the cache), and return it, mapped from disk.

        Raises:
            BadInput: the dataset has no such configuration or split.
        """
        from datasets import load_dataset

        commit = self.source.commit
        try:
            return load_dataset(self.dataset, self.config or None, split=self.split, revision=commit)
        except (ValueError, FileNotFoundError, ConnectionError) as error:
            text = f"the split {self.split!r} of {self.dataset!r} at commit {commit} can't be loaded: {error}"
            raise BadInput(Problem("", "split", text)) from error


@dataclass(frozen=True)
class HubRevision:
    """A dataset of the Hub at a branch, tag or commit."""

    dataset: str
    """Name on the Hub."""
    revision: str
    """Branch, tag or commit."""

    def identity(self) -> dict[str, str]:
        """Return what the key covers.

        Raises:
            BadInput: the commit can't be found out.
        """
        return {"dataset": self.dataset, "commit": self.commit}

    @cached_property
    def commit(self) -> str:
        """The commit, looked up once, so that what is loaded is what the key says.

        Raises:
            BadInput: neither the Hub nor the local cache knows it.
        """
        if _COMMIT.fullmatch(self.revision):
            return self.revision
        from huggingface_hub import HfApi, constants

        cached = _cached_commit(self.dataset, self.revision)
        if constants.HF_HUB_OFFLINE and cached:
            return cached
        try:
            commit = HfApi().dataset_info(self.dataset, revision=self.revision, timeout=20).sha
        except Exception as error:  # the hub raises many kinds; all mean that it can't be resolved
            if cached:
                return cached
            where = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the Hub says"
            remedy = (
                "run it once where the Hub can be reached, or load a file with LoadParquet or a folder with LoadFolder"
            )
            text = f"the dataset {self.dataset!r} can't be found: it is not in the local cache, and {where} ({error})"
            raise BadInput(f"{text}; {remedy}") from error
        return str(commit)


def _cached_commit(dataset: str, revision: str) -> str:
    """Return the commit that the local cache holds for a branch or tag, or an empty string.

    Loading by commit leaves no note of the branch; of `main`, the commit that came last into the cache is taken.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=dataset, repo_type="dataset")
    reference = folder / "refs" / revision
    if reference.is_file():
        return reference.read_text().strip()
    loaded = sorted(folder.glob("snapshots/*"), key=lambda path: path.stat().st_mtime)
    return loaded[-1].name if loaded and revision == "main" else ""


class LoadFolder(Step):
    """Reads a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote; its content is the key.

    >>> from datasets import Dataset
    >>> Dataset.from_dict({"text": ["on", "off"]}).save_to_disk("saved")
    >>> show(LoadFolder("saved"))
    {'text': 'on'}
    {'text': 'off'}
    """

    folder: File
    """The folder."""
    _: KW_ONLY
    split: str = ""
    """Which of its splits, where it holds several."""

    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield a problem if the folder holds no dataset, or not this split."""
        problem = self._problem()
        if problem:
            yield problem

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the dataset."""
        return None if self._problem() else frozenset(self._read().column_names)

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows of the dataset."""
        return Estimate(rows=None if self._problem() else len(self._read()))

    def run(self) -> Dataset:
        """Return the rows, mapped from disk.

        Raises:
            BadInput: the folder holds no dataset, or not this split.
        """
        problem = self._problem()
        if problem:
            raise BadInput(problem)
        return self._read()

    def _read(self) -> Any:
        """Return the dataset."""
        from datasets import Dataset

        return Dataset.load_from_disk(str(Path(self.folder) / self.split))

    def _problem(self) -> Problem | None:
        """Return what is wrong with the folder."""
        folder = Path(self.folder)
        splits = sorted(path.parent.name for path in folder.glob("*/state.json"))
        if (folder / "dataset_dict.json").is_file():
            if self.split in splits:
                return None
            text = f"no split {self.split!r}" if self.split else "holds several splits"
            return Problem("", "split", f"{folder}: {text}: say split= one of {', '.join(splits) or 'none'}")
        if not (folder / "state.json").is_file():
            text = f"{folder} is no folder written by save_to_disk: it has no state.json"
            return Problem("", "folder", f"{text}; use LoadParquet or LoadJSON for files")
        return Problem("", "split", f"{folder} holds no splits: leave split out") if self.split else None
