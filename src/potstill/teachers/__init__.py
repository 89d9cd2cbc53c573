"""Teachers: models that write text. One protocol, one module or room an engine; vLLM's names live in `vllm` alone.

May import models, prompts, text, compression and the engine; never steps, trainers or pipelines.
"""
