"""The provider names that addresses of servers stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docs.generate.markdown import table
from otel_genai.instrumentors.openai import server

if TYPE_CHECKING:
    from collections.abc import Iterator


def providers() -> Iterator[str]:
    """A row a provider."""
    addresses: dict[str, list[str]] = {}
    for host, name in server.BY_HOST.items():
        addresses.setdefault(name, []).append(f"`{host}`")
    for ending, name in server.BY_ENDING.items():
        addresses.setdefault(name, []).append(f"`*{ending}`")
    for port, name in server.BY_PORT.items():
        addresses.setdefault(name, []).append(f"any other host, port {port}")
    return table(
        ("`gen_ai.provider.name`", "Host name, or the end of one"),
        ((f"`{name}`", ", ".join(hosts)) for name, hosts in sorted(addresses.items())),
    )
