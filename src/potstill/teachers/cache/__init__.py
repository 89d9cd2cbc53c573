"""Answers of teachers: each is paid for once, journalled, parsed and asked for again where it fails."""
