"""What a push would take to the Hub, and what stands in its way; known without asking anybody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from potstill.engine.context import Ancestor
from potstill.engine.inventory import complete_key, read_metrics, whole_artifact
from potstill.engine.pipeline import open_store
from potstill.engine.store.artifacts import Artifact, Store
from potstill.engine.store.manifests import BESIDE_PAYLOAD
from potstill.errors import BadInput
from potstill.models.licences import KNOWN, Licence, Source, most_restrictive, sources_of
from potstill.publishing.cards import HUB_ID, METRICS, data_card, model_card, relation_of
from potstill.publishing.lineage import lineage_of

Kind = Literal["model", "dataset"]
"""What a repository holds."""
CARD = "README.md"
LARGE = 10_000_000
"""Bytes from which on the Hub keeps a file apart (LFS, Xet), as it does all weights and Parquet files."""
APART = (".safetensors", ".parquet", ".gguf", ".onnx", ".bin", ".pte", ".data", ".xml")
ANSWERS = {"EvaluateGrades": ("rows",), "EvaluatePairs": ("first",)}
"""Inputs with the answers that are measured, by the step that measures no model itself."""
READ = (".json", ".jinja", ".md", ".txt", ".yaml")
"""Files in which a path of this machine is looked for."""


@dataclass(frozen=True)
class File:
    """One file of a push."""

    name: str
    """Its place in the repository."""
    path: Path | None
    """Where it lies; `None` of the card, which is written for the push."""
    bytes: int
    """Its size."""

    @property
    def is_apart(self) -> bool:
        """Return whether the Hub keeps it apart from the small files."""
        return self.bytes >= LARGE or self.name.endswith(APART)


@dataclass(frozen=True)
class Push:
    """An artifact on its way to the Hub."""

    key: str
    """Key of the artifact."""
    name: str
    """Name of the step that made it."""
    repo: str
    """Repository on the Hub, as OWNER/NAME."""
    kind: Kind
    """What the repository holds."""
    card: str
    """The text of its card."""
    files: tuple[File, ...]
    """All files of the commit, the card first."""
    licence: Licence
    """The strictest of the licences of the sources."""
    sources: tuple[Source, ...]
    """What it was made from."""
    obstacles: tuple[str, ...]
    """What stops it until its licences are accepted."""
    warnings: tuple[str, ...]
    """What does not stop it, but may be unwanted."""

    @property
    def bytes(self) -> int:
        """Return the bytes of all files."""
        return sum(file.bytes for file in self.files)

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        files = [{"name": file.name, "bytes": file.bytes, "lfs": file.is_apart} for file in self.files]
        sources = [
            {"role": one.role, "name": one.name, "licence": one.licence.id or "unknown", "terms": one.licence.terms}
            for one in self.sources
        ]
        parts = ("key", "name", "repo", "kind", "bytes", "card", "obstacles", "warnings")
        whole = {part: getattr(self, part) for part in parts}
        return whole | {"licence": self.licence.id or "unknown", "files": files, "sources": sources}


def refuse_name(repo: str) -> None:
    """Check that the Hub takes a repository's name, which a dry run would not show.

    Raises:
        BadInput: it does not.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # it is in their documentation

    if not HUB_ID.fullmatch(repo):
        raise BadInput(f"{repo!r} is no repository of the Hub: give OWNER/NAME")
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise BadInput(f"the Hub takes no repository of the name {repo!r}: {error}") from error


def planned(store: str | None, start: str, repo: str) -> Push:
    """Return what pushing the artifact whose key begins with `start` to `repo` would do.

    Raises:
        RequestError: there is no such artifact, it is neither a model nor rows, or `repo` is no name of a repository.
    """
    refuse_name(repo)
    opened = open_store(store)
    artifact = whole_artifact(opened, complete_key(opened, start))
    makes = artifact.manifest["makes"]
    if makes not in ("model", "rows"):
        raise BadInput(
            f"{artifact.manifest['name']} made {makes}: models and rows can be pushed; a report is a page to hand on"
        )
    lineage, gone = lineage_of(opened, artifact)
    sources = [*sources_of(lineage), *(_gone(key) for key in gone)]
    licence = most_restrictive(source.licence for source in sources)
    kind: Kind = "model" if makes == "model" else "dataset"
    if kind == "model":
        card = model_card(lineage, repo, licence, sources, _evaluations(opened, artifact))
    else:
        card = data_card(lineage, repo, licence, sources)
    files = (File(CARD, None, len(card.encode())), *_files(artifact))
    return Push(
        artifact.key,
        artifact.manifest["name"],
        repo,
        kind,
        card,
        files,
        licence,
        tuple(sources),
        tuple(_obstacles(sources)),
        tuple(_warnings(files, card, opened, repo, sources)),
    )


def described(push: Push) -> str:
    """Return a push for a person to read."""
    lines = [
        f"{push.name} ({push.key[:12]}) to the {push.kind} {push.repo}: {len(push.files)} files, {_size(push.bytes)}"
    ]
    for file in push.files:
        lines.append(f"  {file.name:40} {_size(file.bytes):>10}{'  LFS' if file.is_apart else ''}")
    if push.kind == "model":
        folder = next(file.path for file in push.files if file.path is not None).parent
        lines.append(f"  relation to the base: {relation_of(folder)}")
    lines.append(f"  licence: {push.licence} ({push.licence.terms})")
    lines += [
        f"    {one.role:8} {one.name}: {one.licence}" + (f", says {one.licence.by}" if one.licence.by else "")
        for one in push.sources
    ]
    lines += [f"  warning: {text}" for text in push.warnings]
    lines += [f"  stops it: {text}" for text in push.obstacles]
    return "\n".join(lines)


def _gone(key: str) -> Source:
    """Return what stands for an ancestor that is not in the store any more: nobody knows what went into it."""
    return Source("data", f"artifact {key[:12]}, which is not in the store any more", "", Licence(""))


def _files(artifact: Artifact) -> Iterator[File]:
    """Yield what is pushed of an artifact: nothing that only says how it was made on this machine."""
    for name, file in sorted(artifact.manifest["files"].items()):
        if name not in (*BESIDE_PAYLOAD, CARD):
            yield File(name, artifact.path / name, int(file["size"]))


def _evaluations(store: Store, model: Artifact) -> list[tuple[Ancestor, Mapping[str, Any]]]:
    """Return the steps in the store that measured a model, with their figures."""
    measured = []
    for _, lookup in store.artifacts():
        one = lookup.artifact
        if one is not None and one.manifest["type"] in METRICS and _is_of(store, one, model):
            step = Ancestor(one.manifest["name"], one.manifest["type"], one.key, (), one.manifest, one.path)
            measured.append((step, read_metrics(one.path / "metrics.json")))
    return sorted(measured, key=lambda pair: (pair[0].name, pair[0].key))


def _is_of(store: Store, evaluation: Artifact, model: Artifact) -> bool:
    """Return whether an evaluation is of a model, or of answers that it gave."""
    if model.manifest["name"] in (evaluation.manifest["inputs"].get("model") or []):
        return model.key in evaluation.manifest["input_keys"]
    return any(_wrote(store, evaluation, side, model) for side in ANSWERS.get(evaluation.manifest["type"], ()))


def _wrote(store: Store, artifact: Artifact, field: str, model: Artifact) -> bool:
    """Return whether a model wrote the rows of an input: the nearest step before them that asks one asked it."""
    names = artifact.manifest["inputs"].get(field) or []
    for key in artifact.manifest["input_keys"]:
        parent = store.lookup(str(key)).artifact
        if parent is None or parent.manifest["name"] not in names:
            continue
        inputs = parent.manifest["inputs"]
        asked = [*(inputs.get("teacher") or []), *(inputs.get("model") or [])]
        if asked:
            return model.manifest["name"] in asked and model.key in parent.manifest["input_keys"]
        return _wrote(store, parent, "rows", model)
    return False


def _obstacles(sources: Sequence[Source]) -> Iterator[str]:
    """Yield what stops a push: sources whose licence is unknown, or asks for more than to be named."""
    if not sources:
        yield "nothing is known of what it was made from"
    for one in sources:
        if one.licence.terms == "unknown":
            odd = (
                f" ({one.licence.id!r} is no licence that the Hub knows)" if one.licence.id not in (*KNOWN, "") else ""
            )
            yield f"the licence of the {one.role} {one.name} is unknown{odd}"
        elif one.licence.terms != "permissive":
            terms = f"whose terms are {one.licence.terms}{_known_trap(one)}"
            yield f"the {one.role} {one.name} stands under {one.licence}, {terms}"


def _known_trap(source: Source) -> str:
    """Return what some licences ask of models that were made with the help of theirs."""
    if re.match(r"llama[34]", source.licence.id):
        return "; it asks for “Llama” at the beginning of the name, and “Built with Llama” beside it"
    if source.licence.id == "gemma":
        return "; it counts a model that learned from Gemma's outputs as a derivative of Gemma"
    return ""


def _warnings(files: Sequence[File], card: str, store: Store, repo: str, sources: Sequence[Source]) -> Iterator[str]:
    """Yield what does not stop a push, but may be unwanted."""
    own_paths = {str(store.root.absolute()), str(Path.cwd()), str(Path.home())} - {"/"}
    for file in files:
        if file.bytes > LARGE or not file.name.endswith(READ):
            continue
        text = card if file.path is None else file.path.read_text(encoding="utf-8", errors="replace")
        if any(f"{place}/" in text for place in own_paths):
            yield f"{file.name} names a path of this machine"
    if any(re.match(r"llama[34]", one.licence.id) for one in sources) and not repo.partition("/")[2].startswith(
        "Llama"
    ):
        yield f"{repo} does not begin with “Llama”, as the licence of a source asks"


def _size(count: int) -> str:
    """Return bytes as text."""
    return f"{count / 1e6:,.2f} MB" if count >= 10_000 else f"{count:,} B"
