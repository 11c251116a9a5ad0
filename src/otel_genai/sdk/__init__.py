"""The OpenTelemetry SDK, set up from the environment: for the runner, the simulator and vLLM's plug-in. It imports none of them."""
