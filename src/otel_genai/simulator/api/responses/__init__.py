"""The responses endpoint."""
