"""OpenAI's Python client, 1.40 and later: the table of what is instrumented.

Rows name the module that an application imports the class through; where a later version split it up, the class is the same object.
"""

from __future__ import annotations

from typing import ClassVar, Final

from otel_genai.endpoint import Carrier, Patch
from otel_genai.instrumentors import Instrumentor
from otel_genai.instrumentors.openai.chat import CHAT

_CHAT_MODULE: Final = "openai.resources.chat.completions"


class OpenAIInstrumentor(Instrumentor):
    """Instruments OpenAI's client, sync and async, whichever server it talks to."""

    requires: ClassVar = ("openai >= 1.40",)
    rows: ClassVar = (
        Patch(module=_CHAT_MODULE, target="Completions.create", endpoint=CHAT),
        Patch(module=_CHAT_MODULE, target="AsyncCompletions.create", endpoint=CHAT, awaits=True),
        # Builds each attempt's request for both clients, from a copy of the caller's headers.
        Carrier(
            module="openai._base_client",
            target="BaseClient._build_request",
            headers=lambda request: request.headers,
        ),
    )
