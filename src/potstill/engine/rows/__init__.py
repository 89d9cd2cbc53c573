"""Rows as they were: from Python values and frames to Arrow tables in files of a fixed layout, and back."""
