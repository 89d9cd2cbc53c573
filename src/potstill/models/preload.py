"""Modules that the fork server imports before it forks heavy steps, so that its children need not.

`transformers` and `vllm` import their models, trainer and engine only where they are used, which takes seconds.
"""

from __future__ import annotations

MODEL = ("torch", "transformers.models.auto.modeling_auto")
"""For steps that load a model."""
TRAINER = (*MODEL, "transformers.trainer")
"""For steps that train one."""
ENCODER = (*MODEL, "sentence_transformers")
"""For steps that load a sentence encoder."""
ENGINE = (*MODEL, "vllm.entrypoints.llm")
"""For steps that run vLLM."""
