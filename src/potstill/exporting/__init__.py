"""Exports: how a model is written for each runtime, and how it is shown that the runtime answers as the model does.

- `probe`: what a model is asked, and what the model in memory answers. `verdict`: whether the answers are the same.
- `exporter`: what a format is. `folder`: what lies beside the weights: digests, `SERVE.md`. `reading`: who measures it.
- `decoders`: language models. `fresh_process`: the same questions in a process of their own, which loads nothing but
  what was written. `compressed_tensors`, `gguf`, `onnx`, `openvino`, `executorch`: one format a file; `*_runtime`: who
  answers.
- `encoders`: the same for classifiers and sentence encoders, whose own script answers.

Nothing here knows of the engine, of steps or of rows. Modules of a format import their packages when they are used.
"""
