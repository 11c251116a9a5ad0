"""Text to speech and speech to text: the reading of their requests, responses and streams. Audio is never recorded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Prompt, Text
from otel_genai.endpoint.endpoint import Endpoint, Fold
from otel_genai.instrumentors.openai.messages import text_messages
from otel_genai.instrumentors.openai.request import failure, field, number, request_body, text, unparsed
from otel_genai.instrumentors.openai.server import OPENAI, server
from otel_genai.instrumentors.openai.usage import media_usage
from otel_genai.operation import Request, Response
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from otel_genai.endpoint.arguments import Arguments

_SPEECH: Final = "speech"
_TEXT: Final = "text"


def audio_request(output_type: str, arguments: Arguments) -> Request:
    """The request, without its content. The conventions' output type is text or speech, not a file format."""
    fields = request_body(arguments)
    return Request(
        operation=gen_ai.GENERATE_CONTENT,
        **server(arguments),
        model=text(fields.get("model")),
        stream=bool(fields.get("stream")),
        temperature=number(fields.get("temperature")),
        output_type=output_type,
    )


def speech_prompt(arguments: Arguments) -> Prompt:
    """The text to speak, and the instructions for the voice."""
    fields = request_body(arguments)
    instructions = text(fields.get("instructions"))
    return Prompt(
        messages=text_messages(fields.get("input")),
        system_instructions=(Text(instructions),) if instructions else (),
    )


def transcript_prompt(arguments: Arguments) -> Prompt:
    """The text that guides the transcription, if any."""
    return Prompt(messages=text_messages(request_body(arguments).get("prompt")))


def speech_response(result: Any, content: bool) -> Response:  # noqa: ARG001
    """Empty: audio has neither id nor usage."""
    return Response()


def transcript_response(result: Any, content: bool) -> Response:
    """The response of a call that was not streamed: an object, or a string where the caller asks for subtitles or plain text."""
    transcript = text(result) or text(field(result, "text"))
    return Response(
        usage=media_usage(field(result, "usage")),
        messages=_transcript_message(transcript, gen_ai.STOP) if content else (),
    )


def _transcript_message(transcript: str | None, finish_reason: str) -> tuple[Message, ...]:
    if not transcript:
        return ()
    return (Message(role="assistant", parts=(Text(transcript),), finish_reason=finish_reason),)


class AudioFold(Fold):
    """Gathers a streamed transcript or raw speech: deltas, and a last event with usage and the whole text."""

    def __init__(self, request: Request, content: bool) -> None:  # noqa: ARG002
        self._last: Any = None
        self._has_output = False
        self._pieces: list[str] | None = [] if content else None

    def add(self, chunk: Any) -> bool:
        """Add one event. True once an event has carried text or audio."""
        piece = text(field(chunk, "delta"))
        self._has_output = self._has_output or bool(piece or field(chunk, "text") or field(chunk, "audio"))
        if self._pieces is not None and piece:
            self._pieces.append(piece)
        if field(chunk, "type") in {"transcript.text.done", "speech.audio.done"}:
            self._last = chunk
        return self._has_output

    def response(self) -> Response:
        """The response as far as it was received."""
        usage = media_usage(field(self._last, "usage"))
        if self._pieces is None:
            return Response(usage=usage)
        transcript = text(field(self._last, "text")) or "".join(self._pieces)
        finish_reason = gen_ai.ERROR if self._last is None else gen_ai.STOP
        return Response(usage=usage, messages=_transcript_message(transcript, finish_reason))


SPEECH: Final = Endpoint(
    default=Request(operation=gen_ai.GENERATE_CONTENT, provider=OPENAI, output_type=_SPEECH),
    request=partial(audio_request, _SPEECH),
    prompt=speech_prompt,
    response=speech_response,
    fold=AudioFold,
    failure=failure,
    unparsed=unparsed,
)
TRANSCRIPT: Final = Endpoint(
    default=Request(operation=gen_ai.GENERATE_CONTENT, provider=OPENAI, output_type=_TEXT),
    request=partial(audio_request, _TEXT),
    prompt=transcript_prompt,
    response=transcript_response,
    fold=AudioFold,
    failure=failure,
    unparsed=unparsed,
)
