"""The names of spans and services in exported telemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.otlp.receiver import Received


def span_names(received: Received) -> list[str]:
    """Return the names of all spans, sorted."""
    return sorted(span.name for span in received.spans)


def service_names(received: Received) -> set[str]:
    """Return each `service.name` once."""
    return {
        attribute.value.string_value
        for resource in received.resources
        for attribute in resource.attributes
        if attribute.key == "service.name"
    }
