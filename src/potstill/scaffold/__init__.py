"""Starting: ready pipelines that `potstill new` writes into a user's folder."""
