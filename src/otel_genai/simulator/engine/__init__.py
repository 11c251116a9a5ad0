"""The simulated engines: scheduler, KV cache, speed, statistics."""
