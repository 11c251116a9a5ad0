"""Tests against real model engines: they run where vLLM is installed, and nothing in them is faked."""
