"""The HTTP interface of the simulated server."""
