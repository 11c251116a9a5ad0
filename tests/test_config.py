"""Settings: what the environment says is what happens, and nonsense is one warning and the default."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_genai.config import SETTINGS, Config
from otel_genai.semconv.metrics import LATEST, V1_41

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
EVENT = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"
STABILITY = "OTEL_SEMCONV_STABILITY_OPT_IN"


def test_with_nothing_set_no_content_is_captured_and_no_event_emitted() -> None:
    assert Config.from_environment({}) == Config(
        content_on_spans=False, content_on_events=False, emit_event=False, vintages=(V1_41,)
    )


@pytest.mark.parametrize(
    ("value", "on_spans", "on_events"),
    [
        ("NO_CONTENT", False, False),
        ("SPAN_ONLY", True, False),
        ("EVENT_ONLY", False, True),
        ("SPAN_AND_EVENT", True, True),
        ("span_and_event", True, True),
        (" true ", True, True),
        ("false", False, False),
    ],
)
def test_capture_modes(value: str, on_spans: bool, on_events: bool) -> None:
    config = Config.from_environment({CAPTURE: value})
    assert (config.content_on_spans, config.content_on_events) == (on_spans, on_events)
    assert config.emit_event is on_events
    assert config.captures_content is (on_spans or on_events)


@pytest.mark.parametrize(
    ("capture", "event", "emitted"), [("NO_CONTENT", "true", True), ("EVENT_ONLY", "false", False)]
)
def test_an_explicit_event_setting_wins(capture: str, event: str, emitted: bool) -> None:
    assert Config.from_environment({CAPTURE: capture, EVENT: event}).emit_event is emitted


def test_an_invalid_value_is_one_warning_and_the_default(caplog: pytest.LogCaptureFixture) -> None:
    config = Config.from_environment({CAPTURE: "yes please"})
    assert config == Config()
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{CAPTURE}='yes please' is not understood and ignored. "
        "Use: NO_CONTENT | SPAN_ONLY | EVENT_ONLY | SPAN_AND_EVENT (also: true, false)"
    )


@pytest.mark.parametrize(
    ("value", "vintages"),
    [
        ("", (V1_41,)),
        ("http", (V1_41,)),
        ("gen_ai_latest_experimental", (LATEST,)),
        ("http, gen_ai_latest_experimental", (LATEST,)),
        ("gen_ai_latest_experimental/dup", (V1_41, LATEST)),
    ],
)
def test_metric_vintages(value: str, vintages: tuple[object, ...]) -> None:
    assert Config.from_environment({STABILITY: value}).vintages == vintages


def test_every_setting_is_documented() -> None:
    assert [setting.variable for setting in SETTINGS] == [
        CAPTURE,
        "OTEL_GENAI_CONTENT_LENGTH_LIMIT",
        EVENT,
        "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK",
        STABILITY,
        "OTEL_GENAI_CHUNK_METRICS",
        "OTEL_GENAI_BOUND_METRICS",
        "OTEL_GENAI_PHASE_SPANS",
        "OTEL_GENAI_ENGINE_STATS",
        "OTEL_GENAI_VLLM_NATIVE_SPANS",
        "OTEL_GENAI_VLLM_PLUGIN",
        "OTEL_GENAI_PROVIDER_NAMES",
        "OTEL_GENAI_PROPAGATE_CONTEXT",
        "OTEL_GENAI_RECORD_FILE",
        "OTEL_GENAI_RECORD_LIMIT",
        "OTEL_GENAI_WRAP",
    ]


@pytest.mark.parametrize(("value", "limit"), [("", 65536), ("100", 100), ("0", 0), ("-1", 65536), ("many", 65536)])
def test_the_content_limit(value: str, limit: int) -> None:
    assert Config.from_environment({"OTEL_GENAI_CONTENT_LENGTH_LIMIT": value}).content_limit == limit


def test_where_to_record_and_how_much() -> None:
    assert Config.from_environment({}).record_file is None
    config = Config.from_environment({"OTEL_GENAI_RECORD_FILE": "runs/run.jsonl", "OTEL_GENAI_RECORD_LIMIT": "20"})
    assert (config.record_file, config.record_limit) == (Path("runs/run.jsonl"), 20_000_000)


def test_names_for_servers_of_ones_own(caplog: pytest.LogCaptureFixture) -> None:
    config = Config.from_environment(
        {"OTEL_GENAI_PROVIDER_NAMES": "10.0.0.5:8000=vllm, gateway = azure.ai.openai,nonsense,"}
    )
    assert config.provider_of("10.0.0.5", 8000) == "vllm"
    assert config.provider_of("10.0.0.5", 8001) is None
    assert config.provider_of("gateway", 443) == "azure.ai.openai"
    assert config.provider_of(None, None) is None
    (record,) = caplog.records
    assert "OTEL_GENAI_PROVIDER_NAMES='nonsense' is not understood" in record.getMessage()


def test_an_argument_wins_over_the_environment() -> None:
    config = Config.from_environment({"OTEL_GENAI_PROVIDER_NAMES": "a=b"}, provider="mine")
    assert config.provider_of("a", 80) == "mine"


def test_arguments_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^redact= takes a function from text to text$"):
        Config.from_environment({}, redact="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^completion_hook= takes an object with a method on_completion$"):
        Config.from_environment({}, completion_hook=print)  # type: ignore[arg-type]
