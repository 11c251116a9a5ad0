"""The simulated engine: scheduler, KV cache, speed, statistics."""
