"""Writes finished operations as spans, metrics and events. This file imports nothing: each module is loaded when it is used."""
