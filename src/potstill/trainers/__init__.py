"""Trainers: steps in which a student learns, and their losses as pure functions.

May import the engine, prompts and the pure-math modules; never steps or pipelines. Methods made of steps and trainers
live above both, in `potstill.recipes`; they are offered here too. Each name is loaded when it is first used.
"""

from potstill.lazy_names import attach

__getattr__, __dir__, __all__ = attach(__name__)
