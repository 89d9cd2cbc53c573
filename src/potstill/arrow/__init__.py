"""Rows as Arrow tables: from Python values and from frames, in one schema, in files of a fixed layout, and back."""
