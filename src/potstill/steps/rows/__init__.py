"""Steps that change rows and columns."""
