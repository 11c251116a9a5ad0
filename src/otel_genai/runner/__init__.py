"""`otel-genai run`: becomes the user's program, with telemetry around it."""
