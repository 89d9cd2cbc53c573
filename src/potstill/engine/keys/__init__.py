"""The key of a step: its identity, and the content of its inputs."""
