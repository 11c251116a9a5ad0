"""Recording files: their lines, their locks, and how they are read back."""
