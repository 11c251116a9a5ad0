"""The type of a driver, and what the drivers of one provider share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from otel_genai.telemetry.telemetry import Telemetry

Driver = Callable[[Callable[..., Any], Any, tuple[Any, ...], Mapping[str, Any]], Any]
"""(wrapped function, its instance, positional and keyword arguments) → the caller's result."""

_Shared = TypeVar("_Shared")


class Scope:
    """What the drivers of one provider share: its telemetry, and one object of each class that they ask for."""

    def __init__(self, telemetry: Callable[[], Telemetry]) -> None:
        """`telemetry` is called once, by the first driver that needs it. A provider whose library is not used pays for none."""
        self._make_telemetry = telemetry
        self._telemetry: Telemetry | None = None
        self._shared: dict[Any, Any] = {}

    @property
    def telemetry(self) -> Telemetry:
        """The provider's telemetry."""
        if self._telemetry is None:
            self._telemetry = self._make_telemetry()
        return self._telemetry

    def shared(self, kind: Callable[[Telemetry], _Shared]) -> _Shared:
        """The one object of this provider that `kind` makes out of the telemetry."""
        if kind not in self._shared:
            self._shared[kind] = kind(self.telemetry)
        made: _Shared = self._shared[kind]
        return made
