"""Teachers: models that write text. One protocol, one file an engine; vLLM's names live in `vllm_*.py` alone.

May import: the engine's `errors`, `step`, `models`, and `modelcard`, `chat`; never steps, trainers or pipelines.
"""
