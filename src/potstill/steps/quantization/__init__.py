"""Steps that quantize models."""
