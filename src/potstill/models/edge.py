"""The annotation of fields that hold a model."""

from __future__ import annotations

from typing import Annotated, Any, Union

from potstill.engine.step import Edge, Node
from potstill.models.identity import corrections_of, model_identity

Model = Annotated[Union[Node, str, Any], Edge("model", model_identity, corrections_of)]
"""An edge or a model by name: a step that makes a model, a local folder, a Hub id or a teacher; `run` gets a folder."""
