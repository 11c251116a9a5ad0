"""Attributes of our own namespace: what the conventions have no word for yet."""

from __future__ import annotations

from typing import Final

RESPONSE_TIME_TO_FIRST_TOKEN: Final = "otel_genai.response.time_to_first_token"
"""Seconds from the start to the first generated output. The conventions' first chunk may be one that only names the role."""
PHASE: Final = "otel_genai.phase.{}"
"""Seconds that an operation spent in a phase of this name."""
