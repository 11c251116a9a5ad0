"""Faults of the simulated server, switched on and off while it runs."""
