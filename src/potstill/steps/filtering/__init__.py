"""Steps that filter rows."""
