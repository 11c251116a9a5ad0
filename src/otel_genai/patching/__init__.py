"""Wraps functions of a library, and takes the wrappers back."""
