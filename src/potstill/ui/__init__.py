"""The local web page over a store: `potstill ui`. Nothing here is imported before that command runs."""
