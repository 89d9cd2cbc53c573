"""Ready pipelines as templates: `potstill new` writes them into a user's folder."""
