"""The math of fewer bits: rounding, its error and what makes up for it."""
