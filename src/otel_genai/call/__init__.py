"""The life of a call: how it is found, begun, followed and ended. Nothing is imported here, so that only what is used is paid for."""
