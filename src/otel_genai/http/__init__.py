"""GenAI calls over raw HTTP, and what providers that talk HTTP share."""
