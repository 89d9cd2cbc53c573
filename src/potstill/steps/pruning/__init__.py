"""Steps that prune models."""
