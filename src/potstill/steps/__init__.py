"""Steps: one concept a file (load, generate, label, filter, split, prune, quantize, evaluate, report).

May import the engine, prompts, teachers and the pure-math modules; never trainers or pipelines.
"""
