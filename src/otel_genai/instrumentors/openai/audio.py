"""Speech out of text, and text out of speech: how their requests, responses and streams read. No sound is ever recorded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from otel_genai.content import Message, Prompt, Text
from otel_genai.endpoint.endpoint import Endpoint, Fold
from otel_genai.instrumentors.openai.messages import said
from otel_genai.instrumentors.openai.request import body, failure, field, number, text, unparsed
from otel_genai.instrumentors.openai.server import OPENAI, server
from otel_genai.instrumentors.openai.usage import media_usage
from otel_genai.operation import Request, Response
from otel_genai.semconv import gen_ai

if TYPE_CHECKING:
    from otel_genai.endpoint.endpoint import Arguments

_SPEECH: Final = "speech"
_TEXT: Final = "text"


def audio_request(output_type: str, arguments: Arguments) -> Request:
    """The request, without its content. A file format is not the conventions' output type: that is text or speech."""
    fields = body(arguments)
    return Request(
        operation=gen_ai.GENERATE_CONTENT,
        **server(arguments),
        model=text(fields.get("model")),
        stream=bool(fields.get("stream")),
        temperature=number(fields.get("temperature")),
        output_type=output_type,
    )


def speech_prompt(arguments: Arguments) -> Prompt:
    """The text to be spoken, and how."""
    fields = body(arguments)
    instructions = text(fields.get("instructions"))
    return Prompt(
        messages=said(fields.get("input")),
        system_instructions=(Text(instructions),) if instructions else (),
    )


def transcript_prompt(arguments: Arguments) -> Prompt:
    """The words that guide the transcription, if any."""
    return Prompt(messages=said(body(arguments).get("prompt")))


def speech_response(result: Any, content: bool) -> Response:  # noqa: ARG001
    """Nothing: a sound has neither id nor usage."""
    return Response()


def transcript_response(result: Any, content: bool) -> Response:
    """A complete transcript, as an object or, where the caller asked for subtitles or plain text, as that."""
    transcript = text(result) or text(field(result, "text"))
    return Response(
        usage=media_usage(field(result, "usage")),
        messages=_heard(transcript, "stop") if content else (),
    )


def _heard(transcript: str | None, finish_reason: str) -> tuple[Message, ...]:
    if not transcript:
        return ()
    return (Message(role="assistant", parts=(Text(transcript),), finish_reason=finish_reason),)


class AudioFold(Fold):
    """A streamed transcript or, where the caller reads it raw, speech: deltas, and at the end usage and the whole text."""

    def __init__(self, request: Request, content: bool) -> None:  # noqa: ARG002
        self._last: Any = None
        self._begun = False
        self._pieces: list[str] | None = [] if content else None

    def add(self, chunk: Any) -> bool:
        """Take in one event. True once there is text or sound."""
        piece = text(field(chunk, "delta"))
        self._begun = self._begun or bool(piece or field(chunk, "text") or field(chunk, "audio"))
        if self._pieces is not None and piece:
            self._pieces.append(piece)
        if field(chunk, "type") in {"transcript.text.done", "speech.audio.done"}:
            self._last = chunk
        return self._begun

    def response(self) -> Response:
        """What has been received so far."""
        whole = text(field(self._last, "text"))
        return Response(
            usage=media_usage(field(self._last, "usage")),
            messages=()
            if self._pieces is None
            else _heard(whole or "".join(self._pieces), "error" if self._last is None else "stop"),
        )


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
