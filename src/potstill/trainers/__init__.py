"""Trainers: steps in which a student learns (hard, soft), and the pure losses they minimise.

May import the engine, prompts and the pure-math modules; never steps or pipelines.
"""
