"""Compression methods as pure tensor math, one file a method, and the walk over a model that they share.

- `architecture`: where each model type keeps its parts. `walk`: for each block record the inputs of its linear layers,
  change the weights, go on with the new outputs. `backward`: the same thrift for gradients. `agreement`: what a change
  did to the model.
- Zeros: `magnitude`, `wanda`, `sparsegpt` say which weights go, `masks` and `pattern` where zeros may stand,
  `rewinding` what the others go back to, `sparse_storage` what storing the zeros would save.
- Smaller shapes: `activity`, `depth`, `head_importance`, `bonsai`, `hard_concrete` say what goes, `slicing` cuts it,
  `shapes` knows which sizes load; `low_rank` and `sharing` keep the shape.
- Fewer bits: `rounding`, `gptq`, `awq`, `smoothquant`, `fp8`, `llm_int8`, `nf4`, `gobo`, `straight_through`;
  `sensitivity` and `curvature` say what rounding a layer harms, `allocation` shares bits out among layers.
- Files: `compressed_tensors` and `bitsandbytes_format` say how quantized weights are written so that others load them.

Nothing here knows of the engine, of steps or of rows; only `potstill.errors` is shared with them. The modules import
torch, so steps import them inside `run`.

Shapes: O output features, I input features, G groups of input features, N tokens.
"""
