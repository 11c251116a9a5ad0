"""Attributes of the `openai.*` namespace."""

from __future__ import annotations

from typing import Final

API_TYPE: Final = "openai.api.type"
REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"
RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
RESPONSE_SYSTEM_FINGERPRINT: Final = "openai.response.system_fingerprint"
