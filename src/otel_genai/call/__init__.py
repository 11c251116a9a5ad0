"""The life of a call: how it begins, is followed and ends. Nothing is imported here, so that a process pays only for what it uses."""
