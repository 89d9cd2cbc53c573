"""Compression methods as pure tensor math, one file per method, and the layer-wise loop that they share.

- `architecture`: where each model type keeps its parts. `layerwise`: for each block record the inputs of its linear
  layers, change the weights, pass the new outputs on. `block_backward`: gradients in the memory of one block.
  `agreement`: what a change did to the model. `layer_kinds`: layers that alternate stay so. `low_rank` and `sharing`
  keep the shape.
- `pruning`: `magnitude`, `wanda`, `sparsegpt` say which weights go, `masks` and `nm_pattern` where zeros may stand,
  `rewinding` what the others go back to, `sparse_storage` what storing the zeros would save; `activation_importance`,
  `depth`, `head_importance`, `bonsai`, `hard_concrete` say which parts go, `slicing` cuts them, `shapes` knows which
  sizes load.
- `quantization`: `rounding`, `gptq`, `awq`, `smoothquant`, `fp8`, `llm_int8`, `nf4`, `gobo`, `straight_through`;
  `sensitivity` and `curvature` say what rounding a layer harms, `bit_allocation` shares bits out among layers.
- `formats`: how quantized weights are written so that others load them.

Nothing here knows of the engine, of steps or of rows; only `potstill.errors` is shared with them. The modules import
torch, so steps import them inside `run`.

Shapes: O output features, I input features, G groups of input features, N tokens.
"""
