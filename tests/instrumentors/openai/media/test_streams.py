"""Images and transcripts that are streamed: the events that the application gets, and the telemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.trace import StatusCode

import otel_genai
from otel_genai.instrumentors.openai import audio
from tests.support.openai.clients import BROKEN, async_client
from tests.support.openai.expected_content import answered, content, said, without_content
from tests.support.openai.media import (
    B64,
    IMAGE_TOKENS,
    IMAGE_USAGE,
    IMAGES_STREAM,
    SOUND,
    TRANSCRIPT,
    TRANSCRIPT_TOKENS,
    TRANSCRIPTS_STREAM,
    all_telemetry,
    request_attributes,
)
from tests.support.openai.media import untyped_client as client
from tests.support.openai.scripted_server import CUT, Answer, scripted

if TYPE_CHECKING:
    from tests.support.providers import Recorded


def image_event(kind: str, **fields: Any) -> dict[str, Any]:
    """One event of a streamed image."""
    return {"type": kind, "b64_json": B64, "created_at": 1, "size": "1024x1024", "output_format": "png", **fields}


def image_events(kind: str) -> list[Any]:
    return [
        image_event(f"{kind}.partial_image", partial_image_index=0),
        image_event(f"{kind}.partial_image", partial_image_index=1),
        image_event(f"{kind}.completed", usage=IMAGE_USAGE),
    ]


STREAMED_IMAGE = request_attributes("generate_content", "gpt-image-1", output_type="image") | {
    "gen_ai.request.stream": True
}
images_stream = pytest.mark.skipif(not IMAGES_STREAM, reason="this version of the client does not stream images")


@images_stream
@pytest.mark.parametrize("name", ["generate", "edit"])
def test_a_streamed_image(capturing: Recorded, name: str) -> None:
    upload = {"image": ("a.png", SOUND)} if name == "edit" else {}
    operations: list[Any] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    kind = "image_edit" if name == "edit" else "image_generation"
    with scripted(Answer(events=image_events(kind))) as server, client(server) as app:
        stream = getattr(app.images, name)(model="gpt-image-1", prompt="A cat", stream=True, partial_images=2, **upload)
        assert isinstance(stream, openai.Stream)
        assert [event.b64_json for event in stream] == [B64] * 3
    stop()
    span = capturing.span()
    assert without_content(span) == STREAMED_IMAGE | IMAGE_TOKENS
    assert content(span, "input.messages") == [said("user", "A cat")]
    assert content(span, "output.messages") is None
    assert "iVBOR" not in all_telemetry(capturing)
    assert operations[0].timing.first_token == operations[0].timing.chunks[0]


@images_stream
async def test_an_async_streamed_image(instrumented: Recorded) -> None:
    with scripted(Answer(events=image_events("image_generation"))) as server:
        async with async_client(server) as made:
            app: Any = made
            stream = await app.images.generate(model="gpt-image-1", prompt="A cat", stream=True)
            assert len([event async for event in stream]) == 3
    assert without_content(instrumented.span()) == STREAMED_IMAGE | IMAGE_TOKENS


@images_stream
def test_a_streamed_image_that_is_left_early_is_no_error(instrumented: Recorded) -> None:
    with (
        scripted(Answer(events=image_events("image_generation"))) as server,
        client(server) as app,
        app.images.generate(model="gpt-image-1", prompt="A cat", stream=True) as stream,
    ):
        next(stream)
    span = instrumented.span()
    assert without_content(span) == STREAMED_IMAGE
    assert span.status.status_code is StatusCode.UNSET


def transcript_delta(delta: str) -> dict[str, Any]:
    return {"type": "transcript.text.delta", "delta": delta}


TRANSCRIPT_EVENTS = [
    transcript_delta("Hello"),
    transcript_delta(" "),
    transcript_delta("there."),
    {"type": "transcript.text.done", **TRANSCRIPT},
]
STREAMED_TRANSCRIPT = request_attributes("generate_content", "gpt-4o-transcribe", output_type="text") | {
    "gen_ai.request.stream": True
}
transcripts_stream = pytest.mark.skipif(
    not TRANSCRIPTS_STREAM, reason="this version of the client does not stream transcripts"
)


def transcribe(app: Any) -> Any:
    return app.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", SOUND), stream=True)


@transcripts_stream
def test_a_streamed_transcript(capturing: Recorded) -> None:
    with scripted(Answer(events=TRANSCRIPT_EVENTS)) as server, client(server) as app:
        events = list(transcribe(app))
    assert [event.type for event in events] == ["transcript.text.delta"] * 3 + ["transcript.text.done"]
    span = capturing.span()
    assert without_content(span) == STREAMED_TRANSCRIPT | TRANSCRIPT_TOKENS
    assert content(span, "output.messages") == answered("Hello there.", finish_reason="stop")


@transcripts_stream
async def test_an_async_streamed_transcript(instrumented: Recorded) -> None:
    with scripted(Answer(events=TRANSCRIPT_EVENTS)) as server:
        async with async_client(server) as app:
            assert len([event async for event in await transcribe(app)]) == 4
    assert without_content(instrumented.span()) == STREAMED_TRANSCRIPT | TRANSCRIPT_TOKENS
    assert "gen_ai.response.time_to_first_chunk" in (instrumented.span().attributes or {})


@transcripts_stream
def test_a_transcript_that_is_cut_is_recorded_as_far_as_it_was_received(capturing: Recorded) -> None:
    with scripted(Answer(events=[*TRANSCRIPT_EVENTS[:2], CUT])) as server, client(server) as app:
        stream = transcribe(app)
        with pytest.raises(BROKEN):
            list(stream)
    span = capturing.span()
    assert span.status.status_code is StatusCode.ERROR
    assert content(span, "output.messages") == answered("Hello ", finish_reason="error")
    assert "gen_ai.usage.input_tokens" not in without_content(span)


@transcripts_stream
def test_an_unread_transcript_has_no_message(capturing: Recorded) -> None:
    with scripted(Answer(events=TRANSCRIPT_EVENTS)) as server, client(server) as app:
        transcribe(app).close()
    assert without_content(capturing.span()) == STREAMED_TRANSCRIPT
    assert content(capturing.span(), "output.messages") is None


def test_speech_as_events_is_counted_when_it_is_read_raw() -> None:
    usage = {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
    fold = audio.SPEECH.fold(audio.SPEECH.default, True)
    assert not fold.add({"type": "speech.audio.unknown"})
    assert fold.add({"type": "speech.audio.delta", "audio": "UklGRg=="})
    assert fold.add({"type": "speech.audio.done", "usage": usage})
    response = fold.response()
    assert response.usage is not None
    assert (response.usage.input, response.usage.output, response.messages) == (14, 101, ())
