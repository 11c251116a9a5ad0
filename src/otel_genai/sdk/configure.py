"""Sets up the OpenTelemetry SDK as the environment and the installed distribution say, adding only defaults that suit a run.

Nothing is sent unless an endpoint or an exporter is named, and the environment that the script sees is as it was.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import urlsplit

from opentelemetry import _logs, metrics, trace
from opentelemetry.instrumentation.environment_variables import OTEL_PYTHON_CONFIGURATOR, OTEL_PYTHON_DISTRO
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
from opentelemetry.sdk.environment_variables import (
    OTEL_BLRP_SCHEDULE_DELAY,
    OTEL_BSP_SCHEDULE_DELAY,
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_METRIC_EXPORT_INTERVAL,
    OTEL_RESOURCE_ATTRIBUTES,
    OTEL_SDK_DISABLED,
    OTEL_SERVICE_NAME,
)
from opentelemetry.sdk.resources import SERVICE_NAME
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.util._importlib_metadata import entry_points

from otel_genai.runner.target.become import CannotRunError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]  # untyped upstream
    from opentelemetry.sdk.trace import TracerProvider

_SIGNALS: Final = ("traces", "metrics", "logs")
_OTLP: Final = "otlp"
_EXPORTERS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
"""OTLP protocol → the exporter's entry point."""
_GRPC_PORT: Final = 4317
"""Registered for OTLP/gRPC; whoever names it speaks gRPC there."""
_PROMPT: Final = {OTEL_BSP_SCHEDULE_DELAY: "500", OTEL_BLRP_SCHEDULE_DELAY: "500"}
"""Milliseconds: what a process that is killed may lose. Forks have the delays of the process that they come from."""
_PROMPT_IN_CHILDREN: Final = {OTEL_METRIC_EXPORT_INTERVAL: "5000"}
"""Children are killed by their parents, so they do not keep their metrics for a minute."""


class Provider(Protocol):
    """What the SDK's three providers have in common."""

    def force_flush(self, timeout_millis: int = ...) -> bool:
        """Send what has been gathered; true if it was sent in time."""


def configure(service_name: str, *, child: bool = False) -> tuple[Provider, ...]:
    """Set the global providers up and return them; raises CannotRunError if the environment asks for what cannot be had.

    Who sets them up is the distribution's configurator, or the SDK's own where none is installed. The providers flush by
    themselves when the interpreter exits. A `child` exports more often.
    """
    if setting(OTEL_SDK_DISABLED).lower() == "true":
        return ()
    defaults = _exporters_and_protocols()
    defaults |= {name: value for name, value in _PROMPT.items() if not setting(name)}
    if child:
        defaults |= {name: value for name, value in _PROMPT_IN_CHILDREN.items() if not setting(name)}
    if not _service_is_named():
        defaults[OTEL_SERVICE_NAME] = service_name
    configurator = _named("opentelemetry_configurator", OTEL_PYTHON_CONFIGURATOR) or _OTelSDKConfigurator
    distribution = distro()
    try:
        with _environment(defaults):
            if distribution:
                distribution.configure()
            configurator().configure()
    except Exception as error:
        raise CannotRunError(_missing_exporter() or f"cannot set up the OpenTelemetry SDK: {error}") from error
    draw_ids_apart()
    # Only the SDK's own can be flushed; a configuration file may leave a signal out.
    providers = (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider())
    return tuple(provider for provider in providers if hasattr(provider, "force_flush"))


def draw_ids_apart() -> None:
    """Have the ids of spans come from elsewhere than the program's random numbers, unless somebody has chosen where from."""
    tracers = trace.get_tracer_provider()
    if type(getattr(tracers, "id_generator", None)) is RandomIdGenerator:
        cast("TracerProvider", tracers).id_generator = _UnseededIds()


class _UnseededIds(RandomIdGenerator):
    """Ids that leave the program's random numbers as they would be.

    A program that seeds those, as vLLM does in each of its processes, would give the same ids to other spans, over and over.
    """

    _random = SystemRandom()

    def generate_span_id(self) -> int:
        return self._random.getrandbits(64) or self.generate_span_id()

    def generate_trace_id(self) -> int:
        return self._random.getrandbits(128) or self.generate_trace_id()


def sends_traces() -> bool:
    """Whether the environment names somewhere for spans to go."""
    return bool(_exporters("traces"))


def distro() -> BaseDistro | None:
    """The distribution that is installed, if there is one; raises CannotRunError if one is named that is not there."""
    found = _named("opentelemetry_distro", OTEL_PYTHON_DISTRO)
    return cast("BaseDistro", found()) if found else None


def flush(providers: Iterable[Provider]) -> None:
    """Send what has been gathered so far, spans first."""
    # A signal may come when the SDK is shut down already. A metric reader collects all the same, and its exporter complains.
    for name in tuple(logging.root.manager.loggerDict):
        if name.startswith("opentelemetry.exporter."):
            logging.getLogger(name).addFilter(_is_news)
    for provider in providers:
        provider.force_flush()


def _is_news(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Exporter already shutdown")


def _named(group: str, variable: str) -> Any:
    """What the entry point that the variable names holds, or the first one of the group; `None` if there is none."""
    installed = entry_points(group=group)
    if not (name := setting(variable)):
        return next((entry.load() for entry in installed), None)
    if name not in installed.names:
        raise CannotRunError(f"{variable}: {name!r} is not installed" + near(name, installed.names))
    return installed[name].load()


def near(name: str, installed: Collection[str]) -> str:
    """A hint at what may have been meant, or at all that there is."""
    from difflib import get_close_matches

    choice = get_close_matches(name, installed) or sorted(installed)
    return f" (there is: {', '.join(choice)})" if choice else " (and neither is any other)"


def _exporters_and_protocols() -> dict[str, str]:
    """Both, because a distribution that finds a protocol missing sets its own, for this process and its children."""
    exporters = {signal: _exporters(signal) for signal in _SIGNALS}
    values = {f"OTEL_{signal.upper()}_EXPORTER": ",".join(names) or "none" for signal, names in exporters.items()}
    if not setting(OTEL_EXPORTER_OTLP_PROTOCOL):
        values[OTEL_EXPORTER_OTLP_PROTOCOL] = next(iter(_EXPORTERS))
        for signal, names in exporters.items():
            spoken = [protocol for protocol, exporter in _EXPORTERS.items() if exporter in names]
            if spoken and not setting(variable := f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"):
                values[variable] = spoken[0]
    return values


def _exporters(signal: str) -> list[str]:
    """The exporters of a signal: those that are named, or OTLP if an endpoint is; none otherwise."""
    endpoint = _endpoint(signal)
    names = _named_exporters(signal) or ([_OTLP] if endpoint else [])
    return [_otlp_exporter(signal, endpoint) if name == _OTLP else name for name in names if name.lower() != "none"]


def _named_exporters(signal: str) -> list[str]:
    named = setting(f"OTEL_{signal.upper()}_EXPORTER").split(",")
    return [name.strip() for name in named if name.strip()]


def _otlp_exporter(signal: str, endpoint: str) -> str:
    """The exporter for OTLP's protocol. HTTP unless told otherwise: it needs no gRPC in the process."""
    for variable in (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", OTEL_EXPORTER_OTLP_PROTOCOL):
        if protocol := setting(variable):
            if protocol not in _EXPORTERS:
                raise CannotRunError(f"{variable}: unsupported protocol {protocol!r} (use {' or '.join(_EXPORTERS)})")
            return _EXPORTERS[protocol]
    return _EXPORTERS["grpc" if _port(endpoint) == _GRPC_PORT else "http/protobuf"]


def _endpoint(signal: str) -> str:
    return setting(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT") or setting(OTEL_EXPORTER_OTLP_ENDPOINT)


def _port(endpoint: str) -> int | None:
    try:
        # gRPC endpoints are also written without a scheme.
        return urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").port
    except ValueError:
        return None


def _service_is_named() -> bool:
    attributes = setting(OTEL_RESOURCE_ATTRIBUTES).split(",")
    return bool(setting(OTEL_SERVICE_NAME)) or any(
        attribute.partition("=")[0].strip() == SERVICE_NAME for attribute in attributes
    )


def _missing_exporter() -> str | None:
    """The sentence for an exporter that is not installed."""
    for signal in _SIGNALS:
        installed = entry_points(group=f"opentelemetry_{signal}_exporter").names
        for name in _exporters(signal):
            if name not in installed:
                choice = ", ".join(sorted(installed)) or "none at all"
                return f"no {signal} exporter named {name!r} is installed (there are: {choice})"
    return None


def setting(name: str) -> str:
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
