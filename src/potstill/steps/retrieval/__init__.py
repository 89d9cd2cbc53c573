"""Steps that embed texts and find the nearest."""
