"""Recording files: their lines, their locks, writing and reading."""
