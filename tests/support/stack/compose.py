"""Reads docker-compose.yaml, so that tests start its programs with its commands and variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from tests.support.stack.programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE: Final = ROOT / "docker-compose.yaml"
_DEFAULT: Final = re.compile(r"\$\{\w+:-([^}]*)\}")


def services() -> dict[str, dict[str, Any]]:
    """Every service, anchors resolved, variables at their defaults."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(_DEFAULT.sub(r"\1", FILE.read_text()))["services"]
    return found


def command(service: str, **options: object) -> list[str]:
    """A service's command with the values of some of its `--options` replaced; each must exist."""
    words: list[str] = services()[service]["command"]
    for name, value in options.items():
        (found,) = (word for word in words if word.startswith(f"--{name}="))
        words[words.index(found)] = f"--{name}={value}"
    return words


def environment(service: str, addresses: Mapping[str, str]) -> dict[str, str]:
    """A service's variables, with the network's names replaced by local addresses."""
    variables: dict[str, str] = services()[service]["environment"]
    return {name: _replaced(value, addresses) for name, value in variables.items()}


def scraped(port: int) -> dict[str, str]:
    """Variables of a program that also serves its metrics at a port."""
    return {
        "OTEL_METRICS_EXPORTER": "otlp,prometheus",
        "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
    }


def _replaced(value: str, addresses: Mapping[str, str]) -> str:
    for name, address in addresses.items():
        value = value.replace(f"//{name}", f"//{address}")
    return value
