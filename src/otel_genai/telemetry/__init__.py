"""What becomes of a finished operation. Nothing is imported here, so that only what is used is paid for."""
