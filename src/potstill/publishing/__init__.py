"""Artifacts on the Hub: what would be pushed, under which licence, with which card; and the push itself."""
