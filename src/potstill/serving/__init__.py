"""`potstill serve`: a finished model on this machine, by the runtime that its card names. See `commands.serve`."""
