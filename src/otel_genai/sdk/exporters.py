"""The exporters and OTLP protocols that the environment asks for. Nothing is sent unless it names an endpoint or an exporter."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from opentelemetry.sdk.environment_variables import OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL

from otel_genai.sdk.environment import CannotConfigureError, setting
from otel_genai.sdk.plugins import entry_points

SIGNALS: Final = ("traces", "metrics", "logs")
_OTLP: Final = "otlp"
_OTLP_EXPORTERS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
"""OTLP protocol → the entry point of its exporter."""
_GRPC_PORT: Final = 4317
"""The port registered for OTLP/gRPC. An endpoint with this port gets gRPC unless a variable says otherwise."""


def exporters(signal: str) -> list[str]:
    """Return the entry points of a signal's exporters: the named ones, or OTLP if there is an endpoint, or none.

    Raises CannotConfigureError for an OTLP protocol that no exporter has.
    """
    endpoint = _endpoint(signal)
    names = _named_exporters(signal) or ([_OTLP] if endpoint else [])
    return [_otlp_exporter(signal, endpoint) if name == _OTLP else name for name in names if name.lower() != "none"]


def sends_traces() -> bool:
    """Return whether the environment names an exporter or an endpoint for spans."""
    return bool(exporters("traces"))


def exporter_variables() -> dict[str, str]:
    """Return the variables that make the SDK use these exporters and protocols.

    Protocols are among them, because a distribution sets a missing one itself, for this process and its children.
    """
    chosen = {signal: exporters(signal) for signal in SIGNALS}
    values = {f"OTEL_{signal.upper()}_EXPORTER": ",".join(names) or "none" for signal, names in chosen.items()}
    if not setting(OTEL_EXPORTER_OTLP_PROTOCOL):
        values[OTEL_EXPORTER_OTLP_PROTOCOL] = next(iter(_OTLP_EXPORTERS))
        for signal, names in chosen.items():
            protocols = [protocol for protocol, exporter in _OTLP_EXPORTERS.items() if exporter in names]
            if protocols and not setting(variable := f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"):
                values[variable] = protocols[0]
    return values


def missing_exporter() -> str | None:
    """Return a sentence about the first exporter that is not installed; `None` if all are."""
    for signal in SIGNALS:
        installed = entry_points(group=f"opentelemetry_{signal}_exporter").names
        for name in exporters(signal):
            if name not in installed:
                choice = ", ".join(sorted(installed)) or "none"
                return f"no {signal} exporter named {name!r} is installed (installed: {choice})"
    return None


def _named_exporters(signal: str) -> list[str]:
    named = setting(f"OTEL_{signal.upper()}_EXPORTER").split(",")
    return [name.strip() for name in named if name.strip()]


def _otlp_exporter(signal: str, endpoint: str) -> str:
    # HTTP by default: it loads no gRPC into the process.
    for variable in (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", OTEL_EXPORTER_OTLP_PROTOCOL):
        if protocol := setting(variable):
            if protocol not in _OTLP_EXPORTERS:
                raise CannotConfigureError(
                    f"{variable}: unsupported protocol {protocol!r} (use {' or '.join(_OTLP_EXPORTERS)})"
                )
            return _OTLP_EXPORTERS[protocol]
    return _OTLP_EXPORTERS["grpc" if _port(endpoint) == _GRPC_PORT else "http/protobuf"]


def _endpoint(signal: str) -> str:
    return setting(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT") or setting(OTEL_EXPORTER_OTLP_ENDPOINT)


def _port(endpoint: str) -> int | None:
    try:
        # gRPC endpoints are also written without a scheme.
        return urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").port
    except ValueError:
        return None
