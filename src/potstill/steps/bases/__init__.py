"""What families of steps share: their fields, their checks and how they ask; one family a file."""
