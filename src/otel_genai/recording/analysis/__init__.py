"""Figures of recorded operations."""
