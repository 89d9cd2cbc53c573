"""Steps that read rows from files, the hub or memory."""
