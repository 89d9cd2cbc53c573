"""Formats and runtimes of language models that write text."""
