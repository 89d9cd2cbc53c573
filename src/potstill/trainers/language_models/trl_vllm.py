"""trl's vLLM beside a training: the one place that names it, apart from the kernel in `trl_kernel.py`.

Its engine lives in the training's process and on its GPU, and takes the trained weights from there. None of this is
part of trl's documented interface, so a test imports every name, and an upgrade that moves one is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import MissingExtra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from potstill.compression.pretrained import PretrainedModel
    from potstill.models.protocols import Tokenizer
    from potstill.trainers.language_models.rollouts import Writing

ROWS = 256
"""Texts that vLLM generates at once."""


class VLLMSampler:
    """Generates a student's texts by vLLM, with the weights of the current step."""

    def __init__(
        self,
        model: PretrainedModel,
        tokenizer: Tokenizer,
        folder: Path,
        writing: Writing,
        longest: int,
        gpu_memory: float,
    ) -> None:
        """Generate for `model`, from `folder`, at most `longest` tokens with the prompt, in a share of the GPU."""
        self._model = model
        self._tokenizer = tokenizer
        self._folder = folder
        self._writing = writing
        self._longest = longest
        self._gpu_memory = gpu_memory

    def __call__(self, prompts: Sequence[Sequence[int]], seeds: NDArray[np.uint64]) -> list[list[int]]:
        """Return what the current student generates after each prompt; the seeds are those of vLLM's own generators."""
        from trl.generation.vllm_generation import SamplingParams

        writing, engine = self._writing, self._engine
        engine.sync_weights()
        parameters = [
            SamplingParams(
                temperature=writing.temperature,
                max_tokens=writing.max_tokens,
                stop_token_ids=list(writing.ends),
                allowed_token_ids=self._allowed,
                seed=int(seed) % 2**31,
                detokenize=False,
            )
            for seed in seeds
        ]
        outputs = engine.llm.generate(
            [{"prompt_token_ids": list(prompt)} for prompt in prompts], sampling_params=parameters, use_tqdm=False
        )
        return [writing.cut(output.outputs[0].token_ids) for output in outputs]

    @property
    def _allowed(self) -> list[int] | None:
        """Return the ids that may be sampled; None for all, as listing them costs vLLM a mask."""
        size = self._writing.vocabulary
        return list(range(size)) if size < self._model.config.get_text_config().vocab_size else None

    @cached_property
    def _engine(self) -> Any:
        """Return trl's engine, created at the first text: by then the training has set up its devices.

        Raises:
            MissingExtra: trl or vLLM is not installed.
        """
        try:
            from trl.generation.vllm_generation import VLLMGeneration
        except ImportError as error:
            raise MissingExtra('OnPolicy(sampler="vllm")', "trl", "train") from error
        from accelerate import Accelerator

        # trl has vLLM load the model by this name, which a model made in memory lacks
        setattr(self._model, "name_or_path", str(self._folder))  # noqa: B010 - the type knows no such name
        return VLLMGeneration(
            model=self._model,
            accelerator=Accelerator(),
            processing_class=self._tokenizer,
            mode="colocate",
            gpu_memory_utilization=self._gpu_memory,
            max_model_length=self._longest,
            max_num_seqs=ROWS,
            temperature=self._writing.temperature,
            max_completion_length=self._writing.max_tokens,
            logprobs=None,
        )
