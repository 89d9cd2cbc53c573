"""Formats and runtimes of classifiers and sentence encoders."""
