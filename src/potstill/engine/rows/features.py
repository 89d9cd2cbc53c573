"""What a dataset knows of its columns beyond their Arrow types (names of classes, images, sounds), kept with rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from potstill.engine.rows.flaws import FlawLog

if TYPE_CHECKING:
    import pyarrow as pa

_MARK = b"huggingface"
"""Where `datasets` keeps features in a schema."""
_PLAIN = ("Value", "List", "LargeList", "Sequence", "Json")
"""Features that say no more than the Arrow type does."""


@dataclass
class FeatureLog:
    """The features of columns, gathered from all tables that are written."""

    log: FlawLog
    """Takes what does not go together."""
    _known: dict[str, Any] = field(default_factory=dict)

    def take(self, schema: pa.Schema) -> None:
        """Take in what a schema's metadata says."""
        for name, feature in special(schema).items():
            if self._known.setdefault(name, feature) != feature:
                one, other = json.dumps(self._known[name]), json.dumps(feature)
                self.log.add(f"column {name!r} is {one:.200} in some rows, {other:.200} in others: give it one meaning")

    def on(self, schema: pa.Schema) -> pa.Schema:
        """Return a schema whose metadata says what is known of its columns, and nothing else."""
        features = {name: self._known[name] for name in schema.names if name in self._known}
        if not features:
            return schema.remove_metadata()
        return schema.with_metadata({_MARK: json.dumps({"info": {"features": features}}, sort_keys=True)})


def common_metadata(schema: pa.Schema, parts: Iterable[pa.Schema]) -> tuple[pa.Schema, list[str]]:
    """Return a schema that knows of its columns what its parts know, and where these don't go together."""
    log = FlawLog()
    features = FeatureLog(log)
    for part in parts:
        features.take(part)
    return features.on(schema), log.messages()


def special(schema: pa.Schema) -> dict[str, Any]:
    """Return what a schema's metadata says of columns beyond their types, in the words of `datasets`."""
    text = (schema.metadata or {}).get(_MARK)
    features = (json.loads(text).get("info") or {}).get("features") or {} if text else {}
    return {name: feature for name, feature in features.items() if name in schema.names and not _is_plain(feature)}


def _is_plain(feature: object) -> bool:
    """Return whether a feature says no more than its Arrow type."""
    if isinstance(feature, list):
        return all(map(_is_plain, feature))
    if not isinstance(feature, dict):
        return True
    return feature.get("_type", "Value") in _PLAIN and all(
        _is_plain(inner) for name, inner in feature.items() if name != "_type"
    )
