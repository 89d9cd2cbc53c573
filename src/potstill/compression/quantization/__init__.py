"""The math of quantization: rounding, its error and how it is compensated."""
