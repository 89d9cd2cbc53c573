"""Trainers whose students are compressed while they learn."""
