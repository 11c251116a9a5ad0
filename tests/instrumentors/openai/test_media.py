"""Images, audio and moderations with the real client over loopback: what the application gets, and what is reported."""

from __future__ import annotations

import inspect
import io
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.trace import SpanKind, StatusCode

import otel_genai
from otel_genai.endpoint.arguments import Arguments
from otel_genai.instrumentors.openai import audio, images, moderations
from tests.support.openai import clients as openai_clients
from tests.support.openai.clients import BROKEN, NOT_GIVEN, async_client
from tests.support.openai.expected_content import answered, content, said, without_content
from tests.support.openai.scripted_server import CUT, Answer, ScriptedServer, scripted
from tests.support.providers import Recorded, attribute

if TYPE_CHECKING:
    from collections.abc import Callable


# What the oldest supported client does not stream yet.
IMAGES_STREAM = "stream" in inspect.signature(openai.resources.images.Images.generate).parameters
TRANSCRIPTS_STREAM = "stream" in inspect.signature(openai.resources.audio.Transcriptions.create).parameters
SPEECH_HAS_INSTRUCTIONS = "instructions" in inspect.signature(openai.resources.audio.Speech.create).parameters

B64 = "iVBORw0KGgoAAAANSUhEUg=="
SOUND = b"RIFF\x24\x08\x00\xffWAVE"


def client(server: ScriptedServer) -> Any:
    """Untyped, for the parameters and models of its versions differ."""
    return openai_clients.client(server)


def everything(recorded: Recorded) -> str:
    """All that was written anywhere."""
    return str(recorded.span().to_json()) + str(
        [dict(event.log_record.attributes or {}) for event in recorded.events()]
    )


def asked(operation: str, model: str | None = None, **attributes: str) -> dict[str, Any]:
    """The attributes of every call."""
    named = {} if model is None else {"gen_ai.request.model": model}
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "openai",
        "server.address": "127.0.0.1",
        **named,
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
LINKED = {"created": 1, "data": [{"url": "https://example.org/1.png", "revised_prompt": "A tabby cat."}]}
INLINE = {"created": 1, "data": [{"b64_json": B64}], "usage": IMAGE_USAGE, "output_format": "png"}
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

SPEAK = {"model": "gpt-4o-mini-tts", "voice": "coral", "input": "Say this."}
CALLS: dict[str, tuple[Callable[[Any], Any], str, Answer, dict[str, Any]]] = {
    "generate": (
        lambda app: app.images.generate(model="gpt-image-1", prompt="A cat", n=2),
        "/v1/images/generations",
        Answer(INLINE),
        asked("generate_content", "gpt-image-1", output_type="image")
        | IMAGE_TOKENS
        | {"gen_ai.request.choice.count": 2},
    ),
    "edit": (
        lambda app: app.images.edit(model="gpt-image-1", prompt="A dog", image=io.BytesIO(SOUND), n=NOT_GIVEN),
        "/v1/images/edits",
        Answer(INLINE),
        asked("generate_content", "gpt-image-1", output_type="image") | IMAGE_TOKENS,
    ),
    "create_variation": (
        lambda app: app.images.create_variation(image=io.BytesIO(SOUND), model=NOT_GIVEN),
        "/v1/images/variations",
        Answer(LINKED),
        asked("generate_content", output_type="image"),
    ),
    "speech": (
        lambda app: app.audio.speech.create(**SPEAK, response_format="wav"),
        "/v1/audio/speech",
        Answer(SOUND, headers={"Content-Type": "audio/wav"}),
        asked("generate_content", "gpt-4o-mini-tts", output_type="speech"),
    ),
    "transcriptions": (
        lambda app: app.audio.transcriptions.create(
            model="gpt-4o-transcribe", file=("a.wav", SOUND), prompt="Names: Ada.", temperature=0.5
        ),
        "/v1/audio/transcriptions",
        Answer(TRANSCRIPT),
        asked("generate_content", "gpt-4o-transcribe", output_type="text")
        | TRANSCRIPT_TOKENS
        | {"gen_ai.request.temperature": 0.5},
    ),
    "translations": (
        lambda app: app.audio.translations.create(model="whisper-1", file=("a.wav", SOUND), temperature=NOT_GIVEN),
        "/v1/audio/translations",
        Answer({"text": "Hello there."}),
        asked("generate_content", "whisper-1", output_type="text"),
    ),
    "moderations": (
        lambda app: app.moderations.create(model="omni-moderation-latest", input="Is this nice?"),
        "/v1/moderations",
        Answer(VERDICT),
        asked("moderation", "omni-moderation-latest")
        | {"gen_ai.response.id": "modr-1", "gen_ai.response.model": "omni-moderation-1"},
    ),
}


def surface(name: str, *more: Any) -> Any:
    """Values for a test of one surface. Later clients warn of two of them."""
    deprecated = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
    return pytest.param(name, *more, marks=[deprecated] if name in {"create_variation", "translations"} else [])


every_call = pytest.mark.parametrize("name", [surface(name) for name in CALLS])


# ── every call ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@every_call
def test_a_call(instrumented: Recorded, name: str) -> None:
    call, path, answer, expected = CALLS[name]
    with scripted(answer) as server, client(server) as app:
        call(app)
        assert server.received[0].path == path
    span = instrumented.span()
    operation, model = expected["gen_ai.operation.name"], expected.get("gen_ai.request.model")
    assert span.name == (f"{operation} {model}" if model else operation)
    assert (span.kind, span.status.status_code) == (SpanKind.CLIENT, StatusCode.UNSET)
    assert without_content(span) == expected
    assert content(span, "input.messages") is None
    assert content(span, "output.messages") is None


@every_call
async def test_an_async_call(instrumented: Recorded, name: str) -> None:
    call, _, answer, expected = CALLS[name]
    with scripted(answer) as server:
        async with async_client(server) as app:
            await call(app)
    assert without_content(instrumented.span()) == expected


@every_call
def test_a_raw_response_stays_raw_and_is_read(instrumented: Recorded, name: str) -> None:
    call, _, answer, expected = CALLS[name]

    class Raw:
        """The client, with every resource's raw twin in the resource's place."""

        def __init__(self, resource: Any) -> None:
            self._resource = resource

        def __getattr__(self, name: str) -> Any:
            found = getattr(self._resource, name)
            return found if callable(found) else Raw(getattr(found, "with_raw_response", found))

    with scripted(answer) as server, client(server) as app:
        raw = call(Raw(app))
        assert raw.http_response.status_code == 200
    assert without_content(instrumented.span()) == expected


@every_call
def test_the_metrics_of_a_call(instrumented: Recorded, name: str) -> None:
    call, _, answer, expected = CALLS[name]
    with scripted(answer) as server, client(server) as app:
        call(app)
    metrics = instrumented.metrics()
    (duration,) = metrics["gen_ai.client.operation.duration"]
    dimensions = {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model"}
    assert dict(duration.attributes) == {
        "server.address": "127.0.0.1",
        "server.port": attribute(instrumented.span(), "server.port"),
        **{key: value for key, value in expected.items() if key in dimensions},
    }
    tokens = {
        point.attributes["gen_ai.token.type"]: point.sum for point in metrics.get("gen_ai.client.token.usage", ())
    }
    assert tokens == {
        kind: expected[f"gen_ai.usage.{kind}_tokens"]
        for kind in ("input", "output")
        if f"gen_ai.usage.{kind}_tokens" in expected
    }


@every_call
def test_an_error_of_the_server(instrumented: Recorded, name: str) -> None:
    call, _, _, expected = CALLS[name]
    error = {"message": "your prompt: secret", "type": "image_generation_user_error", "code": "moderation_blocked"}
    with (
        scripted(Answer({"error": error}, status=400)) as server,
        client(server) as app,
        pytest.raises(openai.BadRequestError),
    ):
        call(app)
    span = instrumented.span()
    assert without_content(span) == {
        key: value for key, value in expected.items() if ".usage." not in key and ".response." not in key
    } | {"error.type": "openai.BadRequestError"}
    assert span.status.description == "BadRequestError 400 moderation_blocked"
    assert "secret" not in everything(instrumented)


@every_call
def test_what_a_server_adds_or_leaves_out_does_no_harm(capturing: Recorded, name: str) -> None:
    call, _, _, expected = CALLS[name]
    odd = {"x": {"y": [1]}, "usage": {"type": "duration", "seconds": 9}}
    with scripted(Answer(odd)) as server, client(server) as app:
        call(app)
    assert without_content(capturing.span()) == {
        key: value for key, value in expected.items() if ".usage." not in key and ".response." not in key
    }
    assert content(capturing.span(), "output.messages") is None


# ── content ────────────────────────────────────────────────────────────────────────────────────────────────────────────


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
def test_words_and_addresses_are_recorded_and_nothing_binary(
    capturing: Recorded, name: str, prompt: Any, answer: Any
) -> None:
    call, _, body, expected = CALLS[name]
    with scripted(body) as server, client(server) as app:
        call(app)
    span = capturing.span()
    assert content(span, "input.messages") == prompt
    assert content(span, "output.messages") == answer
    assert without_content(span) == expected
    written = everything(capturing)
    assert not any(secret in written for secret in ("iVBOR", "RIFF", "sk-secret", "coral"))


def test_an_image_that_a_server_puts_into_its_address_is_left_out(capturing: Recorded) -> None:
    data = [{"url": f"data:image/png;base64,{B64}"}, {"url": "https://example.org/2.png", "b64_json": B64}, {}]
    with scripted(Answer({"created": 1, "data": data})) as server, client(server) as app:
        app.images.generate(prompt="A cat", n=3)
    (message,) = content(capturing.span(), "output.messages")
    assert message["parts"] == [{"type": "uri", "modality": "image", "uri": "https://example.org/2.png"}]
    assert "iVBOR" not in everything(capturing)


@pytest.mark.skipif(not SPEECH_HAS_INSTRUCTIONS, reason="this version of the client lacks them")
def test_how_to_speak_is_an_instruction(capturing: Recorded) -> None:
    with scripted(CALLS["speech"][2]) as server, client(server) as app:
        app.audio.speech.create(**SPEAK, instructions="Cheerfully.")
    assert content(capturing.span(), "system_instructions") == [{"type": "text", "content": "Cheerfully."}]


def test_a_sound_reaches_the_application_untouched(instrumented: Recorded) -> None:
    with scripted(CALLS["speech"][2]) as server, client(server) as app:
        sound = app.audio.speech.create(**SPEAK)
        assert sound.content == SOUND
        assert b"".join(sound.iter_bytes(4)) == SOUND


def test_a_sound_that_is_streamed_raw_reaches_the_application_untouched(instrumented: Recorded) -> None:
    with (
        scripted(CALLS["speech"][2]) as server,
        client(server) as app,
        app.audio.speech.with_streaming_response.create(**SPEAK) as response,
    ):
        assert b"".join(response.iter_bytes(4)) == SOUND
    assert without_content(instrumented.span()) == CALLS["speech"][3]


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
@pytest.mark.parametrize("name", ["transcriptions", surface("translations")])
def test_a_transcript_that_is_mere_text(capturing: Recorded, name: str, response_format: str) -> None:
    answer = Answer(b"1\n00:00 --> 00:01\nHello.\n", headers={"Content-Type": "text/plain; charset=utf-8"})
    with scripted(answer) as server, client(server) as app:
        transcript = getattr(app.audio, name).create(
            model="whisper-1", file=("a.wav", SOUND), response_format=response_format
        )
    assert transcript == "1\n00:00 --> 00:01\nHello.\n"
    span = capturing.span()
    assert without_content(span) == asked("generate_content", "whisper-1", output_type="text")
    assert content(span, "output.messages") == answered(transcript, finish_reason="stop")


def test_an_audio_file_is_sent_whole_and_left_alone(capturing: Recorded) -> None:
    file = io.BytesIO(SOUND)
    file.name = "a.wav"
    with scripted(Answer(TRANSCRIPT)) as server, client(server) as app:
        app.audio.transcriptions.create(model="whisper-1", file=file)
        assert SOUND in server.received[0].body
    assert content(capturing.span(), "input.messages") is None


@pytest.mark.parametrize(
    ("judged", "expected"),
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
def test_what_is_judged_is_one_message_or_several(capturing: Recorded, judged: Any, expected: Any) -> None:
    with scripted(Answer(VERDICT)) as server, client(server) as app:
        app.moderations.create(input=judged)
        assert server.received[0].body["input"] == judged
    span = capturing.span()
    assert span.name == "moderation"
    assert content(span, "input.messages") == expected
    assert capturing.events() == []


# ── streams ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def picture(kind: str, **fields: Any) -> dict[str, Any]:
    """One event of a streamed image."""
    return {"type": kind, "b64_json": B64, "created_at": 1, "size": "1024x1024", "output_format": "png", **fields}


def sketches(kind: str) -> list[Any]:
    return [
        picture(f"{kind}.partial_image", partial_image_index=0),
        picture(f"{kind}.partial_image", partial_image_index=1),
        picture(f"{kind}.completed", usage=IMAGE_USAGE),
    ]


STREAMED_IMAGE = asked("generate_content", "gpt-image-1", output_type="image") | {"gen_ai.request.stream": True}
images_stream = pytest.mark.skipif(not IMAGES_STREAM, reason="this version of the client does not stream images")


@images_stream
@pytest.mark.parametrize("name", ["generate", "edit"])
def test_a_streamed_image(capturing: Recorded, name: str) -> None:
    upload = {"image": ("a.png", SOUND)} if name == "edit" else {}
    operations: list[Any] = []
    stop = otel_genai.observe(lambda operation, _: operations.append(operation))
    kind = "image_edit" if name == "edit" else "image_generation"
    with scripted(Answer(events=sketches(kind))) as server, client(server) as app:
        stream = getattr(app.images, name)(model="gpt-image-1", prompt="A cat", stream=True, partial_images=2, **upload)
        assert isinstance(stream, openai.Stream)
        assert [event.b64_json for event in stream] == [B64] * 3
    stop()
    span = capturing.span()
    assert without_content(span) == STREAMED_IMAGE | IMAGE_TOKENS
    assert content(span, "input.messages") == [said("user", "A cat")]
    assert content(span, "output.messages") is None
    assert "iVBOR" not in everything(capturing)
    assert operations[0].timing.first_token == operations[0].timing.chunks[0]


@images_stream
async def test_an_async_streamed_image(instrumented: Recorded) -> None:
    with scripted(Answer(events=sketches("image_generation"))) as server:
        async with async_client(server) as made:
            app: Any = made
            stream = await app.images.generate(model="gpt-image-1", prompt="A cat", stream=True)
            assert len([event async for event in stream]) == 3
    assert without_content(instrumented.span()) == STREAMED_IMAGE | IMAGE_TOKENS


@images_stream
def test_a_streamed_image_that_is_given_up_is_no_error(instrumented: Recorded) -> None:
    with (
        scripted(Answer(events=sketches("image_generation"))) as server,
        client(server) as app,
        app.images.generate(model="gpt-image-1", prompt="A cat", stream=True) as stream,
    ):
        next(stream)
    span = instrumented.span()
    assert without_content(span) == STREAMED_IMAGE
    assert span.status.status_code is StatusCode.UNSET


def heard(delta: str) -> dict[str, Any]:
    return {"type": "transcript.text.delta", "delta": delta}


HEARD = [heard("Hello"), heard(" "), heard("there."), {"type": "transcript.text.done", **TRANSCRIPT}]
STREAMED_TRANSCRIPT = asked("generate_content", "gpt-4o-transcribe", output_type="text") | {
    "gen_ai.request.stream": True
}
transcripts_stream = pytest.mark.skipif(
    not TRANSCRIPTS_STREAM, reason="this version of the client does not stream transcripts"
)


def transcribe(app: Any) -> Any:
    return app.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", SOUND), stream=True)


@transcripts_stream
def test_a_streamed_transcript(capturing: Recorded) -> None:
    with scripted(Answer(events=HEARD)) as server, client(server) as app:
        events = list(transcribe(app))
    assert [event.type for event in events] == ["transcript.text.delta"] * 3 + ["transcript.text.done"]
    span = capturing.span()
    assert without_content(span) == STREAMED_TRANSCRIPT | TRANSCRIPT_TOKENS
    assert content(span, "output.messages") == answered("Hello there.", finish_reason="stop")


@transcripts_stream
async def test_an_async_streamed_transcript(instrumented: Recorded) -> None:
    with scripted(Answer(events=HEARD)) as server:
        async with async_client(server) as app:
            assert len([event async for event in await transcribe(app)]) == 4
    assert without_content(instrumented.span()) == STREAMED_TRANSCRIPT | TRANSCRIPT_TOKENS
    assert "gen_ai.response.time_to_first_chunk" in (instrumented.span().attributes or {})


@transcripts_stream
def test_a_transcript_that_is_cut_is_what_was_heard_so_far(capturing: Recorded) -> None:
    with scripted(Answer(events=[*HEARD[:2], CUT])) as server, client(server) as app:
        stream = transcribe(app)
        with pytest.raises(BROKEN):
            list(stream)
    span = capturing.span()
    assert span.status.status_code is StatusCode.ERROR
    assert content(span, "output.messages") == answered("Hello ", finish_reason="error")
    assert "gen_ai.usage.input_tokens" not in without_content(span)


@transcripts_stream
def test_a_transcript_that_never_began_is_not_invented(capturing: Recorded) -> None:
    with scripted(Answer(events=HEARD)) as server, client(server) as app:
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


# ── odd input ──────────────────────────────────────────────────────────────────────────────────────────────────────────

ODD: list[Any] = [None, 0, -1, 1.5, True, "", "x", b"x", [], [None], ["x", 1], [[]], {}, {"x": 1}, object(), iter("x")]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
@pytest.mark.parametrize("endpoint", [images.IMAGE, audio.SPEECH, audio.TRANSCRIPT, moderations.MODERATION])
def test_odd_values_are_read_without_an_error(endpoint: Any, odd: Any) -> None:
    instance = openai.OpenAI(api_key="sk-secret").images
    for name in ("model", "prompt", "input", "n", "instructions", "stream", "temperature", "extra_body"):
        arguments = Arguments(instance, (), {name: odd})
        endpoint.prompt(arguments)
        fold = endpoint.fold(endpoint.request(arguments), True)
        for record in (
            odd,
            {"data": odd, "usage": odd, "text": odd, "id": odd, "model": odd},
            {"data": [odd], "usage": {"input_tokens": 1, "input_tokens_details": odd}},
            {"data": [{"url": odd}], "usage": {"input_tokens": odd}},
            {"type": "transcript.text.done", "text": odd, "delta": odd, "usage": odd, "b64_json": odd},
        ):
            endpoint.response(record, True)
            fold.add(record)
        fold.response()


def test_a_file_that_is_read_is_not_read_by_us() -> None:
    class Unreadable(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise AssertionError

    file = Unreadable(SOUND)
    arguments = Arguments(openai.OpenAI(api_key="sk-secret").images, (), {"file": file, "image": file, "mask": file})
    for endpoint in (images.IMAGE, audio.TRANSCRIPT):
        endpoint.request(arguments)
        assert endpoint.prompt(arguments).messages == ()
    assert file.tell() == 0
