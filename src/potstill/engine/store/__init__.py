"""What is kept, and for how long: artifacts, manifests, the journal, locks, pins and garbage."""
