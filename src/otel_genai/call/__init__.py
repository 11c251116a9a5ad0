"""The life of a call, from its beginning to its end. Nothing is imported here: a process pays only for the modules that it uses."""
