"""Steps that change a model's layers, vocabulary or dtype, and the base of all compression steps."""
