"""Potstill: distil large language models into small ones that can be deployed.

Few rooms; imports go one way down the floors, which `lint-imports` checks, and each room's README shows the way in:
`cli` | `pipelines` | `recipes` | `steps`, `trainers` | `teachers`, `exporting`, `reporting` | `models` | `engine` (the
cached graph, which knows no model) beside the pure `compression`, `metrics`, `labelling` and `prompts` | `text` |
`errors`, `about`, `moved`, `data`. Public names are here and in `steps`, `trainers` and `recipes`, each loaded when it
is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from potstill import moved

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.engine.encoding import File
    from potstill.engine.pipeline import Pipeline
    from potstill.engine.records import Run
    from potstill.engine.step import Anything, Estimate, Metrics, Model, Output, Rows, RowsOutput, Step
    from potstill.errors import BadInput, PotstillError, RequestError, StepFailed
    from potstill.teachers.ensemble import Ensemble
    from potstill.teachers.openai.budget import Price
    from potstill.teachers.openai.endpoint import Endpoint
    from potstill.teachers.openai.pool import Pool
    from potstill.teachers.protocol import Structured
    from potstill.teachers.transformers import Transformers
    from potstill.teachers.vllm.teacher import VLLM, Speculative

__version__ = "0.1.0"
moved.install()

_HOME = {
    "Anything": "engine.step",
    "BadInput": "errors",
    "Context": "engine.context",
    "Endpoint": "teachers.openai.endpoint",
    "Ensemble": "teachers.ensemble",
    "Estimate": "engine.step",
    "File": "engine.encoding",
    "Metrics": "engine.step",
    "Model": "engine.step",
    "Output": "engine.step",
    "Pipeline": "engine.pipeline",
    "Pool": "teachers.openai.pool",
    "PotstillError": "errors",
    "Price": "teachers.openai.budget",
    "RequestError": "errors",
    "Rows": "engine.step",
    "RowsOutput": "engine.step",
    "Run": "engine.records",
    "Speculative": "teachers.vllm.teacher",
    "Step": "engine.step",
    "StepFailed": "errors",
    "Structured": "teachers.protocol",
    "Transformers": "teachers.transformers",
    "VLLM": "teachers.vllm.teacher",
}

__all__ = [
    "VLLM",
    "Anything",
    "BadInput",
    "Context",
    "Endpoint",
    "Ensemble",
    "Estimate",
    "File",
    "Metrics",
    "Model",
    "Output",
    "Pipeline",
    "Pool",
    "PotstillError",
    "Price",
    "RequestError",
    "Rows",
    "RowsOutput",
    "Run",
    "Speculative",
    "Step",
    "StepFailed",
    "Structured",
    "Transformers",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `potstill --help` stays quick."""
    if name not in _HOME:
        raise AttributeError(f"module 'potstill' has no attribute {name!r}")
    return getattr(importlib.import_module(f"potstill.{_HOME[name]}"), name)
