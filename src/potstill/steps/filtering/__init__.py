"""Steps that keep some rows and drop others."""
