"""Steps that generate instruction data by published recipes."""
