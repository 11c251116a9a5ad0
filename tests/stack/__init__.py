"""The demo stack without containers: its programs, its configuration and its dashboards, on loopback."""
