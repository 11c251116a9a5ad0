"""The environment variables that set the SDK up: read them, or set them for a while."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class CannotConfigureError(Exception):
    """The environment asks for something that is not possible. The message is one sentence for the user."""


def setting(name: str) -> str:
    """Return an environment variable's value. An empty value is the same as none, as OpenTelemetry's specification says."""
    return os.environ.get(name, "").strip()


@contextmanager
def temporarily(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a while: the SDK reads the environment, which belongs to the program and its children."""
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
