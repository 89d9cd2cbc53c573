"""Steps that measure models and data."""
