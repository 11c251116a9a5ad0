"""Sets the SDK up from the environment and the installed distribution, with a few defaults that suit short programs.

The environment that the program sees does not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.environment_variables import OTEL_PYTHON_CONFIGURATOR
from opentelemetry.sdk.environment_variables import (
    OTEL_BLRP_SCHEDULE_DELAY,
    OTEL_BSP_SCHEDULE_DELAY,
    OTEL_METRIC_EXPORT_INTERVAL,
    OTEL_RESOURCE_ATTRIBUTES,
    OTEL_SDK_DISABLED,
    OTEL_SERVICE_NAME,
)
from opentelemetry.sdk.resources import SERVICE_NAME

from otel_genai.sdk.environment import CannotConfigureError, setting, temporarily
from otel_genai.sdk.exporters import exporter_variables, missing_exporter
from otel_genai.sdk.plugins import chosen, distro
from otel_genai.sdk.providers import flushable_providers
from otel_genai.sdk.span_ids import use_unseeded_ids

if TYPE_CHECKING:
    from otel_genai.sdk.providers import FlushableProvider

_DELAYS: Final = {OTEL_BSP_SCHEDULE_DELAY: "500", OTEL_BLRP_SCHEDULE_DELAY: "500"}
"""Milliseconds: the spans and events that a killed process loses. A fork has the delays of its parent."""
_CHILD_DELAYS: Final = _DELAYS | {OTEL_METRIC_EXPORT_INTERVAL: "5000"}
"""Milliseconds. Parents kill their children, so a child does not keep its metrics for a minute."""


def configure(service_name: str, *, child: bool = False) -> tuple[FlushableProvider, ...]:
    """Set the global providers and return them; raises CannotConfigureError for settings that are not possible.

    The installed configurator sets them, or else the SDK's own. They flush themselves when the interpreter exits. `service_name` is
    the default. A `child` exports metrics more often.
    """
    if setting(OTEL_SDK_DISABLED).lower() == "true":
        return ()
    defaults = exporter_variables()
    defaults |= {name: value for name, value in (_CHILD_DELAYS if child else _DELAYS).items() if not setting(name)}
    if not _service_is_named():
        defaults[OTEL_SERVICE_NAME] = service_name
    configurator = chosen("opentelemetry_configurator", OTEL_PYTHON_CONFIGURATOR) or _sdk_configurator()
    distribution = distro()
    try:
        with temporarily(defaults):
            if distribution:
                distribution.configure()
            configurator().configure()
    except Exception as error:
        raise CannotConfigureError(missing_exporter() or f"cannot set up the OpenTelemetry SDK: {error}") from error
    use_unseeded_ids()
    return flushable_providers()


def _sdk_configurator() -> Any:
    try:
        # Private (opentelemetry-sdk 1.41 to 1.45), and the class that distributions extend: no public function reads all variables.
        from opentelemetry.sdk._configuration import _OTelSDKConfigurator
    except ImportError:
        from otel_genai.sdk.fallback_configurator import FallbackConfigurator

        return FallbackConfigurator
    return _OTelSDKConfigurator


def _service_is_named() -> bool:
    attributes = setting(OTEL_RESOURCE_ATTRIBUTES).split(",")
    return bool(setting(OTEL_SERVICE_NAME)) or any(
        attribute.partition("=")[0].strip() == SERVICE_NAME for attribute in attributes
    )
