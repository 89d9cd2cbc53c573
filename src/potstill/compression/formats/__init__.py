"""How quantized weights are written, so that other libraries load them; one format a file."""
