"""Compression methods as pure tensor math, one file a method, and the walk over a model that they share.

- `walk`: for each decoder block record the inputs of its linear layers, change the weights, go on with the new outputs.
- `wanda`: which weights to prune. `rounding`, `gptq`: how to quantize a weight. `agreement`: what it did to the model.
- `compressed_tensors`: how quantized weights are written so that vLLM and transformers load them.

Nothing here knows of the engine, of steps or of rows; only `potstill.errors` is shared with them. The modules import
torch, so steps import them inside `run`.

Shapes: O output features, I input features, G groups of input features, N tokens.
"""
