"""Steps that write a model for one runtime."""
