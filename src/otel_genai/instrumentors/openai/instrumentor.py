"""OpenAI's client, 1.40 and later: the table of its instrumented methods, each with the endpoint that reads it.

A row names the module through which applications import the class; a later version may define the class elsewhere. An endpoint is
imported when that module is.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar, Final

from otel_genai.endpoint.rows import CallRow, RequestHeadersRow, ResponseHeadersRow
from otel_genai.instrumentors.instrumentor import Instrumentor

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLIENT: Final = "openai._base_client"
_RESOURCES: Final = "openai.resources"
_AZURE_MODEL_HEADER: Final = "x-ms-served-model"
"""Header with the model of an Azure deployment, which the body may lack."""


def _sync_and_async(module: str, target: str, endpoint: str, *, optional: bool = False) -> Iterator[CallRow]:
    module, endpoint = f"{_RESOURCES}.{module}", f"{__package__}.{endpoint}"
    yield CallRow(module=module, target=target, endpoint=endpoint, optional=optional)
    yield CallRow(module=module, target=f"Async{target}", endpoint=endpoint, optional=optional, awaits=True)


class OpenAIInstrumentor(Instrumentor):
    """Instruments OpenAI's client, sync and async, with any server."""

    requires: ClassVar = ("openai >= 1.40",)
    rows: ClassVar = (
        *_sync_and_async("chat.completions", "Completions.create", "chat:CHAT"),
        # Older versions have `parse` in the beta module only. In neither module does it call `create`.
        *_sync_and_async("chat.completions", "Completions.parse", "chat:CHAT", optional=True),
        *_sync_and_async("beta.chat.completions", "Completions.parse", "chat:CHAT"),
        # The modules that define the classes: the packages above them load lazily, and a row there would cause an import.
        # `stream` calls `create` or `retrieve`, `parse` does not. The beta surface has classes of its own.
        *_sync_and_async("responses.responses", "Responses.create", "responses:CREATE"),
        *_sync_and_async("responses.responses", "Responses.parse", "responses:CREATE"),
        *_sync_and_async("responses.responses", "Responses.retrieve", "responses:FETCH"),
        *_sync_and_async("responses.responses", "Responses.compact", "responses:COMPACT", optional=True),
        *_sync_and_async("beta.responses.responses", "Responses.create", "responses:CREATE"),
        *_sync_and_async("beta.responses.responses", "Responses.retrieve", "responses:FETCH"),
        *_sync_and_async("beta.responses.responses", "Responses.compact", "responses:COMPACT", optional=True),
        *_sync_and_async("completions", "Completions.create", "completions:COMPLETION"),
        *_sync_and_async("embeddings", "Embeddings.create", "embeddings:EMBEDDING"),
        *_sync_and_async("images", "Images.generate", "images:IMAGE"),
        *_sync_and_async("images", "Images.edit", "images:IMAGE"),
        *_sync_and_async("images", "Images.create_variation", "images:IMAGE"),
        *_sync_and_async("audio.speech", "Speech.create", "audio:SPEECH"),
        *_sync_and_async("audio.transcriptions", "Transcriptions.create", "audio:TRANSCRIPT"),
        *_sync_and_async("audio.translations", "Translations.create", "audio:TRANSCRIPT"),
        *_sync_and_async("moderations", "Moderations.create", "moderations:MODERATION"),
        # Builds the request of each attempt, for both clients, from a copy of the caller's headers.
        RequestHeadersRow(module=_CLIENT, target="BaseClient._build_request", headers=attrgetter("headers")),
        *(
            ResponseHeadersRow(
                module=_CLIENT,
                target=f"{client}._process_response",
                response="response",
                served_model=_AZURE_MODEL_HEADER,
            )
            for client in ("SyncAPIClient", "AsyncAPIClient")
        ),
    )
