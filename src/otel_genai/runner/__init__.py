"""`otel-genai run`: becomes the user's program, with its GenAI calls instrumented."""
