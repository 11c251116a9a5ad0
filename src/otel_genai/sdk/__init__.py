"""The OpenTelemetry SDK, set up from the environment."""
