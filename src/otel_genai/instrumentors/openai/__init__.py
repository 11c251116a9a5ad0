"""OpenAI's client, 1.40 and later: the table of what is instrumented, a file a surface.

Rows name the module that an application imports the class through; where a later version split it up, the class is the same object.
"""

from __future__ import annotations

from typing import ClassVar

from otel_genai.endpoint import Carrier, Reply
from otel_genai.instrumentors import Instrumentor
from otel_genai.instrumentors.openai import audio, chat, completions, embeddings, images, moderations, responses
from otel_genai.instrumentors.openai.server import served_model


class OpenAIInstrumentor(Instrumentor):
    """Instruments OpenAI's client, sync and async, whichever server it talks to."""

    requires: ClassVar = ("openai >= 1.40",)
    rows: ClassVar = (
        *chat.ROWS,
        *responses.ROWS,
        *completions.ROWS,
        *embeddings.ROWS,
        *images.ROWS,
        *audio.ROWS,
        *moderations.ROWS,
        # Builds each attempt's request for both clients, from a copy of the caller's headers.
        Carrier(
            module="openai._base_client",
            target="BaseClient._build_request",
            headers=lambda request: request.headers,
        ),
        *(
            Reply(module="openai._base_client", target=f"{client}._process_response", served_model=served_model)
            for client in ("SyncAPIClient", "AsyncAPIClient")
        ),
    )
