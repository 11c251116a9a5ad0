"""Applies a provider's rows when their modules arrive, and takes them back."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import wrapt

from otel_genai.call import propagation
from otel_genai.endpoint import Carrier, Patch, Reply, Row
from otel_genai.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otel_genai.telemetry.telemetry import Telemetry

    Driver = Callable[[Callable[..., Any], Any, tuple[Any, ...], Mapping[str, Any]], Any]

_INJECTING: Final = Guard("a request does not carry the trace context")
_NOTING: Final = Guard("the model is reported as the response's body has it")


class Patches:
    """The rows of one provider, applied or not."""

    def __init__(self, rows: Iterable[Row], telemetry: Callable[[], Telemetry]) -> None:
        """`telemetry` is called, once, when the first of the rows finds its module: until then nothing is paid for."""
        self._rows = tuple(rows)
        self._telemetry = cache(telemetry)
        self._active = False
        # (class, attribute, our wrapper, what was there; `None` where it was inherited)
        self._applied: list[tuple[Any, str, Any, Any]] = []

    def apply(self) -> None:
        """Patch what is imported already, and the rest as it arrives. Nothing is imported for our sake."""
        self._active = True
        for row in self._rows:
            lost = Guard(
                f"{row.target} of {row.module} is not instrumented: this version of the library may have moved it"
            )

            def arrive(module: Any, row: Row = row, lost: Guard = lost) -> None:
                # wrapt keeps a hook for ever, and an error in it would break the application's import.
                with lost:
                    if self._active:
                        self._wrap(module, row)

            wrapt.register_post_import_hook(arrive, row.module)

    def revert(self) -> None:
        """Put back what was there. A wrapper that somebody else has wrapped since stays, and does nothing."""
        self._active = False
        if self._applied:
            self._telemetry().closed = True
        for owner, attribute, wrapper, original in self._applied:
            if vars(owner).get(attribute) is not wrapper:
                continue
            if original is None:
                delattr(owner, attribute)
            else:
                setattr(owner, attribute, original)
        self._applied.clear()

    def _wrap(self, module: Any, row: Row) -> None:
        try:
            owner, attribute, found = wrapt.resolve_path(module, row.target)
        except AttributeError:
            if isinstance(row, Patch) and row.optional:
                return
            raise
        wrapper = wrapt.FunctionWrapper(found, self._driver(row))
        self._applied.append((owner, attribute, wrapper, vars(owner).get(attribute)))
        wrapt.apply_patch(owner, attribute, wrapper)

    def _driver(self, row: Row) -> Driver:
        if isinstance(row, Carrier):
            return _injecting(row)
        if isinstance(row, Reply):
            return _noting(row)
        # Only now: all that a call needs is imported when the first module arrives in which there are calls.
        from otel_genai.call import drivers

        return (drivers.awaiting if row.awaits else drivers.calling)(self._telemetry(), row.load())


def _injecting(carrier: Carrier) -> Driver:
    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
        request = wrapped(*args, **kwargs)
        with _INJECTING:
            propagation.inject(carrier.headers(request))
        return request

    return drive


def _noting(reply: Reply) -> Driver:
    def drive(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG001
        with _NOTING:
            underway = propagation.underway()
            if underway is not None:
                underway.served_model = reply.served_model(kwargs)
        return wrapped(*args, **kwargs)

    return drive
