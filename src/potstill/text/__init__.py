"""Texts as data: n-grams, near copies, overlap, repetition, diversity. Pure functions, free of the engine."""
