"""What steps that compress models share, and those that change shapes or types alone."""
