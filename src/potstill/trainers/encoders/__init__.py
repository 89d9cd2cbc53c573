"""Trainers of classifiers and sentence encoders."""
