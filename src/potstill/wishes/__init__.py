"""From one sentence to a model: what `potstill make` reads, writes and hands over."""
