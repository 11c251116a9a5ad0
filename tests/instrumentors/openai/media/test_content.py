"""Content of images, audio and moderations: texts and addresses are recorded, binary data is not."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.openai.expected_content import answered, content, said, without_content
from tests.support.openai.media import (
    B64,
    CALLS,
    SOUND,
    SPEECH,
    SPEECH_HAS_INSTRUCTIONS,
    TRANSCRIPT,
    VERDICT,
    all_telemetry,
    request_attributes,
    surface,
)
from tests.support.openai.media import untyped_client as client
from tests.support.openai.scripted_server import Answer, scripted

if TYPE_CHECKING:
    from tests.support.providers import Recorded


@pytest.mark.parametrize(
    ("name", "prompt", "answer"),
    [
        surface("generate", [said("user", "A cat")], None),
        surface("edit", [said("user", "A dog")], None),
        surface(
            "create_variation",
            None,
            [
                {
                    "role": "assistant",
                    "parts": [{"type": "uri", "modality": "image", "uri": "https://example.org/1.png"}],
                    "finish_reason": "stop",
                }
            ],
        ),
        surface("speech", [said("user", "Say this.")], None),
        surface("transcriptions", [said("user", "Names: Ada.")], answered("Hello there.", finish_reason="stop")),
        surface("translations", None, answered("Hello there.", finish_reason="stop")),
        surface("moderations", [said("user", "Is this nice?")], None),
    ],
)
def test_texts_and_addresses_are_recorded_and_nothing_binary(
    capturing: Recorded, name: str, prompt: Any, answer: Any
) -> None:
    call, _, body, expected = CALLS[name]
    with scripted(body) as server, client(server) as app:
        call(app)
    span = capturing.span()
    assert content(span, "input.messages") == prompt
    assert content(span, "output.messages") == answer
    assert without_content(span) == expected
    written = all_telemetry(capturing)
    assert not any(secret in written for secret in ("iVBOR", "RIFF", "sk-secret", "coral"))


def test_an_image_in_a_data_url_is_left_out(capturing: Recorded) -> None:
    data = [{"url": f"data:image/png;base64,{B64}"}, {"url": "https://example.org/2.png", "b64_json": B64}, {}]
    with scripted(Answer({"created": 1, "data": data})) as server, client(server) as app:
        app.images.generate(prompt="A cat", n=3)
    (message,) = content(capturing.span(), "output.messages")
    assert message["parts"] == [{"type": "uri", "modality": "image", "uri": "https://example.org/2.png"}]
    assert "iVBOR" not in all_telemetry(capturing)


@pytest.mark.skipif(not SPEECH_HAS_INSTRUCTIONS, reason="this version of the client lacks them")
def test_voice_instructions_are_system_instructions(capturing: Recorded) -> None:
    with scripted(CALLS["speech"][2]) as server, client(server) as app:
        app.audio.speech.create(**SPEECH, instructions="Cheerfully.")
    assert content(capturing.span(), "system_instructions") == [{"type": "text", "content": "Cheerfully."}]


def test_audio_reaches_the_application_unchanged(instrumented: Recorded) -> None:
    with scripted(CALLS["speech"][2]) as server, client(server) as app:
        sound = app.audio.speech.create(**SPEECH)
        assert sound.content == SOUND
        assert b"".join(sound.iter_bytes(4)) == SOUND


def test_audio_that_is_streamed_raw_reaches_the_application_unchanged(instrumented: Recorded) -> None:
    with (
        scripted(CALLS["speech"][2]) as server,
        client(server) as app,
        app.audio.speech.with_streaming_response.create(**SPEECH) as response,
    ):
        assert b"".join(response.iter_bytes(4)) == SOUND
    assert without_content(instrumented.span()) == CALLS["speech"][3]


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
@pytest.mark.parametrize("name", ["transcriptions", surface("translations")])
def test_a_transcript_that_is_plain_text(capturing: Recorded, name: str, response_format: str) -> None:
    answer = Answer(b"1\n00:00 --> 00:01\nHello.\n", headers={"Content-Type": "text/plain; charset=utf-8"})
    with scripted(answer) as server, client(server) as app:
        transcript = getattr(app.audio, name).create(
            model="whisper-1", file=("a.wav", SOUND), response_format=response_format
        )
    assert transcript == "1\n00:00 --> 00:01\nHello.\n"
    span = capturing.span()
    assert without_content(span) == request_attributes("generate_content", "whisper-1", output_type="text")
    assert content(span, "output.messages") == answered(transcript, finish_reason="stop")


def test_an_audio_file_is_sent_whole_and_not_recorded(capturing: Recorded) -> None:
    file = io.BytesIO(SOUND)
    file.name = "a.wav"
    with scripted(Answer(TRANSCRIPT)) as server, client(server) as app:
        app.audio.transcriptions.create(model="whisper-1", file=file)
        assert SOUND in server.received[0].body
    assert content(capturing.span(), "input.messages") is None


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["one", "two"], [said("user", "one"), said("user", "two")]),
        (
            [
                {"type": "text", "text": "one"},
                {"type": "image_url", "image_url": {"url": "https://example.org/1.png"}},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{B64}"}},
            ],
            [
                {
                    "role": "user",
                    "parts": [
                        {"type": "text", "content": "one"},
                        {"type": "uri", "modality": "image", "uri": "https://example.org/1.png"},
                    ],
                }
            ],
        ),
        ([], None),
    ],
)
def test_a_moderation_input_is_one_message_or_several(capturing: Recorded, inputs: Any, expected: Any) -> None:
    with scripted(Answer(VERDICT)) as server, client(server) as app:
        app.moderations.create(input=inputs)
        assert server.received[0].body["input"] == inputs
    span = capturing.span()
    assert span.name == "moderation"
    assert content(span, "input.messages") == expected
    assert capturing.events() == []
