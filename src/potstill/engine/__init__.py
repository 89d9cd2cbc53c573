"""The cached graph of steps: what a step is, its key, the store and the run. Knows no language model."""
