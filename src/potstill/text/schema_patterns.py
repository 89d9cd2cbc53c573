"""JSON schema validation with a time limit on regular expressions, since answers are untrusted text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from potstill.text.patterns import pattern

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

Schema = Mapping[str, Any]


def validator_class(schema: Schema) -> type[Validator]:
    """Return the class of validators for `schema`."""
    from jsonschema.validators import extend, validator_for

    base = validator_for(schema)
    # jsonschema matches patternProperties with `re` here, which has no time limit: names are matched first
    others = base.VALIDATORS["additionalProperties"]

    def additional(validator: Validator, allowed: Any, instance: object, part: Schema) -> Iterator[ValidationError]:
        """Check properties that neither `properties` nor a pattern names."""
        wanted = part.get("patternProperties", {})
        matched = [name for name in _names(instance) if any(pattern(text).search(name) for text in wanted)]
        covered = {**part.get("properties", {}), **dict.fromkeys(matched)}
        yield from others(validator, allowed, instance, {"properties": covered}) or ()

    keywords = {"pattern": _text, "patternProperties": _properties, "additionalProperties": additional}
    return extend(base, keywords)  # type: ignore[no-any-return, no-untyped-call, unused-ignore]


def _text(validator: Validator, wanted: str, instance: object, part: Schema) -> Iterator[ValidationError]:
    """Check that a text has a match."""
    from jsonschema.exceptions import ValidationError

    if isinstance(instance, str) and not pattern(wanted).search(instance):
        yield ValidationError(f"{instance!r} does not match {wanted!r}")


def _properties(validator: Validator, wanted: Schema, instance: object, part: Schema) -> Iterator[ValidationError]:
    """Check each property by the schemas of the patterns that its name matches."""
    for text, schema in wanted.items():
        for name, value in instance.items() if isinstance(instance, dict) else ():
            if pattern(text).search(name):
                yield from validator.descend(value, schema, path=name, schema_path=text)


def _names(instance: object) -> list[str]:
    """Return the names of an object's properties."""
    return list(instance) if isinstance(instance, dict) else []
