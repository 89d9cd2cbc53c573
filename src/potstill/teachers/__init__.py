"""Teachers: models that write text. One protocol, one file an engine; all vLLM names live in `vllm.py`.

May import: the engine's `errors`, `step`, `models`, and `modelcard`, `chat`; never steps, trainers or pipelines.
"""
