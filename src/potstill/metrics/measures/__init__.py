"""Measures of answers to test rows: each a pure function of an answer and its right answers, and their summary."""
