"""Looks into a store: the rows of an artifact, what was lost on the way to it, and what differs between two runs."""
