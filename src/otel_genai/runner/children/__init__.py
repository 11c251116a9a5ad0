"""Processes that a run starts: what they inherit, and how they begin."""
