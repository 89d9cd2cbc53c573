"""What a report rests on: versions, machines, seeds, licences of base, data and teacher, and how to make it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from potstill.engine.context import Ancestor
from potstill.models.licences import ORDER, Source, most_restrictive, sources_of
from potstill.reporting.number_formats import listing

ROLES = {"base": "weights", "data": "data", "teacher": "teacher"}
"""What a source is to a model, in words."""


@dataclass(frozen=True)
class Origins:
    """What a report rests on."""

    versions: Sequence[tuple[str, str]]
    """Packages with their versions."""
    machines: Sequence[str]
    """Platforms and processors, without names of machines."""
    seeds: str
    """The seeds of all steps, in a sentence."""
    command: str
    """What makes it again; empty where that is not known."""
    sources: Sequence[tuple[str, str, str, str]]
    """What came from outside: as what, its name, its licence, and which terms that has."""
    licences: str
    """What follows for the models."""


def origins_of(lineage: Sequence[Ancestor]) -> Origins:
    """Return what the steps of a lineage rest on."""
    sources = sorted(sources_of(lineage), key=lambda one: (list(ROLES).index(one.role), one.name))
    return Origins(
        versions=_versions(lineage),
        machines=sorted({_machine(ancestor.manifest.get("host") or {}) for ancestor in lineage} - {""}),
        seeds=_seeds(lineage),
        command=_command(lineage),
        sources=[(ROLES[one.role], one.name, str(one.licence), one.licence.terms) for one in sources],
        licences=_licences(sources),
    )


def _licences(sources: Sequence[Source]) -> str:
    """Return what the licences behind the models come to."""
    if not sources:
        return "Nothing that came from outside is known of: the licence of these models is unknown."
    unknown = [one.name for one in sources if one.licence.terms == ORDER[-1]]
    if unknown:
        return (
            f"Nothing says under which licence {listing(unknown)} stands, so that of the models is unknown: what "
            "doesn't name a licence grants nothing."
        )
    strictest = most_restrictive(one.licence for one in sources)
    if strictest.terms == "permissive":
        return "All that the models were made from stands under permissive licences."
    behind = listing(f"{one.name} ({one.licence})" for one in sources if one.licence.terms == strictest.terms)
    return (
        f"The strictest terms behind the models are {strictest.terms}: {behind}. Read them before you hand a model on."
    )


def _command(lineage: Sequence[Ancestor]) -> str:
    """Return the command that makes a report of these steps again."""
    files = [str(ancestor.manifest.get("file") or "") for ancestor in lineage]
    file = next((one for one in reversed(files) if one), "")
    # where it lies on this machine is no one else's business
    return f"potstill run {PurePath(file).name}" if file else ""


def _seeds(lineage: Sequence[Ancestor]) -> str:
    """Return the seeds of the steps that have one."""
    by_seed: dict[str, list[str]] = {}
    for ancestor in lineage:
        seed = (ancestor.manifest.get("params") or {}).get("seed")
        if isinstance(seed, int) and not isinstance(seed, bool):
            by_seed.setdefault(str(seed), []).append(ancestor.name)
    if len(by_seed) == 1:
        return f"The seed of all steps that draw anything is {next(iter(by_seed))}."
    return " ".join(f"Seed {seed}: {listing(names)}." for seed, names in by_seed.items())


def _versions(lineage: Sequence[Ancestor]) -> list[tuple[str, str]]:
    """Return the versions that the steps were made with; several of one package where they differ."""
    packages: dict[str, dict[str, None]] = {}
    for ancestor in lineage:
        for package, version in (ancestor.manifest.get("versions") or {}).items():
            packages.setdefault(str(package), {})[str(version)] = None
    return [(package, ", ".join(versions)) for package, versions in packages.items()]


def _machine(host: Mapping[str, Any]) -> str:
    """Return platform and processors; the machine's name is no one else's business."""
    parts = [str(host.get("platform") or ""), f"{host['cpus']} CPUs" if host.get("cpus") else ""]
    return ", ".join(part for part in parts if part)
