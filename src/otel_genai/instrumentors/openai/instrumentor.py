"""OpenAI's client, 1.40 and later: the table of what is instrumented, and the file of each surface.

Rows name the module that an application imports the class through; where a later version split it up, the class is the same object.
The files are imported when those modules are.
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
_SERVED_MODEL: Final = "x-ms-served-model"
"""Header that names the model behind an Azure deployment, which the body may not."""


def _both(module: str, target: str, endpoint: str, *, optional: bool = False) -> Iterator[CallRow]:
    # A method of the sync class, and that of the async one.
    where, how = f"{_RESOURCES}.{module}", f"{__package__}.{endpoint}"
    yield CallRow(module=where, target=target, endpoint=how, optional=optional)
    yield CallRow(module=where, target=f"Async{target}", endpoint=how, optional=optional, awaits=True)


class OpenAIInstrumentor(Instrumentor):
    """Instruments OpenAI's client, sync and async, whichever server it talks to."""

    requires: ClassVar = ("openai >= 1.40",)
    rows: ClassVar = (
        *_both("chat.completions", "Completions.create", "chat:CHAT"),
        # It was in the beta module before it came here; in neither place does it call `create`.
        *_both("chat.completions", "Completions.parse", "chat:CHAT", optional=True),
        *_both("beta.chat.completions", "Completions.parse", "chat:CHAT"),
        # The modules that define the classes: the packages above them load lazily, and to look there would be an import for our
        # sake. `stream` goes through `create` or `retrieve`, `parse` does not; the beta surface is classes of its own.
        *_both("responses.responses", "Responses.create", "responses:CREATE"),
        *_both("responses.responses", "Responses.parse", "responses:CREATE"),
        *_both("responses.responses", "Responses.retrieve", "responses:FETCH"),
        *_both("responses.responses", "Responses.compact", "responses:COMPACT", optional=True),
        *_both("beta.responses.responses", "Responses.create", "responses:CREATE"),
        *_both("beta.responses.responses", "Responses.retrieve", "responses:FETCH"),
        *_both("beta.responses.responses", "Responses.compact", "responses:COMPACT", optional=True),
        *_both("completions", "Completions.create", "completions:COMPLETION"),
        *_both("embeddings", "Embeddings.create", "embeddings:EMBEDDING"),
        *_both("images", "Images.generate", "images:IMAGE"),
        *_both("images", "Images.edit", "images:IMAGE"),
        *_both("images", "Images.create_variation", "images:IMAGE"),
        *_both("audio.speech", "Speech.create", "audio:SPEECH"),
        *_both("audio.transcriptions", "Transcriptions.create", "audio:TRANSCRIPT"),
        *_both("audio.translations", "Translations.create", "audio:TRANSCRIPT"),
        *_both("moderations", "Moderations.create", "moderations:MODERATION"),
        # Builds each attempt's request for both clients, from a copy of the caller's headers.
        RequestHeadersRow(module=_CLIENT, target="BaseClient._build_request", headers=attrgetter("headers")),
        *(
            ResponseHeadersRow(
                module=_CLIENT,
                target=f"{client}._process_response",
                response="response",
                served_model=_SERVED_MODEL,
            )
            for client in ("SyncAPIClient", "AsyncAPIClient")
        ),
    )
