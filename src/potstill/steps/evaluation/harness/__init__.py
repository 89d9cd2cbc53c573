"""lm-evaluation-harness (the package `lm_eval`) over Potstill's teachers; only `LMEval` imports it, when it runs."""
