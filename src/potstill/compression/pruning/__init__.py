"""The math of pruning: which weights, units, heads and blocks are removed."""
