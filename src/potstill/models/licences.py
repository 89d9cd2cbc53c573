"""Under which licences a model stands: those of its base, its data and its teacher, read from what lies beside them.

Nothing is taken for free that doesn't say so: what no card and no licence file names is unknown. A result stands under
the most restrictive of the licences behind it. This reads what others declare and is no legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from potstill.engine.context import Ancestor
from potstill.models.identity import is_local

Terms = Literal["permissive", "share alike", "restrictive", "unknown"]
"""What a licence asks of what is made under it, the mildest first; the last may ask anything."""
Role = Literal["base", "data", "teacher"]
"""What a source is to a model."""
PERMISSIVE = frozenset(
    "apache-2.0 mit bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear isc zlib unlicense cc0-1.0 cc-by-2.0 "
    "cc-by-2.5 cc-by-3.0 cc-by-4.0 pddl odc-by wtfpl afl-3.0 artistic-2.0 bsl-1.0 ecl-2.0 ms-pl ncsa "
    "postgresql cdla-permissive-1.0 cdla-permissive-2.0 etalab-2.0".split()
)
"""Licences that ask for no more than to be named."""
SHARE_ALIKE = frozenset(
    "cc-by-sa-3.0 cc-by-sa-4.0 cdla-sharing-1.0 odbl gpl gpl-2.0 gpl-3.0 agpl-3.0 lgpl lgpl-2.1 lgpl-3.0 "
    "mpl-2.0 eupl-1.1 eupl-1.2 epl-1.0 epl-2.0 osl-3.0 gfdl lgpl-lr".split()
)
"""Licences that ask what is made of it to stand under them, too."""
RESTRICTIVE = frozenset(
    "other llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 gemma openrail openrail++ bigscience-openrail-m "
    "creativeml-openrail-m bigcode-openrail-m bigscience-bloom-rail-1.0 deepfloyd-if-license apple-ascl "
    "apple-amlr fair-noncommercial-research-license intel-research cc cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 "
    "cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 c-uda "
    "h-research open-mdw lppl-1.3c ofl-1.1".split()
)
"""Licences that forbid uses, or ask for more than naming; `other` has terms of its own."""
KNOWN = PERMISSIVE | SHARE_ALIKE | RESTRICTIVE
"""Licences that the Hub knows by these names."""
BY_TEXT: Sequence[tuple[str, str]] = (
    (r"Apache License\s+Version 2\.0", "apache-2.0"),
    (r"LLAMA 4 COMMUNITY LICENSE", "llama4"),
    (r"LLAMA 3\.3 COMMUNITY LICENSE", "llama3.3"),
    (r"LLAMA 3\.2 COMMUNITY LICENSE", "llama3.2"),
    (r"LLAMA 3\.1 COMMUNITY LICENSE", "llama3.1"),
    (r"META LLAMA 3 COMMUNITY LICENSE", "llama3"),
    (r"LLAMA 2 COMMUNITY LICENSE", "llama2"),
    (r"Gemma Terms of Use", "gemma"),
    (r"GNU AFFERO GENERAL PUBLIC LICENSE", "agpl-3.0"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 3", "gpl-3.0"),
    (r"Attribution-NonCommercial-ShareAlike 4\.0", "cc-by-nc-sa-4.0"),
    (r"Attribution-NonCommercial 4\.0", "cc-by-nc-4.0"),
    (r"Attribution-ShareAlike 4\.0", "cc-by-sa-4.0"),
    (r"Attribution 4\.0 International", "cc-by-4.0"),
    (r"\bMIT License\b|Permission is hereby granted, free of charge", "mit"),
)
"""How the text of a licence is known."""
ORDER: Sequence[Terms] = ("permissive", "share alike", "restrictive", "unknown")
BASES = ("student", "model", "base")
"""Parameters that name a model which a step that makes one starts from; for others it is a teacher."""
TEACHERS = ("teacher", "teachers", "judge", "reward")
"""Parameters that name a model whose answers a step learns from."""
DATA = ("path", "paths", "folder", "dataset", "rows")
"""Parameters of steps that load data which name where it lies."""
COMPARED = frozenset({"against"})
"""Edges of rows that a step only compares with: nothing of them goes into its result."""
OWN_ROWS = "rows of the pipeline itself"
"""What rows that stand in a pipeline's own file are called."""
_HEAD = 20_000
_DEEPEST = 6


@dataclass(frozen=True)
class Licence:
    """What something stands under."""

    id: str
    """As the Hub spells it; empty where nothing says it."""
    name: str = ""
    """Its own name, where the Hub knows it as `other`."""
    link: str = ""
    """Where its text is, then."""
    by: str = ""
    """What says so."""

    @property
    def terms(self) -> Terms:
        """Return what it asks of what is made under it."""
        if self.id in PERMISSIVE:
            return "permissive"
        if self.id in SHARE_ALIKE:
            return "share alike"
        return "restrictive" if self.id in RESTRICTIVE else "unknown"

    def __str__(self) -> str:
        """Return it in words."""
        return (self.name or self.id) if self.id else "unknown"


@dataclass(frozen=True)
class Source:
    """Something that a model was made from."""

    role: Role
    """What the model took from it: weights, rows or answers."""
    name: str
    """A Hub id, or the name of a file or folder; never where it lies."""
    step: str
    """The step that took it."""
    licence: Licence
    """What it stands under."""
    is_on_hub: bool = False
    """Whether its name is one of the Hub."""


def most_restrictive(licences: Iterable[Licence]) -> Licence:
    """Return the licence whose terms go furthest; the unknown one if there are none."""
    return max(licences, key=lambda one: ORDER.index(one.terms), default=Licence(""))


def licence_at(place: str | Path) -> Licence:
    """Return the licence of a model folder, or of the folder in which a file lies, by its card or licence file."""
    path = Path(place).expanduser()
    folder = path if path.is_dir() else path.parent
    for card in ("README.md", "README"):
        licence = licence_of(front_matter(folder / card), card)
        if licence.id:
            return licence
    for file in sorted(one for one in _files(folder) if re.match(r"(?i)(licen[cs]e|copying|notice)\b", one.name)):
        head = file.read_text(encoding="utf-8", errors="replace")[:_HEAD]
        licence_id = next(
            (licence_id for pattern, licence_id in BY_TEXT if re.search(pattern, head, re.IGNORECASE)), ""
        )
        if licence_id:
            return Licence(licence_id, by=file.name)
        if re.match(r"(?i)licen[cs]e", file.name):
            return Licence("other", name=f"see {file.name}", by=file.name)
    return Licence("")


def licence_of(front: Mapping[str, Any], by: str) -> Licence:
    """Return the licence in the front matter of a card."""
    value = front.get("license")
    several = [str(one).lower() for one in value] if isinstance(value, list) else [str(value).lower()] if value else []
    licences = [Licence(one, by=by) for one in several]
    chosen = most_restrictive(licences)
    if chosen.id == "other":
        return Licence("other", str(front.get("license_name") or ""), str(front.get("license_link") or ""), by)
    return chosen


def front_matter(card: Path) -> dict[str, Any]:
    """Return the front matter of a card; nothing where there is none that can be read."""
    if not card.is_file():
        return {}
    from huggingface_hub import metadata_load

    try:
        front = metadata_load(card)
    except Exception:  # noqa: BLE001 - a file of somebody's own, in which the parser may trip over anything
        return {}
    return front if isinstance(front, dict) else {}


def hub_licence(name: str, kind: Literal["model", "dataset"]) -> Licence:
    """Return the licence of something on the Hub, from what of it lies in the local cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    for file in ("README.md", "LICENSE", "config.json"):
        try:
            cached = try_to_load_from_cache(name, file, repo_type=kind)
        except HFValidationError:
            return Licence("")
        if isinstance(cached, str):
            return licence_at(Path(cached).parent)
    return Licence("")


def sources_of(lineage: Iterable[Ancestor]) -> list[Source]:
    """Return what the models of a lineage took from outside, with licences; test sets are no part of it."""
    steps = list(lineage)
    behind = _behind(steps)
    sources: dict[tuple[Role, str, str], Source] = {}
    for ancestor in steps:
        if ancestor.name not in behind:
            continue
        for role, place in _places(ancestor):
            source = Source(role, named(place), ancestor.name, _licence(role, place), _is_on_hub(place))
            sources.setdefault((role, source.name, str(source.licence)), source)
    return list(sources.values())


def _behind(steps: Sequence[Ancestor]) -> set[str]:
    """Return the names of the steps that make models, and of all that goes into them; of the last one if none does."""
    inputs = {one.name: list(_taken(one)) for one in steps}
    waiting = [one.name for one in steps if one.manifest.get("makes") == "model"] or list(inputs)[-1:]
    behind: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in behind:
            behind.add(name)
            waiting += inputs.get(name, ())
    return behind


def _taken(ancestor: Ancestor) -> Iterator[str]:
    """Yield the names of the steps of which something goes into a step's result."""
    by_field = ancestor.manifest.get("inputs") or {}
    if not by_field:
        yield from ancestor.inputs
    for field, names in by_field.items():
        yield from (str(name) for name in names if field not in COMPARED)


def named(place: str) -> str:
    """Return what a source is called: its Hub id, the last part of its path, or its address without a secret.

    A password stands before the host of an address, and what signs it behind the question mark. The folder in which a
    file lies may be named after its owner.

    >>> named("https://me:secret@example.com/seeds.jsonl?token=abc")
    'https://example.com/seeds.jsonl'
    >>> named("/home/ada/seeds.jsonl")
    'seeds.jsonl'
    """
    if "://" in place:
        address, _, model = place.partition(" ")  # a served model has its name behind the address
        start, _, rest = re.split("[?#]", address, maxsplit=1)[0].partition("://")
        host, slash, path = rest.partition("/")
        return f"{start}://{host.rpartition('@')[2]}{slash}{path}{' ' if model else ''}{model}"
    return (Path(place).name or "a local folder") if is_local(place) else place


def _places(ancestor: Ancestor) -> Iterator[tuple[Role, str]]:
    """Yield what a step took from outside, and as what."""
    parameters = ancestor.manifest.get("params") or {}
    measures = ancestor.manifest.get("makes") in ("metrics", "report")
    base: Role = "base" if ancestor.manifest.get("makes") == "model" else "teacher"
    fields: list[tuple[str, Role]] = [*((name, base) for name in BASES), *((name, "teacher") for name in TEACHERS)]
    # what is only measured goes into no model
    for name, role in [] if measures else fields:
        yield from ((role, place) for place in _models(parameters.get(name), 0))
    if ancestor.type.startswith("Load") and not ancestor.inputs:
        yield from (("data", place) for place in _texts([parameters.get(name) for name in DATA]))
        if ancestor.type == "LoadRows":
            yield "data", OWN_ROWS


def _models(value: object, depth: int) -> Iterator[str]:
    """Yield the names of models in a parameter: a text, a teacher's settings, or several of them."""
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, Mapping) and depth < _DEEPEST:
        inner = value.get("model")
        address = value.get("base_url")
        if isinstance(inner, str) and inner:
            yield f"{address} {inner}" if isinstance(address, str) and address else inner
        for other in value.values():
            if isinstance(other, (Mapping, list)):
                yield from _models(other, depth + 1)
    elif isinstance(value, list) and depth < _DEEPEST:
        for one in value:
            if isinstance(one, (Mapping, list)):
                yield from _models(one, depth + 1)


def _texts(values: Iterable[object]) -> Iterator[str]:
    """Yield the texts among values and lists of them."""
    for value in values:
        if isinstance(value, str) and value:
            yield value
        elif isinstance(value, list):
            yield from (one for one in value if isinstance(one, str))


def _licence(role: Role, place: str) -> Licence:
    """Return the licence of a source; of one behind an address nothing is known."""
    if _is_on_hub(place):
        return hub_licence(place, "dataset" if role == "data" else "model")
    return Licence("") if "://" in place or place == OWN_ROWS else licence_at(place)


def _is_on_hub(place: str) -> bool:
    """Return whether a source is named as the Hub names things."""
    return "://" not in place and place != OWN_ROWS and not is_local(place)


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder; none where it is not there any more."""
    return [one for one in folder.iterdir() if one.is_file()] if folder.is_dir() else []
