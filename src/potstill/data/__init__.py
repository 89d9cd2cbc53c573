"""Training data for the models: one sub-package per domain."""
