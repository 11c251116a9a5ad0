"""The program that a run becomes: Python code in this process, or a subprocess."""
