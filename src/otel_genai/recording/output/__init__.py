"""Figures as text, JSON and CSV."""
