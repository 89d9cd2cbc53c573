"""Ways in which a word gets from where it is written to where a step uses it: leaves, layers and hops."""

from __future__ import annotations

from mutation.features.decorators import DECORATORS
from mutation.features.definitions import DEFINITIONS
from mutation.features.effects import EFFECTS
from mutation.features.feature import Feature
from mutation.features.imports import IMPORTS
from mutation.features.lookups import LOOKUPS
from mutation.features.methods import METHODS
from mutation.features.values import VALUES

__all__ = ["HOPS", "LAYERS", "LEAVES", "Feature"]

LEAVES = [*DEFINITIONS, *VALUES, *EFFECTS]
LAYERS = [*METHODS, *DECORATORS, *LOOKUPS]
HOPS = IMPORTS
