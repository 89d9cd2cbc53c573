"""Steps that make instruction data: the published recipes."""
