"""Sets up the OpenTelemetry SDK from its own environment variables, adding only defaults that suit a run.

Nothing is sent unless an endpoint or an exporter is named, and the environment that the script sees is as it was.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_RESOURCE_ATTRIBUTES,
    OTEL_SDK_DISABLED,
    OTEL_SERVICE_NAME,
)
from opentelemetry.sdk.resources import SERVICE_NAME

from otel_genai.runner.target import CannotRunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SIGNALS: Final = ("traces", "metrics", "logs")
_OTLP: Final = "otlp"
_EXPORTERS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
"""OTLP protocol → the exporter's entry point."""
_GRPC_PORT: Final = 4317
"""Registered for OTLP/gRPC; whoever names it speaks gRPC there."""


class Provider(Protocol):
    """What the SDK's three providers have in common."""

    def force_flush(self, timeout_millis: int = ...) -> bool:
        """Send what has been gathered; true if it was sent in time."""


def configure(service_name: str) -> tuple[Provider, ...]:
    """Set the global providers up and return them; raises CannotRunError if the environment asks for what cannot be had.

    The providers flush by themselves when the interpreter exits.
    """
    if _variable(OTEL_SDK_DISABLED).lower() == "true":
        return ()
    defaults = {f"OTEL_{signal.upper()}_EXPORTER": ",".join(_exporters(signal)) or "none" for signal in _SIGNALS}
    if not _service_is_named():
        defaults[OTEL_SERVICE_NAME] = service_name
    try:
        with _environment(defaults):
            _OTelSDKConfigurator().configure()  # type: ignore[no-untyped-call]
    except Exception as error:
        raise CannotRunError(_missing_exporter() or f"cannot set up the OpenTelemetry SDK: {error}") from error
    # Only the SDK's own can be flushed; a configuration file may leave a signal out.
    providers = (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider())
    return tuple(provider for provider in providers if hasattr(provider, "force_flush"))


def flush(providers: tuple[Provider, ...]) -> None:
    """Send what has been gathered so far, spans first."""
    for provider in providers:
        provider.force_flush()


def _exporters(signal: str) -> list[str]:
    """The exporters of a signal: those that are named, or OTLP if an endpoint is; none otherwise."""
    endpoint = _endpoint(signal)
    names = _named_exporters(signal) or ([_OTLP] if endpoint else [])
    return [_otlp_exporter(signal, endpoint) if name == _OTLP else name for name in names if name.lower() != "none"]


def _named_exporters(signal: str) -> list[str]:
    named = _variable(f"OTEL_{signal.upper()}_EXPORTER").split(",")
    return [name.strip() for name in named if name.strip()]


def _otlp_exporter(signal: str, endpoint: str) -> str:
    """The exporter for OTLP's protocol. HTTP unless told otherwise: it needs no gRPC in the process."""
    for variable in (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", OTEL_EXPORTER_OTLP_PROTOCOL):
        if protocol := _variable(variable):
            if protocol not in _EXPORTERS:
                raise CannotRunError(f"{variable}: unsupported protocol {protocol!r} (use {' or '.join(_EXPORTERS)})")
            return _EXPORTERS[protocol]
    return _EXPORTERS["grpc" if _port(endpoint) == _GRPC_PORT else "http/protobuf"]


def _endpoint(signal: str) -> str:
    return _variable(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT") or _variable(OTEL_EXPORTER_OTLP_ENDPOINT)


def _port(endpoint: str) -> int | None:
    try:
        # gRPC endpoints are also written without a scheme.
        return urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").port
    except ValueError:
        return None


def _service_is_named() -> bool:
    attributes = _variable(OTEL_RESOURCE_ATTRIBUTES).split(",")
    return bool(_variable(OTEL_SERVICE_NAME)) or any(
        attribute.partition("=")[0].strip() == SERVICE_NAME for attribute in attributes
    )


def _missing_exporter() -> str | None:
    """The sentence for an exporter that is not installed. Looked up only when something failed: the look-up is slow."""
    for signal in _SIGNALS:
        installed = {entry.name for entry in entry_points(group=f"opentelemetry_{signal}_exporter")}
        for name in _exporters(signal):
            if name not in installed:
                choice = ", ".join(sorted(installed)) or "none at all"
                return f"no {signal} exporter named {name!r} is installed (there are: {choice})"
    return None


def _variable(name: str) -> str:
    """An environment variable's value; empty is the same as unset, as the specification has it."""
    return os.environ.get(name, "").strip()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a while: the SDK reads the environment, which belongs to the script and its children."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
