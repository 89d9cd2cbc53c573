"""Steps that label rows, by teachers, classifiers or rules."""
