"""What is run: how it is found, and how this process becomes it."""
