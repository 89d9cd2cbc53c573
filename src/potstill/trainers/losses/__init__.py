"""Losses of a student, one value a token, in float32; the caller sums and normalizes.

Pure functions. Positions that don't count, such as padding, are left out by the caller, before anything is computed of
them. Logits of output layers that were padded to different sizes are cut by the caller, who checked the vocabularies.
"""

from potstill.lazy_names import attach

__getattr__, __dir__, __all__ = attach(__name__)
