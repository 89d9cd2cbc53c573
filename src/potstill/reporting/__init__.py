"""What a report says and draws, as pure functions: sentences, tables, and the geometry of its two drawings.

Nothing here writes mark-up: the template beside it does, with autoescape on, so that no text can slip past it.
"""
