"""Teachers: models that write text. One protocol, one file an engine; all vLLM names live in `vllm.py`.

May import: the engine's `errors`, `step`, `keys`, `models`, `modelcard`, and `chat`; never steps, trainers or pipelines.
"""
