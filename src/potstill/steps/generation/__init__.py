"""Steps that ask a teacher for text."""
