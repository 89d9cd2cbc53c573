"""Steps that evaluate models and data."""
