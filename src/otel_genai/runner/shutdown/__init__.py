"""The end of a process: no telemetry is lost at exit or on SIGTERM."""
