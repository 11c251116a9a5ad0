"""A call of each method of images, audio and moderations, the server's answer, and the expected attributes."""

from __future__ import annotations

import inspect
import io
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.support.openai.clients import NOT_GIVEN, client
from tests.support.openai.scripted_server import Answer, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.providers import Recorded

# Features that the oldest supported client lacks.
IMAGES_STREAM = "stream" in inspect.signature(openai.resources.images.Images.generate).parameters
TRANSCRIPTS_STREAM = "stream" in inspect.signature(openai.resources.audio.Transcriptions.create).parameters
SPEECH_HAS_INSTRUCTIONS = "instructions" in inspect.signature(openai.resources.audio.Speech.create).parameters
B64 = "iVBORw0KGgoAAAANSUhEUg=="
SOUND = b"RIFF\x24\x08\x00\xffWAVE"


def untyped_client(server: ScriptedServer) -> Any:
    """A client without types: its versions differ in parameters and models."""
    return client(server)


def all_telemetry(recorded: Recorded) -> str:
    """The span and the events as text."""
    return str(recorded.span().to_json()) + str(
        [dict(event.log_record.attributes or {}) for event in recorded.events()]
    )


def request_attributes(operation: str, model: str | None = None, **attributes: str) -> dict[str, Any]:
    """The attributes that every call has."""
    model_name = {} if model is None else {"gen_ai.request.model": model}
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "openai",
        "server.address": "127.0.0.1",
        **model_name,
        **{f"gen_ai.{name.replace('_', '.')}": value for name, value in attributes.items()},
    }


IMAGE_USAGE = {
    "input_tokens": 300,
    "output_tokens": 1056,
    "total_tokens": 1356,
    "input_tokens_details": {"text_tokens": 100, "image_tokens": 200},
    "output_tokens_details": {"image_tokens": 1050, "text_tokens": 6},
}
IMAGE_TOKENS = {
    "gen_ai.usage.input_tokens": 300,
    "gen_ai.usage.output_tokens": 1056,
    "gen_ai.usage.text.input_tokens": 100,
    "gen_ai.usage.image.input_tokens": 200,
    "gen_ai.usage.image.output_tokens": 1050,
    "gen_ai.usage.text.output_tokens": 6,
}
IMAGE_BY_ADDRESS = {"created": 1, "data": [{"url": "https://example.org/1.png", "revised_prompt": "A tabby cat."}]}
INLINE_IMAGE = {"created": 1, "data": [{"b64_json": B64}], "usage": IMAGE_USAGE, "output_format": "png"}
TRANSCRIPT = {
    "text": "Hello there.",
    "usage": {
        "type": "tokens",
        "input_tokens": 14,
        "output_tokens": 45,
        "total_tokens": 59,
        "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
    },
}
TRANSCRIPT_TOKENS = {
    "gen_ai.usage.input_tokens": 14,
    "gen_ai.usage.output_tokens": 45,
    "gen_ai.usage.text.input_tokens": 4,
    "gen_ai.usage.audio.input_tokens": 10,
}
VERDICT = {"id": "modr-1", "model": "omni-moderation-1", "results": [{"flagged": False}]}
SPEECH = {"model": "gpt-4o-mini-tts", "voice": "coral", "input": "Say this."}
CALLS: dict[str, tuple[Callable[[Any], Any], str, Answer, dict[str, Any]]] = {
    "generate": (
        lambda app: app.images.generate(model="gpt-image-1", prompt="A cat", n=2),
        "/v1/images/generations",
        Answer(INLINE_IMAGE),
        request_attributes("generate_content", "gpt-image-1", output_type="image")
        | IMAGE_TOKENS
        | {"gen_ai.request.choice.count": 2},
    ),
    "edit": (
        lambda app: app.images.edit(model="gpt-image-1", prompt="A dog", image=io.BytesIO(SOUND), n=NOT_GIVEN),
        "/v1/images/edits",
        Answer(INLINE_IMAGE),
        request_attributes("generate_content", "gpt-image-1", output_type="image") | IMAGE_TOKENS,
    ),
    "create_variation": (
        lambda app: app.images.create_variation(image=io.BytesIO(SOUND), model=NOT_GIVEN),
        "/v1/images/variations",
        Answer(IMAGE_BY_ADDRESS),
        request_attributes("generate_content", output_type="image"),
    ),
    "speech": (
        lambda app: app.audio.speech.create(**SPEECH, response_format="wav"),
        "/v1/audio/speech",
        Answer(SOUND, headers={"Content-Type": "audio/wav"}),
        request_attributes("generate_content", "gpt-4o-mini-tts", output_type="speech"),
    ),
    "transcriptions": (
        lambda app: app.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=("a.wav", SOUND), prompt="Names: Ada.", temperature=0.5
        ),
        "/v1/audio/transcriptions",
        Answer(TRANSCRIPT),
        request_attributes("generate_content", "gpt-4o-transcribe", output_type="text")
        | TRANSCRIPT_TOKENS
        | {"gen_ai.request.temperature": 0.5},
    ),
    "translations": (
        lambda app: app.audio.translations.create(model="whisper-1", file=("a.wav", SOUND), temperature=NOT_GIVEN),
        "/v1/audio/translations",
        Answer({"text": "Hello there."}),
        request_attributes("generate_content", "whisper-1", output_type="text"),
    ),
    "moderations": (
        lambda app: app.moderations.create(model="omni-moderation-latest", input="Is this nice?"),
        "/v1/moderations",
        Answer(VERDICT),
        request_attributes("moderation", "omni-moderation-latest")
        | {"gen_ai.response.id": "modr-1", "gen_ai.response.model": "omni-moderation-1"},
    ),
}


def surface(name: str, *more: Any) -> Any:
    """Parameters for a test of one surface. Later clients have deprecated two surfaces."""
    deprecated = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
    return pytest.param(name, *more, marks=[deprecated] if name in {"create_variation", "translations"} else [])


every_call = pytest.mark.parametrize("name", [surface(name) for name in CALLS])
