"""The end of a process: nothing is lost at exit or on SIGTERM."""
