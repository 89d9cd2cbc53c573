"""Potstill: distil large language models into small ones that can be deployed.

The engine is here, one noun a module: `step` (what a node is), `graph`, `identity` and `keys` and `code` and `digests`
(what a key covers), `store`, `journal`, `ledger`, `locks` (what is kept), `validate`, `plan`, `execute`, `run`,
`records`, `logs` (what happens), `executor` and `zygote` (where), `progress`, `pipeline`, `loader`, `cli` (how it is
used). It knows nothing of language models, but for `models`, which tells what a model's name stands for.

`pipelines` use `steps` and `trainers`; those use `teachers`, `prompts`, `compression` and the engine; nothing the other
way.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potstill.context import Context
    from potstill.errors import BadInput, PotstillError, RequestError, StepFailed
    from potstill.keys import File
    from potstill.pipeline import Pipeline
    from potstill.records import Run
    from potstill.step import Anything, Estimate, Metrics, Model, Output, Rows, Step
    from potstill.teachers.budget import Price
    from potstill.teachers.endpoint import Endpoint
    from potstill.teachers.pool import Pool
    from potstill.teachers.vllm import VLLM

__version__ = "0.1.0"

_HOME = {
    "Anything": "step",
    "BadInput": "errors",
    "Context": "context",
    "Endpoint": "teachers.endpoint",
    "Estimate": "step",
    "File": "keys",
    "Metrics": "step",
    "Model": "step",
    "Output": "step",
    "Pipeline": "pipeline",
    "Pool": "teachers.pool",
    "PotstillError": "errors",
    "Price": "teachers.budget",
    "RequestError": "errors",
    "Rows": "step",
    "Run": "records",
    "Step": "step",
    "StepFailed": "errors",
    "VLLM": "teachers.vllm",
}

__all__ = [
    "VLLM",
    "Anything",
    "BadInput",
    "Context",
    "Endpoint",
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
    "Run",
    "Step",
    "StepFailed",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `potstill --help` stays quick."""
    if name not in _HOME:
        raise AttributeError(f"module 'potstill' has no attribute {name!r}")
    return getattr(importlib.import_module(f"potstill.{_HOME[name]}"), name)
