"""Steps: one concept a file, one family a room (load, generate, label, filter, prune, quantize, evaluate, report).

May import the engine, prompts, teachers and the pure-math modules; never trainers or pipelines.
"""

from potstill.lazy_names import attach

__getattr__, __dir__, __all__ = attach(__name__)
