"""Ready pipelines, each a page read from top to bottom; they use everything and nothing imports them."""
