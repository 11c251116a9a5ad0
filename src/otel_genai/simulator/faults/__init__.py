"""Faults that are switched on while the simulated server runs."""
