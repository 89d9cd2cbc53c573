"""The math of zeros and of smaller shapes: which weights, units, heads and blocks go."""
