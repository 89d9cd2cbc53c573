"""Recipes: they build a graph of steps and trainers, contain its students and stand for the last.

May import steps, trainers and the engine; never pipelines. Nothing imports it but pipelines, and `trainers`, which
offers these names too and loads them when they are first used.
"""

from potstill.lazy_names import attach

__getattr__, __dir__, __all__ = attach(__name__)
